// notp diff, history, ledgers, nodes: what a registry knows.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "common/limits.hpp"
#include "tools/notp/command.hpp"
#include "tools/notp/external_diff.hpp"
#include "tools/notp/proposal.hpp"
#include "tools/notp/reference.hpp"

namespace notp::cli {
namespace {

struct DiffOptions {
  std::vector<std::string> arguments;  // [ledger] old new
  bool stat = false;
  bool exit_code = false;
};

Result<int> run_diff(const Context& context, const DiffOptions& options) {
  NOTP_ASSIGN(const Settings settings, context.settings());
  const size_t named = options.arguments.size() == 3 ? 1 : 0;
  NOTP_ASSIGN(const LedgerId ledger,
              choose_ledger(named ? options.arguments[0] : std::string(), settings));
  NOTP_ASSIGN(const uint64_t old_version, parse_version(options.arguments[named]));
  NOTP_ASSIGN(const uint64_t new_version, parse_version(options.arguments[named + 1]));
  NOTP_ASSIGN(const auto source,
              ReleaseSource::open(settings, context.environment, context.output, ledger));
  NOTP_ASSIGN(const PulledReleasePtr before, source->pull(old_version));
  NOTP_ASSIGN(const PulledReleasePtr after, source->pull(new_version));
  const std::vector<Change> changes = compare_trees(*before->content.tree, *after->content.tree);
  const RootsChange roots = compare_roots(before->release().roots, after->release().roots);
  const int code = options.exit_code && !changes.empty() ? exit_code::kChanges : exit_code::kOk;
  if (context.output.is_json() || options.stat || changes.empty()) {
    std::string text = changes_text(context.output, changes, changes.size());
    text += changes.empty()
                ? fmt::format("v{} and v{} have the same content.\n", old_version, new_version)
                : fmt::format("{}\n", done_text(count_changes(changes)));
    context.output.result(
        text,
        json::object{
            {"ledger", ledger.text()},
            {"from_version", old_version},
            {"to_version", new_version},
            {"changes", changes_json(changes)},
            {"counts", counts_json(count_changes(changes))},
            {"roots",
             json::object{{"added", json::array(roots.added.begin(), roots.added.end())},
                          {"removed", json::array(roots.removed.begin(), roots.removed.end())}}}});
    return code;
  }
  NOTP_TRY(run_external_diff(context.environment, context.output.has_colour(), changes,
                             before->content, fmt::format("v{}", old_version), after->content,
                             fmt::format("v{}", new_version)));
  return code;
}

// A session for questions alone. The trust domain comes from the settings or from the pinned root.
Result<std::unique_ptr<RegistryClient>> connect_to_ask(const Settings& settings,
                                                       const std::optional<Root>& root) {
  const std::string domain = root ? root->trust_domain : settings.trust_domain;
  if (domain.empty())
    return std::unexpected(Error{ErrorCode::kUsage, "the trust domain is not known", {}}.with(
        "hint", "give --root FILE or --trust-domain"));
  return RegistryClient::connect(settings, domain, root ? root->version : 0, {});
}

Result<std::optional<Root>> optional_root(const Settings& settings, TimeMs now_ms) {
  if (settings.root.empty()) return std::nullopt;
  NOTP_ASSIGN(Root root, load_root(settings, now_ms));
  return root;
}

struct HistoryOptions {
  std::string ledger;
  uint32_t rows = 20;
};

Result<std::vector<wire::HistoryRow>> ask_history(RegistryClient& client, const LedgerId& ledger,
                                                  uint32_t rows_max) {
  std::vector<wire::HistoryRow> rows;
  while (rows.size() < rows_max) {
    wire::HistoryQuery query;
    query.ledger = ledger;
    query.below_version = rows.empty() ? 0 : rows.back().version;
    query.rows_max =
        static_cast<uint32_t>(std::min<size_t>(rows_max - rows.size(), limits::kQueryRowsMax));
    NOTP_ASSIGN(wire::Answer answer, client.ask({0, query}));
    const bool stuck = answer.history.empty() ||
                       (!rows.empty() && answer.history.front().version >= rows.back().version);
    if (stuck) break;
    std::ranges::move(answer.history, std::back_inserter(rows));
    if (!answer.more) break;
  }
  if (rows.size() > rows_max) rows.resize(rows_max);
  return rows;
}

// Does the pinned root vouch for what the row says?
bool is_verified(const wire::HistoryRow& row, const Root& root, const LedgerId& ledger) {
  const auto verified = verify_ignoring_expiry(row.envelope, root, ledger, {});
  return verified && verified->release.version == row.version &&
         verified->hash == row.release_hash && verified->release.content_root == row.content_root;
}

std::string first_line(const std::string& message) {
  return printable(message.substr(0, message.find('\n')), 72);
}

Result<int> run_history(const Context& context, const HistoryOptions& options) {
  NOTP_ASSIGN(const Settings settings, context.settings());
  NOTP_ASSIGN(const LedgerId ledger, choose_ledger(options.ledger, settings));
  NOTP_ASSIGN(const auto root, optional_root(settings, context.now.wall_ms));
  NOTP_ASSIGN(const auto client, connect_to_ask(settings, root));
  NOTP_ASSIGN(const auto rows, ask_history(*client, ledger, options.rows));
  std::vector<std::vector<std::string>> lines{
      {"VERSION", "ISSUED", "AGE", "PUBLISHER", "FILES", "SIZE", "COMMIT", "MESSAGE"}};
  json::array releases;
  bool any_unverified = false;
  for (const wire::HistoryRow& row : rows) {
    const bool verified = root && is_verified(row, *root, ledger);
    any_unverified = any_unverified || (root && !verified);
    lines.push_back({fmt::format("v{}{}", row.version, root && !verified ? " !" : ""),
                     utc_time(row.issued_ms), age(row.issued_ms, context.now.wall_ms),
                     short_identity(row.publisher), human_count(row.file_count),
                     human_bytes(row.total_bytes), printable(row.commit.substr(0, 12)),
                     first_line(row.message)});
    json::object object{{"version", row.version},
                        {"release", row.release_hash.hex()},
                        {"content_root", row.content_root.hex()},
                        {"issued", utc_time(row.issued_ms)},
                        {"publisher", row.publisher},
                        {"files", row.file_count},
                        {"bytes", row.total_bytes},
                        {"commit", row.commit},
                        {"message", row.message}};
    if (root) object["verified"] = verified;
    releases.push_back(std::move(object));
  }
  context.output.result(rows.empty() ? fmt::format("{} has no release yet.\n", ledger.text())
                                     : table(context.output, lines),
                        json::object{{"ledger", ledger.text()}, {"releases", std::move(releases)}});
  if (any_unverified)
    context.output.note(
        "warning: releases marked ! are not signed by keys that the pinned root names for this "
        "ledger");
  return exit_code::kOk;
}

struct NoOptions {};

Result<int> run_ledgers(const Context& context, const NoOptions&) {
  NOTP_ASSIGN(const Settings settings, context.settings());
  NOTP_ASSIGN(const auto root, optional_root(settings, context.now.wall_ms));
  NOTP_ASSIGN(const auto client, connect_to_ask(settings, root));
  NOTP_ASSIGN(const wire::Answer answer, client->ask({0, wire::LedgersQuery{}}));
  std::vector<std::vector<std::string>> lines{{"LEDGER", "VERSION", "RELEASE", "CONTENT ROOT"}};
  json::array ledgers;
  for (const wire::Head& head : answer.ledgers) {
    lines.push_back({head.ledger.text(), fmt::format("v{}", head.version),
                     head.release_hash.brief(), head.content_root.brief()});
    ledgers.push_back(json::object{{"ledger", head.ledger.text()},
                                   {"version", head.version},
                                   {"epoch", head.epoch},
                                   {"release", head.release_hash.hex()},
                                   {"content_root", head.content_root.hex()}});
  }
  context.output.result(answer.ledgers.empty() ? "The registry has no ledger that you may read.\n"
                                               : table(context.output, lines),
                        json::object{{"ledgers", std::move(ledgers)}});
  return exit_code::kOk;
}

struct NodesOptions {
  std::string ledger;
  bool behind = false;
};

Result<std::vector<wire::NodeRow>> ask_nodes(RegistryClient& client) {
  std::vector<wire::NodeRow> rows;
  while (true) {
    wire::NodesQuery query;
    query.after = rows.empty() ? std::string() : rows.back().identity;
    query.rows_max = static_cast<uint32_t>(limits::kQueryRowsMax);
    NOTP_ASSIGN(wire::Answer answer, client.ask({0, query}));
    const bool forward = !answer.nodes.empty() &&
                         (rows.empty() || answer.nodes.front().identity > rows.back().identity);
    if (!forward) break;
    std::ranges::move(answer.nodes, std::back_inserter(rows));
    if (!answer.more) break;
  }
  return rows;
}

std::string state_name(wire::CommitState state) {
  switch (state) {
    case wire::CommitState::kStored:
      return "stored";
    case wire::CommitState::kActive:
      return "active";
    case wire::CommitState::kRejected:
      return "rejected";
  }
  return "unknown";
}

std::string state_cell(const Output& output, wire::CommitState state) {
  std::string name = state_name(state);
  switch (state) {
    case wire::CommitState::kStored:
      return output.paint(Colour::kYellow, name);
    case wire::CommitState::kActive:
      return output.paint(Colour::kGreen, name);
    case wire::CommitState::kRejected:
      return output.paint(Colour::kRed, name);
  }
  return name;
}

std::string version_cell(uint64_t version) {
  return version == 0 ? "-" : fmt::format("v{}", version);
}

uint64_t lag_of(const wire::NodeLedger& ledger) {
  return ledger.head_version > ledger.active_version ? ledger.head_version - ledger.active_version
                                                     : 0;
}

struct NodeFilter {
  std::optional<LedgerId> ledger;
  bool behind = false;
  bool takes(const wire::NodeLedger& row) const {
    return (!ledger || row.ledger == *ledger) && (!behind || lag_of(row) > 0);
  }
};

json::object node_ledger_json(const wire::NodeLedger& row) {
  json::object object{{"ledger", row.ledger.text()},      {"version", row.version},
                      {"state", state_name(row.state)},   {"active_version", row.active_version},
                      {"head_version", row.head_version}, {"lag", lag_of(row)},
                      {"since", utc_time(row.since_ms)}};
  if (row.code != 0)
    object["error"] = json::object{{"code", error_traits(error_code_from_wire(row.code)).name},
                                   {"message", row.message}};
  return object;
}

Result<int> run_nodes(const Context& context, const NodesOptions& options) {
  NOTP_ASSIGN(const Settings settings, context.settings());
  NodeFilter filter{{}, options.behind};
  if (!options.ledger.empty()) {
    NOTP_ASSIGN(filter.ledger, LedgerId::parse(options.ledger));
  }
  NOTP_ASSIGN(const auto root, optional_root(settings, context.now.wall_ms));
  NOTP_ASSIGN(const auto client, connect_to_ask(settings, root));
  NOTP_ASSIGN(const std::vector<wire::NodeRow> nodes, ask_nodes(*client));
  std::vector<std::vector<std::string>> lines{
      {"NODE", "LEDGER", "VERSION", "STATE", "ACTIVE", "HEAD", "LAG", "SEEN", "ERROR"}};
  json::array documents;
  const bool filtered = filter.ledger || filter.behind;
  for (const wire::NodeRow& node : nodes) {
    const std::string name = short_identity(node.identity);
    const std::string seen = node.connected ? "connected" : age(node.seen_ms, context.now.wall_ms);
    json::array ledgers;
    for (const wire::NodeLedger& row : node.ledgers) {
      if (!filter.takes(row)) continue;
      lines.push_back({name, row.ledger.text(), version_cell(row.version),
                       state_cell(context.output, row.state), version_cell(row.active_version),
                       version_cell(row.head_version),
                       lag_of(row) == 0 ? "-" : std::to_string(lag_of(row)), seen,
                       first_line(row.message)});
      ledgers.push_back(node_ledger_json(row));
    }
    if (ledgers.empty() && filtered) continue;
    if (ledgers.empty()) lines.push_back({name, "-", "-", "-", "-", "-", "-", seen, ""});
    documents.push_back(json::object{{"node", node.identity},
                                     {"agent", node.agent},
                                     {"connected", node.connected},
                                     {"seen", utc_time(node.seen_ms)},
                                     {"ledgers", std::move(ledgers)}});
  }
  const std::string none =
      filtered ? "No node matches.\n" : "No node has been seen by this registry yet.\n";
  context.output.result(lines.size() == 1 ? none : table(context.output, lines),
                        json::object{{"nodes", std::move(documents)}});
  return exit_code::kOk;
}

}  // namespace

void add_diff(Commands& commands) {
  commands.add<DiffOptions>(
      commands.root(), "diff", "Show what changed between two releases",
      [](CLI::App& command, DiffOptions& options) {
        command
            .add_option("releases", options.arguments,
                        "The ledger (default: the configuration's), the old and the new version")
            ->type_name("[ZONE/NAME] vOLD vNEW")
            ->expected(2, 3)
            ->required();
        command.add_flag("--stat", options.stat, "Names and sizes only");
        command.add_flag("--exit-code", options.exit_code,
                         "Exit with 10 when there are changes, 0 when there are none");
        command.footer(
            "The text comes from 'git diff --no-index', or from the program in "
            "NOTP_EXTERNAL_DIFF,\nwhich gets two folders.");
      },
      run_diff);
}

void add_history(Commands& commands) {
  commands.add<HistoryOptions>(
      commands.root(), "history", "List the releases of a ledger, newest first",
      [](CLI::App& command, HistoryOptions& options) {
        command.add_option("ledger", options.ledger, "The ledger (default: the configuration's)")
            ->type_name("ZONE/NAME");
        command.add_option("-n,--limit", options.rows, "How many releases at most")
            ->check(CLI::Range(1U, 1'000'000U))
            ->type_name("N")
            ->capture_default_str();
      },
      run_history);
}

void add_ledgers(Commands& commands) {
  commands.add<NoOptions>(
      commands.root(), "ledgers", "List the ledgers of the registry", [](CLI::App&, NoOptions&) {},
      run_ledgers);
}

void add_nodes(Commands& commands) {
  commands.add<NodesOptions>(
      commands.root(), "nodes", "List the nodes: which release each one runs, and who lags",
      [](CLI::App& command, NodesOptions& options) {
        command.add_option("--ledger", options.ledger, "Only this ledger")->type_name("ZONE/NAME");
        command.add_flag("--behind", options.behind, "Only where the head is not active");
      },
      run_nodes);
}

}  // namespace notp::cli
