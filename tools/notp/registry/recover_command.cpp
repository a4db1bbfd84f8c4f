// notp registry recover: has a registry fetch from its nodes what it has lost.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "tools/notp/command.hpp"
#include "tools/notp/confirm.hpp"
#include "tools/notp/query/query_session.hpp"
#include "tools/notp/registry/registry_commands.hpp"

namespace notp::cli {
namespace {

constexpr std::chrono::milliseconds kPoll{300};
constexpr size_t kSilentShown = 5;

struct RecoverOptions {
  bool plan = false;
  bool yes = false;
  bool accept_silent = false;
  bool accept_missing = false;
};

bool is_lost(const wire::RecoveryRow& row) { return row.state != wire::RecoveryState::kRecovered; }

bool is_whole(const wire::RecoveryStatus& status) {
  return status.restored_ms == 0 && status.newest_root <= status.root_version &&
         std::ranges::none_of(status.rows, is_lost);
}

uint64_t lost_releases(const wire::RecoveryStatus& status) {
  uint64_t out = 0;
  for (const wire::RecoveryRow& row : status.rows)
    if (is_lost(row) && row.newest_version > row.head_version)
      out += row.newest_version - row.head_version;
  return out;
}

std::string_view state_name(wire::RecoveryState state) {
  switch (state) {
    case wire::RecoveryState::kLost:
      return "lost";
    case wire::RecoveryState::kFetching:
      return "fetching";
    case wire::RecoveryState::kRecovered:
      return "recovered";
    case wire::RecoveryState::kFork:
      return "fork";
  }
  return "unknown";
}

std::string state_cell(const Output& output, wire::RecoveryState state) {
  const bool is_good = state == wire::RecoveryState::kRecovered;
  const bool is_bad = state == wire::RecoveryState::kFork;
  return output.paint(is_good  ? Colour::kGreen
                      : is_bad ? Colour::kRed
                               : Colour::kYellow,
                      state_name(state));
}

std::string head_cell(uint64_t version) { return version == 0 ? "-" : fmt::format("v{}", version); }

std::string rows_text(const Output& output, const std::vector<wire::RecoveryRow>& rows) {
  std::vector<std::vector<std::string>> lines{
      {"LEDGER", "HEAD", "NEWEST", "HOLDERS", "MISSING", "STATE"}};
  std::string remarks;
  for (const wire::RecoveryRow& row : rows) {
    lines.push_back(
        {row.ledger.text(), head_cell(row.head_version), fmt::format("v{}", row.newest_version),
         is_lost(row) ? std::to_string(row.holders) : "-",
         row.missing == 0 ? "-" : printable(row.missing_versions), state_cell(output, row.state)});
    if (!row.message.empty())
      remarks += fmt::format("{}: {}\n", row.ledger.text(), printable(row.message));
  }
  return rows.empty() ? "" : table(output, lines) + remarks;
}

std::string silent_text(const wire::RecoveryStatus& status) {
  if (status.silent == 0) return fmt::format("{} known, all heard", status.nodes);
  std::vector<std::string> names;
  for (const std::string& node : status.silent_nodes)
    if (names.size() < kSilentShown) names.push_back(short_identity(node));
  return fmt::format("{} known, {} not heard since the registry started: {}{}", status.nodes,
                     status.silent, fmt::join(names, ", "),
                     status.silent > names.size() ? ", …" : "");
}

std::string restored_text(const wire::RecoveryStatus& status, TimeMs now_ms) {
  const std::string when = ago(status.restored_ms, now_ms);
  if (status.backup_ms == 0) return fmt::format("{}; of which backup is not known", when);
  return fmt::format("{}, from a backup of {}", when, utc_time(status.backup_ms));
}

std::string text_of(const Context& context, const wire::RecoveryStatus& status) {
  std::vector<std::pair<std::string, std::string>> rows;
  if (status.restored_ms != 0)
    rows.emplace_back("restored", restored_text(status, context.now.wall_ms));
  rows.emplace_back("nodes", silent_text(status));
  rows.emplace_back(
      "root", status.newest_root > status.root_version
                  ? fmt::format("v{} here, v{} at nodes", status.root_version, status.newest_root)
                  : fmt::format("v{}", status.root_version));
  std::string out = facts(rows) + rows_text(context.output, status.rows);
  if (is_whole(status)) return out + "Nothing is lost.\n";
  if (lost_releases(status) == 0 && status.restored_ms != 0)
    out += "No node has shown a release that this registry lacks.\n";
  return out;
}

json::object document_of(const wire::RecoveryStatus& status) {
  json::array ledgers;
  for (const wire::RecoveryRow& row : status.rows) {
    json::object object{{"ledger", row.ledger.text()},
                        {"head_version", row.head_version},
                        {"newest_version", row.newest_version},
                        {"holders", row.holders},
                        {"missing", row.missing},
                        {"state", state_name(row.state)}};
    if (row.missing > 0) object["missing_versions"] = row.missing_versions;
    if (!row.message.empty()) object["message"] = row.message;
    ledgers.push_back(std::move(object));
  }
  json::object out{
      {"is_whole", is_whole(status)},
      {"is_running", status.is_running},
      {"root_version", status.root_version},
      {"newest_root", status.newest_root},
      {"nodes", status.nodes},
      {"silent", status.silent},
      {"silent_nodes", json::array(status.silent_nodes.begin(), status.silent_nodes.end())},
      {"ledgers", std::move(ledgers)}};
  if (status.restored_ms != 0) out["restored"] = utc_time(status.restored_ms);
  if (status.backup_ms != 0) out["backup_made"] = utc_time(status.backup_ms);
  return out;
}

int show(const Context& context, const wire::RecoveryStatus& status) {
  context.output.result(text_of(context, status), document_of(status));
  return is_whole(status) ? exit_code::kOk : exit_code::kFailure;
}

std::string question_of(const wire::RecoveryStatus& status) {
  const uint64_t lost = lost_releases(status);
  return lost == 0 ? "Confirm that nothing is lost, so that publishing goes on?"
                   : fmt::format("Fetch {} from the nodes?", counted(lost, "lost release"));
}

// Waits until the registry has ended its work.
Result<wire::RecoveryStatus> follow(const Context& context, RegistryClient& client,
                                    uint64_t lost_before) {
  Progress progress(context.output, "recovering", ProgressUnit::kCount);
  for (;;) {
    NOTP_ASSIGN(wire::RecoveryStatus status, ask_recovery(client));
    const uint64_t lost = std::min(lost_before, lost_releases(status));
    progress.update(lost_before - lost, lost_before);
    if (!status.is_running) return status;
    std::this_thread::sleep_for(kPoll);
  }
}

// Without the newest root that was seen here: this registry may have lost it. What it says is its
// own word in any case.
Result<std::unique_ptr<RegistryClient>> connect(const Context& context, const Settings& settings) {
  std::string domain = settings.trust_domain;
  if (!settings.root.empty()) {
    NOTP_ASSIGN(const RootChain chain, RootChain::load(settings, context.environment));
    domain = chain.newest()->trust_domain;
  }
  if (domain.empty())
    return std::unexpected(Error{ErrorCode::kUsage, "the trust domain is not known", {}}.with(
        "hint", "give --root FILE or --trust-domain"));
  return RegistryClient::connect(settings, domain, 0, {});
}

Result<int> run_recover(const Context& context, const RecoverOptions& options) {
  NOTP_ASSIGN(const Settings settings, context.settings());
  NOTP_ASSIGN(const std::unique_ptr<RegistryClient> connected, connect(context, settings));
  RegistryClient& client = *connected;
  NOTP_ASSIGN(const wire::RecoveryStatus before, ask_recovery(client));
  if (options.plan || (is_whole(before) && !before.is_running)) return show(context, before);
  if (!options.yes) {
    context.output.note(text_of(context, before));
    NOTP_TRY(confirm(context.output, question_of(before)));
  }
  NOTP_TRY(client.ask(wire::Recover{.accept_silent = options.accept_silent,
                                    .accept_missing = options.accept_missing}));
  NOTP_ASSIGN(const wire::RecoveryStatus after, follow(context, client, lost_releases(before)));
  if (!is_whole(after))
    context.output.note("Not all is back: the registry's log says more (recovery_ended).");
  return show(context, after);
}

void declare_recover(CLI::App& command, RecoverOptions& options) {
  command.add_flag("--plan", options.plan, "Only show what is lost, and which nodes have it");
  command.add_flag("--yes", options.yes, "Do not ask");
  command.add_flag("--accept-silent", options.accept_silent,
                   "Begin although nodes have not been heard: what only they have is lost");
  command.add_flag("--accept-missing", options.accept_missing,
                   "Go on although no connected node holds some releases in between: they are lost "
                   "for good");
  command.footer(
      "A registry that was restored lacks what came after its backup. Nodes hold the releases,\n"
      "signed: the registry verifies each as when it was published. Until then it serves what it\n"
      "has, refuses publishes, and signs no freshness. It can be run again at any time.\n"
      "\n"
      "MISSING: versions that no connected node holds. STATE: lost, fetching, recovered, or fork:\n"
      "nodes have another history than the registry, which needs a new epoch.\n"
      "\n"
      "Exit codes: 0 nothing is lost, 1 something is.");
}

}  // namespace

void add_registry(Commands& commands) {
  CLI::App* registry =
      commands.root().add_subcommand("registry", "The registry itself: its tree, its recovery");
  registry->require_subcommand(1);
  commands.add<RecoverOptions>(*registry, "recover",
                               "Fetch from the nodes the releases that the registry has lost",
                               declare_recover, run_recover);
  add_registry_tree(commands, *registry);
}

}  // namespace notp::cli
