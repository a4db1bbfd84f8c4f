// notp tokens: what the token lanes of a registry know, and revocations by hand.
#include <fmt/format.h>

#include <iostream>
#include <iterator>
#include <optional>

#include "common/storage/files.hpp"
#include "tools/notp/audit/times.hpp"
#include "tools/notp/query/query_session.hpp"
#include "tools/notp/registry/lane_change.hpp"
#include "tools/notp/registry/token_rows.hpp"

namespace notp::cli {
namespace {

constexpr size_t kTokenBytesMax = 64 << 10;
constexpr TimeMs kSecondMs = 1'000;

struct StatsOptions {
  std::string lane;
};

// A token, by what it is or by its id.
struct TokenOptions {
  std::string file, id;
  bool is_given() const { return !file.empty() || !id.empty(); }
};

struct ShowOptions {
  std::string lane;
  TokenOptions token;
};

struct RevokeOptions {
  std::string lane;
  TokenOptions token;
  std::string subject, session, number, transaction, issuer, before;
  LaneWait wait;
};

// Only its hash leaves this process.
Result<feed::TokenId> token_id(const TokenOptions& options) {
  if (!options.id.empty()) {
    auto id = feed::TokenId::from_hex(options.id);
    if (!id) return fail(ErrorCode::kUsage, id.error().message);
    return id;
  }
  Bytes text;
  if (options.file == "-") {
    text.assign(std::istreambuf_iterator<char>(std::cin), {});
  } else {
    NOTP_ASSIGN(text, read_file(options.file, kTokenBytesMax));
  }
  const size_t end = text.find_last_not_of(" \t\r\n");
  if (end == Bytes::npos || text.size() > kTokenBytesMax)
    return fail(ErrorCode::kUsage, "there is no token in that file");
  const size_t begin = text.find_first_not_of(" \t\r\n");
  return feed::token_id(std::string_view(text).substr(begin, end + 1 - begin));
}

Result<int> run_stats(const Context& context, const StatsOptions& options) {
  NOTP_ASSIGN(const Settings settings, context.settings());
  NOTP_ASSIGN(const QuerySession session, open_query_session(context, settings));
  NOTP_ASSIGN(const wire::LanesPage page,
              session.client->ask(wire::LanesRequest{.lane = options.lane}));
  const TimeMs now_ms = context.now.wall_ms;
  json::array rows;
  for (const wire::LaneRow& row : page.rows) rows.push_back(lane_json(row, now_ms));
  context.output.result(lanes_text(context.output, page.rows, now_ms),
                        json::object{{"lanes", std::move(rows)}, {"more", page.more}});
  return exit_code::kOk;
}

Result<int> run_show(const Context& context, const ShowOptions& options) {
  if (!options.token.is_given())
    return fail(ErrorCode::kUsage, "name the token: --token-file FILE, or --id HEX");
  NOTP_ASSIGN(const feed::TokenId id, token_id(options.token));
  NOTP_ASSIGN(const Settings settings, context.settings());
  NOTP_ASSIGN(const QuerySession session, open_query_session(context, settings));
  NOTP_ASSIGN(const wire::TokenRow row,
              session.client->ask(wire::ShowToken{.lane = options.lane, .id = id}));
  json::object document = token_json(row);
  document["id"] = id.hex();
  context.output.result(token_text(context.output, row, context.now.wall_ms), document);
  return exit_code::kOk;
}

// A session and a number name what exists already, whenever it was issued; a subject goes on.
Result<std::optional<wire::MarkTarget>> mark_of(const RevokeOptions& options, TimeMs now_ms) {
  const std::tuple<feed::MarkKind, const std::string&, int64_t> kinds[] = {
      {feed::MarkKind::kSubject, options.subject, 0},
      {feed::MarkKind::kSession, options.session, feed::kAnyIssueTime},
      {feed::MarkKind::kTokenNumber, options.number, feed::kAnyIssueTime},
      {feed::MarkKind::kTransaction, options.transaction, feed::kAnyIssueTime}};
  std::optional<wire::MarkTarget> out;
  for (const auto& [kind, value, not_before_s] : kinds)
    if (!value.empty()) out = {kind, options.issuer, value, not_before_s};
  if (!out) {
    if (!options.before.empty() || !options.issuer.empty())
      return fail(ErrorCode::kUsage, "--issuer and --before go with --sub, --sid, --jti or --txn");
    return out;
  }
  if (options.issuer.empty())
    return fail(ErrorCode::kUsage,
                "--sub, --sid, --jti and --txn need --issuer: iss of the tokens");
  if (!options.before.empty()) {
    NOTP_ASSIGN(const TimeMs before_ms, parse_time(options.before, now_ms));
    out->not_before_s = before_ms / kSecondMs;
  }
  return out;
}

Result<int> run_revoke(const Context& context, const RevokeOptions& options) {
  NOTP_ASSIGN(const auto mark, mark_of(options, context.now.wall_ms));
  if (mark.has_value() == options.token.is_given())
    return fail(ErrorCode::kUsage,
                "name what is revoked, once: --token-file FILE, --id HEX, or one of --sub, --sid, "
                "--jti and --txn with --issuer");
  wire::RevokeTokens order{.lane = options.lane, .id = {}, .mark = mark};
  if (options.token.is_given()) {
    NOTP_ASSIGN(order.id, token_id(options.token));
  }
  NOTP_ASSIGN(const Settings settings, context.settings());
  NOTP_ASSIGN(const QuerySession session, open_query_session(context, settings));
  NOTP_ASSIGN(wire::LaneChange change, session.client->ask(order));
  NOTP_ASSIGN(change, wait_for_nodes(*session.client, options.lane, options.wait, change));
  json::object document{{"lane", options.lane},
                        {"revision", change.revision},
                        {"nodes", change.nodes},
                        {"applied", change.applied}};
  if (order.id) document["id"] = order.id->hex();
  context.output.result(
      fmt::format("Revoked: revision {}.\n", change.revision) + nodes_text(change, options.wait),
      document);
  return lane_change_exit(change, options.wait);
}

void declare_lane(CLI::App& command, std::string& lane) {
  command.add_option("--lane", lane, "The lane, as the registry's configuration calls it")
      ->type_name("NAME")
      ->required();
}

void declare_token(CLI::App& command, TokenOptions& options) {
  CLI::Option* file =
      command.add_option("--token-file", options.file,
                         "File with the token; - for standard input. Only its hash is sent");
  file->type_name("FILE");
  command.add_option("--id", options.id, "Its id: SHA-256 of the token, or the front of it")
      ->type_name("HEX")
      ->excludes(file);
}

void declare_revoke(CLI::App& command, RevokeOptions& options) {
  declare_lane(command, options.lane);
  declare_token(command, options.token);
  CLI::Option* sub =
      command.add_option("--sub", options.subject, "All of a subject, issued so far");
  CLI::Option* sid = command.add_option("--sid", options.session, "All of a session");
  CLI::Option* jti = command.add_option("--jti", options.number, "The token with this jti");
  CLI::Option* txn = command.add_option("--txn", options.transaction, "All of a transaction");
  sub->type_name("SUB")->excludes(sid)->excludes(jti)->excludes(txn);
  sid->type_name("SID")->excludes(jti)->excludes(txn);
  jti->type_name("JTI")->excludes(txn);
  txn->type_name("TXN");
  command.add_option("--issuer", options.issuer, "iss of what is revoked, byte for byte")
      ->type_name("URL");
  command
      .add_option(
          "--before", options.before,
          "What was issued up to this time: 2026-07-01T12:00:00Z, or 2h ago as 2h; absent: "
          "for a subject up to 5 s from now, since clocks differ, else whenever it was issued")
      ->type_name("TIME");
  declare_lane_wait(command, options.wait);
  command.footer(
      "Needs the right revoke. Answers once it is durable at the registry. With --wait it exits\n"
      "with the code of a timeout if a connected node has not applied it in time.");
}

}  // namespace

void add_tokens(Commands& commands) {
  CLI::App* tokens = commands.root().add_subcommand(
      "tokens", "Token lanes: which tokens are alive, and which are revoked");
  tokens->require_subcommand(1);
  commands.add<StatsOptions>(
      *tokens, "stats", "What the lanes hold, how far the nodes are, and where events come from",
      [](CLI::App& command, StatsOptions& options) {
        command.add_option("--lane", options.lane, "This lane alone")->type_name("NAME");
        command.footer("Needs the right fleet.");
      },
      run_stats);
  commands.add<RevokeOptions>(*tokens, "revoke", "Revoke a token, or all of a subject or session",
                              declare_revoke, run_revoke);
  commands.add<ShowOptions>(
      *tokens, "show", "What a lane knows of a token",
      [](CLI::App& command, ShowOptions& options) {
        declare_lane(command, options.lane);
        declare_token(command, options.token);
        command.footer("Needs the right revoke: it shows whose token it is.");
      },
      run_show);
}

}  // namespace notp::cli
