// notp diff, history, ledgers: show the releases of a registry.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "common/limits.hpp"
#include "common/size_text.hpp"
#include "tools/notp/command.hpp"
#include "tools/notp/publish/release_draft.hpp"
#include "tools/notp/query/external_diff.hpp"
#include "tools/notp/query/query_session.hpp"
#include "tools/notp/query/reference.hpp"

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
  NOTP_ASSIGN(const model::LedgerId ledger,
              choose_ledger(named ? options.arguments[0] : std::string(), settings));
  NOTP_ASSIGN(const uint64_t old_version, parse_version(options.arguments[named]));
  NOTP_ASSIGN(const uint64_t new_version, parse_version(options.arguments[named + 1]));
  NOTP_ASSIGN(const auto source,
              ReleaseSource::open(settings, context.environment, context.output, ledger));
  NOTP_ASSIGN(const PulledReleasePtr before, source->pull(old_version));
  NOTP_ASSIGN(const PulledReleasePtr after, source->pull(new_version));
  const std::vector<Change> changes = compare_trees(*before->content.tree, *after->content.tree);
  const RootsChange roots =
      compare_roots(before->release().data_roots, after->release().data_roots);
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

struct HistoryOptions {
  std::string ledger;
  uint32_t rows = 20;
};

// Checks the row's signatures against the roots.
bool is_verified(const wire::HistoryRow& row, const RootChain& chain,
                 const model::LedgerId& ledger) {
  const auto found = verify_ignoring_expiry(row.envelope, chain.all(), ledger, {});
  return found && found->verified.release().version == row.version &&
         found->verified.ref.release_hash == row.release_hash &&
         found->verified.release().content_root == row.content_root;
}

std::string version_cell(const Output& output, const wire::HistoryRow& row, bool is_suspect) {
  const std::string version = fmt::format("v{}{}", row.version, is_suspect ? " !" : "");
  return row.withdrawn.empty() ? version : output.paint(Colour::kRed, version + " withdrawn");
}

Result<int> run_history(const Context& context, const HistoryOptions& options) {
  NOTP_ASSIGN(const Settings settings, context.settings());
  NOTP_ASSIGN(const model::LedgerId ledger, choose_ledger(options.ledger, settings));
  NOTP_ASSIGN(const QuerySession session, open_query_session(context, settings));
  const std::optional<RootChain>& chain = session.chain;
  NOTP_ASSIGN(const auto rows, ask_history(*session.client, ledger, options.rows));
  std::vector<std::vector<std::string>> lines{
      {"VERSION", "ISSUED", "AGE", "PUBLISHER", "FILES", "SIZE", "COMMIT", "MESSAGE"}};
  json::array releases;
  bool any_unverified = false;
  for (const wire::HistoryRow& row : rows) {
    const bool verified = chain && is_verified(row, *chain, ledger);
    any_unverified = any_unverified || (chain && !verified);
    lines.push_back({version_cell(context.output, row, chain && !verified), utc_time(row.issued_ms),
                     age(row.issued_ms, context.now.wall_ms), short_identity(row.publisher),
                     human_count(row.file_count), size_text(row.total_bytes),
                     printable(row.commit.substr(0, 12)),
                     first_line(row.withdrawn.empty() ? row.message : row.withdrawn)});
    json::object object{{"version", row.version},
                        {"release", row.release_hash.hex()},
                        {"content_root", row.content_root.hex()},
                        {"issued", utc_time(row.issued_ms)},
                        {"publisher", row.publisher},
                        {"files", row.file_count},
                        {"bytes", row.total_bytes},
                        {"commit", row.commit},
                        {"message", row.message}};
    if (chain) object["verified"] = verified;
    if (!row.withdrawn.empty()) object["withdrawn"] = row.withdrawn;
    releases.push_back(std::move(object));
  }
  context.output.result(rows.empty() ? fmt::format("{} has no release yet.\n", ledger.text())
                                     : table(context.output, lines),
                        json::object{{"ledger", ledger.text()}, {"releases", std::move(releases)}});
  if (any_unverified)
    context.output.note(
        "warning: releases marked ! are not signed by keys that the roots name for this ledger");
  return exit_code::kOk;
}

struct NoOptions {};

Result<int> run_ledgers(const Context& context, const NoOptions&) {
  NOTP_ASSIGN(const Settings settings, context.settings());
  NOTP_ASSIGN(const QuerySession session, open_query_session(context, settings));
  NOTP_ASSIGN(const ShownLedgers shown, ask_ledgers(*session.client));
  std::vector<std::vector<std::string>> lines{{"LEDGER", "VERSION", "RELEASE", "CONTENT ROOT"}};
  json::array ledgers;
  for (const trust::ReleaseRef& head : shown.heads) {
    lines.push_back({head.ledger.text(), fmt::format("v{}", head.version),
                     head.release_hash.brief(), head.content_root.brief()});
    ledgers.push_back(json::object{{"ledger", head.ledger.text()},
                                   {"version", head.version},
                                   {"epoch", head.epoch},
                                   {"release", head.release_hash.hex()},
                                   {"content_root", head.content_root.hex()}});
  }
  json::array damaged;
  for (const wire::Refusal& refusal : shown.damaged) {
    lines.push_back(
        {refusal.ledger.text(), context.output.paint(Colour::kRed, "damaged"), "-", "-"});
    damaged.push_back(json::object{{"ledger", refusal.ledger.text()},
                                   {"code", error_traits(refusal.code).name},
                                   {"message", refusal.message}});
  }
  context.output.result(lines.size() == 1 ? "The registry has no ledger that you may read.\n"
                                          : table(context.output, lines),
                        json::object{{"ledgers", std::move(ledgers)}, {"damaged", damaged}});
  for (const wire::Refusal& refusal : shown.damaged)
    context.output.note("warning: " + printable(refusal.message));
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

}  // namespace notp::cli
