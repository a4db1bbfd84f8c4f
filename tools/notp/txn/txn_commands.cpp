// notp txn: the keys and grants of a Txn-Token Service.
#include "tools/notp/txn/txn_commands.hpp"

#include <fmt/format.h>

namespace notp::cli {
namespace {

struct RevokeKeyOptions {
  ServiceOptions service;
  std::string kid;
};

Result<int> run_list_keys(const Context& context, const ServiceOptions& options) {
  NOTP_ASSIGN(const TxnService service, TxnService::open(context, options.url));
  NOTP_ASSIGN(const json::object answer, service.get("/admin/keys"));
  const TimeMs now_ms = context.now.wall_ms;
  std::vector<std::vector<std::string>> rows{{"KID", "STATE", "ALG", "MADE", "USED", "RETIRED"}};
  for (const json::object& key : rows_in(answer, "keys")) {
    const json::value* const usable = key.if_contains("usable");
    const bool is_ready = usable && usable->is_bool() && usable->get_bool();
    rows.push_back({text_in(key, "kid"), text_in(key, "state") + (is_ready ? ", ready" : ""),
                    text_in(key, "alg"), age_in(key, "made_ms", now_ms),
                    age_in(key, "used_ms", now_ms), age_in(key, "retired_ms", now_ms)});
  }
  context.output.result(
      rows.size() == 1 ? "The service has no keys.\n" : table(context.output, rows), answer);
  return exit_code::kOk;
}

Result<int> run_revoke_key(const Context& context, const RevokeKeyOptions& options) {
  NOTP_ASSIGN(const TxnService service, TxnService::open(context, options.service.url));
  NOTP_ASSIGN(const json::object answer,
              service.post(fmt::format("/admin/keys/{}/revoke", url_part(options.kid)), {}));
  context.output.result(
      fmt::format(
          "Revoked {}: it signs nothing more. Nodes refuse its tokens with the next release "
          "of the keys ledger;\n'notp sources refresh NAME' fetches the keys now.\n",
          options.kid),
      answer);
  return exit_code::kOk;
}

}  // namespace

std::string text_in(const json::object& row, std::string_view name) {
  const json::value* const value = row.if_contains(name);
  return value && value->is_string() ? printable(value->get_string()) : std::string("-");
}

int64_t number_in(const json::object& row, std::string_view name) {
  const json::value* const value = row.if_contains(name);
  return value && value->is_int64() ? value->get_int64() : 0;
}

std::string age_in(const json::object& row, std::string_view name, TimeMs now_ms) {
  const TimeMs time_ms = number_in(row, name);
  return time_ms == 0 ? "-" : ago(time_ms, now_ms);
}

std::vector<json::object> rows_in(const json::object& answer, std::string_view name) {
  std::vector<json::object> out;
  const json::value* const list = answer.if_contains(name);
  if (list && list->is_array())
    for (const json::value& row : list->get_array())
      if (row.is_object()) out.push_back(row.get_object());
  return out;
}

void declare_service(CLI::App& command, ServiceOptions& options) {
  command.add_option("--service", options.url, "The token service")
      ->envname("NOTP_TXN_SERVICE")
      ->type_name("URL");
  command.footer("Shows --cert, whose identity has to be one of the service's txn.service.admins.");
}

void add_txn(Commands& commands) {
  CLI::App* txn =
      commands.root().add_subcommand("txn", "Transaction tokens: keys and grants of a service");
  txn->require_subcommand(1);
  CLI::App* keys = txn->add_subcommand("keys", "The keys that a service signs with");
  keys->require_subcommand(1);
  commands.add<ServiceOptions>(*keys, "list", "The keys, and what each is for now", declare_service,
                               run_list_keys);
  commands.add<RevokeKeyOptions>(
      *keys, "revoke-key", "Remove a key at once: its tokens die with the next release",
      [](CLI::App& command, RevokeKeyOptions& options) {
        command.add_option("kid", options.kid, "The key")->type_name("KID")->required();
        declare_service(command, options.service);
      },
      run_revoke_key);
  add_grants(commands, *txn);
}

}  // namespace notp::cli
