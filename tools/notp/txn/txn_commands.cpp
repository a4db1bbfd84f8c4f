// notp txn: the keys and grants of a Txn-Token Service.
#include <fmt/format.h>

#include "tools/notp/txn/txn_service.hpp"

namespace notp::cli {
namespace {

struct ServiceOptions {
  std::string url;
};
struct RevokeKeyOptions {
  ServiceOptions service;
  std::string kid;
};
struct ListGrantsOptions {
  ServiceOptions service;
  std::string client, txn, from;
};
struct RevokeGrantsOptions {
  ServiceOptions service;
  std::string grant, txn;
};

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

std::string texts_in(const json::object& row, std::string_view name) {
  const json::value* const value = row.if_contains(name);
  std::string out;
  if (value && value->is_array())
    for (const json::value& each : value->get_array())
      if (each.is_string()) out += (out.empty() ? "" : " ") + printable(each.get_string());
  return out.empty() ? "-" : out;
}

// The rows of a list; none when it is not one.
std::vector<json::object> rows_in(const json::object& answer, std::string_view name) {
  std::vector<json::object> out;
  const json::value* const list = answer.if_contains(name);
  if (list && list->is_array())
    for (const json::value& row : list->get_array())
      if (row.is_object()) out.push_back(row.get_object());
  return out;
}

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

Result<int> run_list_grants(const Context& context, const ListGrantsOptions& options) {
  NOTP_ASSIGN(const TxnService service, TxnService::open(context, options.service.url));
  NOTP_ASSIGN(
      const json::object answer,
      service.get(fmt::format("/admin/grants?client={}&txn={}&from={}", url_part(options.client),
                              url_part(options.txn), url_part(options.from))));
  std::vector<std::vector<std::string>> rows{
      {"GRANT", "SUB", "SCOPE", "TO", "FROM", "USES", "MADE", "ENDS"}};
  for (const json::object& grant : rows_in(answer, "grants"))
    rows.push_back({text_in(grant, "id"), text_in(grant, "sub"), texts_in(grant, "scope"),
                    text_in(grant, "to"), text_in(grant, "origin"),
                    fmt::format("{}/{}", number_in(grant, "used"), number_in(grant, "uses")),
                    age_in(grant, "made_ms", context.now.wall_ms),
                    utc_time(number_in(grant, "not_after_ms"))});
  const std::string next = text_in(answer, "next");
  if (!next.empty() && next != "-")
    context.output.note(fmt::format("note: there are more; go on with --from {}", next));
  context.output.result(rows.size() == 1 ? "No grants.\n" : table(context.output, rows), answer);
  return exit_code::kOk;
}

Result<int> run_revoke_grants(const Context& context, const RevokeGrantsOptions& options) {
  if (options.grant.empty() == options.txn.empty())
    return fail(ErrorCode::kUsage, "name what is revoked, once: --grant ID, or --txn TXN");
  NOTP_ASSIGN(const TxnService service, TxnService::open(context, options.service.url));
  const json::object body = options.grant.empty() ? json::object{{"txn", options.txn}}
                                                  : json::object{{"grant", options.grant}};
  NOTP_ASSIGN(const json::object answer, service.post("/admin/grants/revoke", body));
  const json::value* const count = answer.if_contains("grants");
  const uint64_t grants = count && count->is_number() ? count->to_number<uint64_t>() : 0;
  std::string text = fmt::format("Revoked {}.\n", counted(grants, "grant"));
  if (const std::string txns = texts_in(answer, "txns"); txns != "-")
    text += fmt::format(
        "Tokens that were issued for them live until they end; a lane ends these transactions:\n"
        "  {}\n",
        txns);
  context.output.result(text, answer);
  return exit_code::kOk;
}

void declare_service(CLI::App& command, ServiceOptions& options) {
  command.add_option("--service", options.url, "The token service")
      ->envname("NOTP_TXN_SERVICE")
      ->type_name("URL");
  command.footer("Shows --cert, whose identity has to be one of the service's txn.service.admins.");
}

}  // namespace

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
  CLI::App* grants = txn->add_subcommand("grants", "What workloads may still redeem");
  grants->require_subcommand(1);
  commands.add<ListGrantsOptions>(
      *grants, "list", "The grants, by their ids",
      [](CLI::App& command, ListGrantsOptions& options) {
        command
            .add_option("--client", options.client,
                        "That this workload made, passed on, or may redeem")
            ->type_name("ID");
        command.add_option("--txn", options.txn, "Of this transaction")->type_name("TXN");
        command.add_option("--from", options.from, "From this one on: of the page before")
            ->type_name("ID");
        declare_service(command, options.service);
      },
      run_list_grants);
  commands.add<RevokeGrantsOptions>(
      *grants, "revoke", "End a grant, or all grants of a transaction",
      [](CLI::App& command, RevokeGrantsOptions& options) {
        command.add_option("--grant", options.grant, "This one")->type_name("ID");
        command.add_option("--txn", options.txn, "All of this transaction")->type_name("TXN");
        declare_service(command, options.service);
      },
      run_revoke_grants);
}

}  // namespace notp::cli
