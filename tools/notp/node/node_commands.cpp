// notp nodes, node list, show, enroll: lists the fleet and enrolls new members.
#include "tools/notp/node/node_commands.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/limits.hpp"
#include "protocol/session/identity.hpp"
#include "protocol/transport/endpoint.hpp"
#include "protocol/transport/join_token.hpp"
#include "tools/notp/audit/audit_commands.hpp"
#include "tools/notp/command.hpp"
#include "tools/notp/duration.hpp"
#include "tools/notp/query/query_session.hpp"

namespace notp::cli {
namespace {

constexpr size_t kMessageLineBytesMax = 500;

struct NodesOptions {
  std::string ledger;
  bool lagging = false;
};

std::string state_cell(const Output& output, wire::CommitState state) {
  const std::string_view name = wire::commit_state_name(state);
  switch (state) {
    case wire::CommitState::kStored:
      return output.paint(Colour::kYellow, name);
    case wire::CommitState::kActive:
      return output.paint(Colour::kGreen, name);
    case wire::CommitState::kRejected:
      return output.paint(Colour::kRed, name);
  }
  return std::string(name);
}

// "fresh 12s": the node's state, and the age of its last proof that its release is the newest.
std::string freshness_cell(const Output& output, const wire::NodeLedger& row, TimeMs now_ms) {
  std::string text(trust::freshness_state_name(row.freshness));
  if (row.freshness != trust::FreshnessState::kUntracked && row.vouched_ms != 0)
    text += " " + age(row.vouched_ms, now_ms);
  switch (row.freshness) {
    case trust::FreshnessState::kUntracked:
      return output.paint(Colour::kDim, text);
    case trust::FreshnessState::kFresh:
      return output.paint(Colour::kGreen, text);
    case trust::FreshnessState::kStale:
      return output.paint(Colour::kYellow, text);
    case trust::FreshnessState::kExpired:
      return output.paint(Colour::kRed, text);
  }
  return text;
}

std::string version_cell(uint64_t version) {
  return version == 0 ? "-" : fmt::format("v{}", version);
}

uint64_t lag_of(const wire::NodeLedger& ledger) {
  return ledger.head_version > ledger.active_version ? ledger.head_version - ledger.active_version
                                                     : 0;
}

// Of the node's decision records at the registry: "-" when it ships none, "0s" when none is
// missing, else the age of the oldest one that is.
std::string log_lag_cell(const Output& output, const wire::NodeRow& node, TimeMs now_ms) {
  if (!node.lag_since_ms) return "-";
  if (*node.lag_since_ms == 0) return "0s";
  return output.paint(node.connected ? Colour::kYellow : Colour::kRed,
                      age(*node.lag_since_ms, now_ms));
}

std::string log_lag_text(TimeMs since_ms, TimeMs now_ms) {
  return since_ms == 0 ? "all records that the node has said it has are here"
                       : fmt::format("records are missing here, the oldest from {} ({})",
                                     utc_time(since_ms), ago(since_ms, now_ms));
}

int64_t log_lag_s(TimeMs since_ms, TimeMs now_ms) {
  return since_ms == 0 ? 0 : std::max<int64_t>(0, (now_ms - since_ms) / 1'000);
}

struct NodeFilter {
  std::optional<model::LedgerId> ledger;
  bool lagging = false;
  bool takes(const wire::NodeLedger& row) const {
    return (!ledger || row.ledger == *ledger) && (!lagging || lag_of(row) > 0);
  }
};

json::object node_ledger_json(const wire::NodeLedger& row, TimeMs now_ms) {
  json::object object{{"ledger", row.ledger.text()},
                      {"version", row.version},
                      {"state", wire::commit_state_name(row.state)},
                      {"active_version", row.active_version},
                      {"head_version", row.head_version},
                      {"lag", lag_of(row)},
                      {"since", utc_time(row.since_ms)},
                      {"freshness", trust::freshness_state_name(row.freshness)}};
  if (row.vouched_ms != 0) {
    object["vouched"] = utc_time(row.vouched_ms);
    object["age_s"] = std::max<int64_t>(0, (now_ms - row.vouched_ms) / 1000);
  }
  if (row.code != 0)
    object["error"] = json::object{{"code", error_traits(error_code_from_wire(row.code)).name},
                                   {"message", row.message}};
  return object;
}

json::object node_json(const wire::NodeRow& node, json::array ledgers, TimeMs now_ms) {
  json::object object{{"node", node.identity},
                      {"agent", node.user_agent},
                      {"connected", node.connected},
                      {"seen", utc_time(node.seen_ms)},
                      {"ledgers", std::move(ledgers)}};
  if (node.lag_since_ms) object["log_lag_s"] = log_lag_s(*node.lag_since_ms, now_ms);
  return object;
}

Result<int> run_nodes(const Context& context, const NodesOptions& options) {
  NOTP_ASSIGN(const Settings settings, context.settings());
  NodeFilter filter{{}, options.lagging};
  if (!options.ledger.empty()) {
    NOTP_ASSIGN(filter.ledger, model::LedgerId::parse(options.ledger));
  }
  NOTP_ASSIGN(const QuerySession session, open_query_session(context, settings));
  NOTP_ASSIGN(const std::vector<wire::NodeRow> nodes, ask_nodes(*session.client));
  std::vector<std::vector<std::string>> lines{{"NODE", "LEDGER", "VERSION", "STATE", "ACTIVE",
                                               "HEAD", "LAG", "FRESHNESS", "LOG-LAG", "SEEN",
                                               "ERROR"}};
  json::array documents;
  const bool filtered = filter.ledger || filter.lagging;
  for (const wire::NodeRow& node : nodes) {
    const std::string name = short_identity(node.identity);
    const std::string seen = node.connected ? "connected" : age(node.seen_ms, context.now.wall_ms);
    const std::string log_lag = log_lag_cell(context.output, node, context.now.wall_ms);
    json::array ledgers;
    for (const wire::NodeLedger& row : node.ledgers) {
      if (!filter.takes(row)) continue;
      lines.push_back({name, row.ledger.text(), version_cell(row.version),
                       row.version == 0 ? "-" : state_cell(context.output, row.state),
                       version_cell(row.active_version), version_cell(row.head_version),
                       lag_of(row) == 0 ? "-" : std::to_string(lag_of(row)),
                       freshness_cell(context.output, row, context.now.wall_ms), log_lag, seen,
                       first_line(row.message)});
      ledgers.push_back(node_ledger_json(row, context.now.wall_ms));
    }
    if (ledgers.empty() && filtered) continue;
    if (ledgers.empty())
      lines.push_back({name, "-", "-", "-", "-", "-", "-", "-", log_lag, seen, ""});
    documents.push_back(node_json(node, std::move(ledgers), context.now.wall_ms));
  }
  const std::string none =
      filtered ? "No node matches.\n" : "No node has been seen by this registry yet.\n";
  context.output.result(lines.size() == 1 ? none : table(context.output, lines),
                        json::object{{"nodes", std::move(documents)}});
  // An unknown head has a reason. A caller without access to ledgers does not see it.
  if (const auto ledgers = session.client->ask(wire::LedgersRequest{}))
    for (const wire::Refusal& refusal : ledgers->damaged)
      context.output.note("warning: " + printable(refusal.message));
  return exit_code::kOk;
}

struct NameOptions {
  std::string name;
};

// A message may have several lines: below the first one they are set in.
std::string indented_lines(std::string_view message) {
  std::string out;
  for (size_t at = 0; at < message.size();) {
    const std::string_view line = message.substr(at, message.find('\n', at) - at);
    out += (out.empty() ? "" : "\n      ") + printable(line, kMessageLineBytesMax);
    at += line.size() + 1;
  }
  return out;
}

std::string node_ledger_text(const Context& context, const wire::NodeLedger& row) {
  const TimeMs now_ms = context.now.wall_ms;
  std::vector<std::pair<std::string, std::string>> rows{
      {"active", version_cell(row.active_version)},
      {"head", version_cell(row.head_version)},
      {"last report", row.version == 0 ? "none"
                                       : fmt::format("{} {}, {}", version_cell(row.version),
                                                     state_cell(context.output, row.state),
                                                     ago(row.since_ms, now_ms))},
      {"freshness", freshness_cell(context.output, row, now_ms)}};
  if (row.vouched_ms != 0)
    rows.emplace_back("known newest", fmt::format("{} ({})", utc_time(row.vouched_ms),
                                                  ago(row.vouched_ms, now_ms)));
  if (row.code != 0)
    rows.emplace_back("error",
                      fmt::format("{}: {}", error_traits(error_code_from_wire(row.code)).name,
                                  indented_lines(row.message)));
  return fmt::format("{}\n{}", row.ledger.text(), facts(rows));
}

Result<int> run_show(const Context& context, const NameOptions& options) {
  NOTP_ASSIGN(const Settings settings, context.settings());
  NOTP_ASSIGN(const QuerySession session, open_query_session(context, settings));
  NOTP_ASSIGN(const session::Identity wanted, named_identity(options.name, session.trust_domain));
  NOTP_ASSIGN(const std::vector<wire::NodeRow> nodes, ask_nodes(*session.client));
  const auto node = std::ranges::find(nodes, wanted.text(), &wire::NodeRow::identity);
  if (node == nodes.end())
    return std::unexpected(Error{
        ErrorCode::kNotFound,
        fmt::format("the registry has never seen {}", wanted.text()),
        {}}.with("hint", "'notp node list' names those that it has"));
  std::vector<std::pair<std::string, std::string>> rows{
      {"agent", printable(node->user_agent)},
      {"session", node->connected ? "connected"
                                  : fmt::format("last seen {} ({})", utc_time(node->seen_ms),
                                                ago(node->seen_ms, context.now.wall_ms))}};
  if (node->lag_since_ms)
    rows.emplace_back("decisions", log_lag_text(*node->lag_since_ms, context.now.wall_ms));
  std::string text = fmt::format("{}\n{}", node->identity, facts(rows));
  json::array ledgers;
  for (const wire::NodeLedger& row : node->ledgers) {
    text += node_ledger_text(context, row);
    ledgers.push_back(node_ledger_json(row, context.now.wall_ms));
  }
  context.output.result(text, node_json(*node, std::move(ledgers), context.now.wall_ms));
  return exit_code::kOk;
}

struct EnrollOptions {
  std::string name;
  std::string ttl = "1h";
  bool replace = false;
  std::string address, registry_address;  // empty: from the registry's configuration
};

// Replaces the token's addresses by those given by the caller.
Result<std::string> with_addresses(const std::string& text, const EnrollOptions& options) {
  NOTP_ASSIGN(transport::JoinToken token, transport::JoinToken::decode(text));
  if (!options.address.empty()) token.address = options.address;
  if (!options.registry_address.empty()) token.registry = options.registry_address;
  return token.encode();
}

Result<int> run_enroll(const Context& context, const EnrollOptions& options) {
  for (const std::string& address : {options.address, options.registry_address})
    if (!address.empty()) NOTP_TRY(check_reachable_address(address));
  NOTP_ASSIGN(const TimeMs lifetime_ms, parse_duration(options.ttl));
  if (lifetime_ms > limits::kJoinTokenMsMax)
    return fail(ErrorCode::kUsage,
                fmt::format("--ttl {}: a join token lives {} days at most", options.ttl,
                            limits::kJoinTokenMsMax / (24LL * 3600 * 1000)));
  NOTP_ASSIGN(const Settings settings, context.settings());
  NOTP_ASSIGN(const QuerySession session, open_query_session(context, settings));
  NOTP_ASSIGN(const session::Identity node, named_identity(options.name, session.trust_domain));
  if (node.role != session::Role::kNode || !node.is_built_in())
    return fail(ErrorCode::kUsage, fmt::format("{} gets no certificate here: nodes that enrol are "
                                               "spiffe://{}/node/<name>",
                                               node.text(), session.trust_domain));
  NOTP_ASSIGN(const wire::IssuedToken issued,
              session.client->ask(wire::NewJoinToken{node.name, static_cast<uint64_t>(lifetime_ms),
                                                     options.replace}));
  NOTP_ASSIGN(const std::string token, with_addresses(issued.token, options));
  const std::string command = fmt::format("notp-client enroll --token {} --dir DIR", token);
  context.output.note("note: the token is shown this once, works once, and is a secret until then");
  context.output.result(
      fmt::format("A join token for {}, until {}:\n\n{}\n\nOn the node, with a folder for its key "
                  "and certificate:\n\n  {}\n",
                  node.text(), utc_time(context.now.wall_ms + lifetime_ms), token, command),
      json::object{{"node", node.text()},
                   {"token", token},
                   {"expires", utc_time(context.now.wall_ms + lifetime_ms)},
                   {"command", command}});
  return exit_code::kOk;
}

void declare_nodes(CLI::App& command, NodesOptions& options) {
  command.add_option("--ledger", options.ledger, "Only this ledger")->type_name("ZONE/NAME");
  command.add_flag("--behind", options.lagging, "Only where the head is not active");
  command.footer(
      "FRESHNESS: fresh, stale or expired by the terms of the release, and how long ago the node\n"
      "last received a statement that it is the newest; untracked when the root names no\n"
      "freshness key.\n"
      "LOG-LAG: age of the oldest decision record that the node has said it has and that is not\n"
      "at the registry; 0s when there is none, - for a node that ships none. Of a node that is\n"
      "away by its last word.");
}

}  // namespace

Result<session::Identity> named_identity(const std::string& name, const std::string& trust_domain) {
  const bool is_uri = name.contains("://");
  const std::string uri = is_uri ? name
                                 : fmt::format("spiffe://{}/{}{}", trust_domain,
                                               name.contains('/') ? "" : "node/", name);
  const auto id = model::SpiffeId::parse(uri);
  if (!id) return fail(ErrorCode::kUsage, id.error().message);
  if (id->trust_domain != trust_domain)
    return fail(ErrorCode::kUsage,
                fmt::format("{} is not of the trust domain {}", uri, trust_domain));
  // A mistyped role must not yield another id.
  if (is_uri && !session::Identity::is_built_in(*id))
    return session::Identity{trust_domain, session::Role::kNode, uri};
  auto identity = session::Identity::parse(uri);
  if (!identity)
    return std::unexpected(Error{ErrorCode::kUsage, identity.error().message, {}}.with(
        "hint", "other SPIFFE ids are written whole, as in spiffe://core.internal/ns/shop/till"));
  return identity;
}

void add_nodes(Commands& commands) {
  commands.add<NodesOptions>(commands.root(), "nodes",
                             "List the nodes: which release each one runs, and who lags",
                             declare_nodes, run_nodes);
}

void add_node(Commands& commands) {
  CLI::App* node = commands.root().add_subcommand(
      "node", "Enroll, list, look at, shut out and let in again the nodes of the fleet");
  node->require_subcommand(1);
  commands.add<EnrollOptions>(
      *node, "enroll", "Make a one-time token with which a new node gets its certificate",
      [](CLI::App& command, EnrollOptions& options) {
        command.add_option("name", options.name, "Name of the node")->type_name("NAME")->required();
        command.add_option("--ttl", options.ttl, "How long the token can be used")
            ->type_name("30m|1h|2d")
            ->capture_default_str();
        command
            .add_option("--address", options.address,
                        "Where the node joins, instead of what the registry's configuration says")
            ->type_name("HOST:PORT");
        command
            .add_option("--registry-address", options.registry_address,
                        "Where the node finds the registry, instead of what its configuration says")
            ->type_name("HOST:PORT");
        command.add_flag("--replace", options.replace,
                         "Give the name of a node that is there to another machine: the present "
                         "one is shut out when the token is used");
      },
      run_enroll);
  commands.add<NodesOptions>(*node, "list", "The same as 'notp nodes'", declare_nodes, run_nodes);
  commands.add<NameOptions>(
      *node, "show", "Show one node: what it decides with, and how fresh that is",
      [](CLI::App& command, NameOptions& options) {
        command.add_option("name", options.name, "Name of the node")->type_name("NAME")->required();
      },
      run_show);
  add_node_at(commands, *node);
  add_node_denials(commands, *node);
  add_node_release(commands, *node);
}

}  // namespace notp::cli
