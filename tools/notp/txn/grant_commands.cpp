// notp txn grants: what workloads may still redeem, and its end: at the service, and on the lane.
#include <fmt/format.h>

#include <algorithm>

#include "tools/notp/query/query_session.hpp"
#include "tools/notp/registry/lane_change.hpp"
#include "tools/notp/txn/txn_commands.hpp"

namespace notp::cli {
namespace {

constexpr size_t kNamedMax = 20;  // transactions in a text for people

struct ListOptions {
  ServiceOptions service;
  std::string client, txn, from;
};
struct RevokeOptions {
  ServiceOptions service;
  std::string grant, txn, lane;
  bool no_lane = false;
  LaneWait wait;
};

std::vector<std::string> texts_in(const json::object& row, std::string_view name) {
  std::vector<std::string> out;
  const json::value* const list = row.if_contains(name);
  if (list && list->is_array())
    for (const json::value& each : list->get_array())
      if (each.is_string()) out.emplace_back(each.get_string());
  return out;
}

std::string exact_text_in(const json::object& row, std::string_view name) {
  const json::value* const value = row.if_contains(name);
  return value && value->is_string() ? std::string(value->get_string()) : std::string();
}

std::string joined(const std::vector<std::string>& texts, size_t max) {
  std::string out;
  for (size_t i = 0; i < std::min(texts.size(), max); ++i)
    out += (i == 0 ? "" : " ") + printable(texts[i]);
  return texts.size() > max ? fmt::format("{} and {} more", out, texts.size() - max) : out;
}

Result<int> run_list(const Context& context, const ListOptions& options) {
  NOTP_ASSIGN(const TxnService service, TxnService::open(context, options.service.url));
  NOTP_ASSIGN(
      const json::object answer,
      service.get(fmt::format("/admin/grants?client={}&txn={}&from={}", url_part(options.client),
                              url_part(options.txn), url_part(options.from))));
  std::vector<std::vector<std::string>> rows{
      {"GRANT", "SUB", "SCOPE", "TO", "FROM", "USES", "MADE", "ENDS"}};
  for (const json::object& grant : rows_in(answer, "grants"))
    rows.push_back({text_in(grant, "id"), text_in(grant, "sub"),
                    joined(texts_in(grant, "scope"), kNamedMax), text_in(grant, "to"),
                    text_in(grant, "origin"),
                    fmt::format("{}/{}", number_in(grant, "used"), number_in(grant, "uses")),
                    age_in(grant, "made_ms", context.now.wall_ms),
                    utc_time(number_in(grant, "not_after_ms"))});
  const std::string next = exact_text_in(answer, "next");
  if (!next.empty())
    context.output.note(fmt::format("note: there are more; go on with --from {}", printable(next)));
  const char* const none = next.empty() ? "No grants.\n" : "None of them on this page.\n";
  context.output.result(rows.size() == 1 ? none : table(context.output, rows), answer);
  return exit_code::kOk;
}

// What the service has ended.
struct Ended {
  uint64_t grants = 0;
  std::vector<std::string> txns;  // whose tokens may live
  std::string issuer, lane;
};

Result<Ended> end_grants(const TxnService& service, const RevokeOptions& options) {
  Ended out;
  if (!options.txn.empty()) out.txns.push_back(options.txn);
  json::object body = options.grant.empty() ? json::object{{"txn", options.txn}}
                                            : json::object{{"grant", options.grant}};
  std::string next;
  do {
    auto answer = service.post("/admin/grants/revoke", body);
    // The first answer ends all of them.
    if (!answer && body.contains("from"))
      return std::unexpected(std::move(answer).error().in(fmt::format(
          "{} ended at the service, and nothing is on a lane: which transactions is not known to "
          "the end. Run the same command again",
          counted(out.grants, "grant"))));
    if (!answer) return std::unexpected(std::move(answer).error());
    out.grants += static_cast<uint64_t>(number_in(*answer, "grants"));
    for (std::string& txn : texts_in(*answer, "txns"))
      if (txn != options.txn) out.txns.push_back(std::move(txn));
    out.issuer = exact_text_in(*answer, "issuer");
    out.lane = exact_text_in(*answer, "lane");
    next = exact_text_in(*answer, "next");
    body["from"] = next;
  } while (!next.empty());
  return out;
}

// The marks of a list of transactions, one after the other; each is durable when it is answered.
struct Marks {
  size_t made = 0;
  wire::LaneChange change;  // of the last one
};

Result<void> mark(const Context& context, const std::string& lane, const Ended& ended,
                  const LaneWait& wait, Marks& marks) {
  NOTP_ASSIGN(const Settings settings, context.settings());
  NOTP_ASSIGN(const QuerySession session, open_query_session(context, settings));
  for (; marks.made < ended.txns.size(); ++marks.made) {
    const wire::MarkTarget target{feed::MarkKind::kTransaction, ended.issuer,
                                  ended.txns[marks.made], feed::kAnyIssueTime};
    NOTP_ASSIGN(marks.change, session.client->ask(wire::RevokeTokens{
                                  .lane = lane, .id = {}, .mark = target, .revision = 0}));
  }
  NOTP_ASSIGN(marks.change, wait_for_nodes(*session.client, lane, wait, marks.change));
  return {};
}

// Says what is done and what is not.
Error half_done(Error cause, const Ended& ended, const std::string& lane, const Marks& marks) {
  const std::vector<std::string> missing(
      ended.txns.begin() + static_cast<std::ptrdiff_t>(marks.made), ended.txns.end());
  const std::string done = fmt::format("{} ended at the service", counted(ended.grants, "grant"));
  if (missing.empty())
    return std::move(cause).in(
        fmt::format("{}; all transactions ({}) are marked on the lane {}, and whether nodes have "
                    "applied that is not known",
                    done, marks.made, lane));
  return std::move(cause).in(fmt::format(
      "{}; {} of {} are marked on the lane {}. Not marked, so that their tokens live until they "
      "end: {}. Run the same command again, or with --no-lane",
      done, marks.made, counted(ended.txns.size(), "transaction"), lane,
      joined(missing, kNamedMax)));
}

json::array json_of(const std::vector<std::string>& texts) {
  json::array out;
  for (const std::string& text : texts) out.emplace_back(text);
  return out;
}

int tell_without_lane(const Context& context, const Ended& ended) {
  std::string text = fmt::format("Revoked {}.\n", counted(ended.grants, "grant"));
  if (!ended.txns.empty())
    text += fmt::format(
        "Tokens of these transactions live until they end; a mark on a lane ends them:\n  {}\n",
        joined(ended.txns, ended.txns.size()));
  context.output.result(
      text,
      json::object{{"grants", ended.grants}, {"txns", json_of(ended.txns)}, {"lane", nullptr}});
  return exit_code::kOk;
}

Result<int> run_revoke(const Context& context, const RevokeOptions& options) {
  if (options.grant.empty() == options.txn.empty())
    return fail(ErrorCode::kUsage, "name what is revoked, once: --grant ID, or --txn TXN");
  NOTP_ASSIGN(const TxnService service, TxnService::open(context, options.service.url));
  NOTP_ASSIGN(const Ended ended, end_grants(service, options));
  if (options.no_lane || ended.txns.empty()) return tell_without_lane(context, ended);
  const std::string lane = options.lane.empty() ? ended.lane : options.lane;
  Marks marks;
  if (lane.empty() || ended.issuer.empty())
    return std::unexpected(
        half_done({ErrorCode::kUsage,
                   "the service follows no lane: name one with --lane, or leave it with --no-lane",
                   {}},
                  ended, "-", marks));
  if (auto marked = mark(context, lane, ended, options.wait, marks); !marked)
    return std::unexpected(half_done(std::move(marked).error(), ended, lane, marks));
  context.output.result(
      fmt::format("Revoked {}. {} on the lane {}, revision {}: no token of them is valid.\n  {}\n",
                  counted(ended.grants, "grant"), counted(ended.txns.size(), "transaction"), lane,
                  marks.change.revision, joined(ended.txns, kNamedMax)) +
          nodes_text(marks.change, options.wait),
      json::object{{"grants", ended.grants},
                   {"txns", json_of(ended.txns)},
                   {"lane", lane},
                   {"revision", marks.change.revision},
                   {"nodes", marks.change.nodes},
                   {"applied", marks.change.applied}});
  return lane_change_exit(marks.change, options.wait);
}

void declare_list(CLI::App& command, ListOptions& options) {
  command
      .add_option("--client", options.client, "That this workload made, passed on, or may redeem")
      ->type_name("ID");
  command.add_option("--txn", options.txn, "Of this transaction, and of those made of it")
      ->type_name("TXN");
  command.add_option("--from", options.from, "From this one on: of the page before")
      ->type_name("ID");
  declare_service(command, options.service);
}

void declare_revoke(CLI::App& command, RevokeOptions& options) {
  command.add_option("--grant", options.grant, "This one, and what it was passed on as")
      ->type_name("ID");
  command.add_option("--txn", options.txn, "All of this transaction, and of those made of it")
      ->type_name("TXN");
  CLI::Option* lane = command.add_option(
      "--lane", options.lane, "The lane that ends their tokens; absent: that of the service");
  lane->type_name("NAME");
  command
      .add_flag("--no-lane", options.no_lane, "Leave the tokens, which live until they end by time")
      ->excludes(lane);
  declare_lane_wait(command, options.wait);
  declare_service(command, options.service);
  command.footer(
      "Shows --cert, whose identity has to be one of the service's txn.service.admins, and needs\n"
      "the right revoke at the registry. It may be repeated: what a failure says is not done, the\n"
      "same command does, for ten minutes after the first time.");
}

}  // namespace

void add_grants(Commands& commands, CLI::App& txn) {
  CLI::App* grants = txn.add_subcommand("grants", "What workloads may still redeem");
  grants->require_subcommand(1);
  commands.add<ListOptions>(*grants, "list", "The grants, by their ids", declare_list, run_list);
  commands.add<RevokeOptions>(*grants, "revoke",
                              "End a grant, or all of a transaction, and the tokens made of them",
                              declare_revoke, run_revoke);
}

}  // namespace notp::cli
