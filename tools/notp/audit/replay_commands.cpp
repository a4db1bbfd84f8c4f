// notp decisions replay, impact: recorded decisions, evaluated again.
#include <fmt/format.h>

#include "common/json/json_indent.hpp"
#include "tools/notp/audit/audit_commands.hpp"
#include "tools/notp/audit/replay_text.hpp"
#include "tools/notp/workspace.hpp"

namespace notp::cli {
namespace {

constexpr uint64_t kReplayDefault = 1'000, kImpactDefault = 10'000;
constexpr std::string_view kImpactSince = "7d";

struct LimitOptions {
  uint64_t limit = 0;
  bool all = false;
  uint64_t decisions_max() const { return all ? UINT64_MAX : limit; }
};

void add_limit_options(CLI::App& command, LimitOptions& options) {
  auto* limit =
      command.add_option("-n,--limit", options.limit, "How many at most, the newest first")
          ->check(CLI::Range(1U, 1'000'000'000U))
          ->type_name("N")
          ->capture_default_str();
  command.add_flag("--all", options.all, "All that match")->excludes(limit);
}

Result<wire::DecisionFilter> filter_of(const AuditSession& session, const Context& context,
                                       const FilterOptions& options) {
  return make_filter(options, session.query.trust_domain, context.now.wall_ms,
                     release_finder(*session.query.client));
}

Result<ReplayReport> replay_matching(const Context& context, const AuditSession& session,
                                     const FilterOptions& filter_options, const LimitOptions& limit,
                                     DecisionReplay& replay) {
  NOTP_ASSIGN(wire::DecisionFilter filter, filter_of(session, context, filter_options));
  Progress progress(context.output, "Replaying, decisions", ProgressUnit::kCount);
  auto report = replay_decisions(*session.port, std::move(filter), limit.decisions_max(), replay,
                                 [&](uint64_t done) { progress.update(done, 0); });
  progress.clear();
  return report;
}

void print(const Context& context, const ReplayReport& report, const std::string& text,
           JsonObject front = {}) {
  if (context.output.is_json())
    context.output.raw(indent_json(replay_json(report, std::move(front))) + "\n");
  else
    context.output.raw(text);
  if (report.more)
    context.output.note(fmt::format("There may be more than these {}: --limit N, or --all.",
                                    human_count(report.total())));
}

std::string listed_text(const Output& output, const ReplayReport& report) {
  std::string text;
  for (const ReplayedDecision& each : report.listed) text += replayed_text(output, each);
  const uint64_t found = report.differs + report.cannot;
  if (report.listed.size() < found)
    text += fmt::format("and {} more\n", human_count(found - report.listed.size()));
  return text.empty() ? text : text + "\n";
}

// --- replay

struct ReplayCommandOptions {
  std::vector<std::string> ids;
  FilterOptions filter;
  LimitOptions limit{.limit = kReplayDefault};

  bool has_filter() const {
    const FilterOptions& f = filter;
    return !f.since.empty() || !f.until.empty() || !f.node.empty() || !f.ledger.empty() ||
           !f.path.empty() || !f.outcome.empty() || !f.release.empty() || !f.values.empty() ||
           !f.contains.empty();
  }
};

std::string replay_text(const Output& output, const ReplayReport& report) {
  if (report.total() == 0) return "No decision matches.\n";
  std::string text = listed_text(output, report);
  if (const std::string changes = changes_table(output, report); !changes.empty())
    text += changes + "\n";
  text += fmt::format("{} replayed: {} the same, {} differ, {} cannot be replayed.\n",
                      counted(report.total(), "decision"), human_count(report.same),
                      human_count(report.differs), human_count(report.cannot));
  return text + obstacles_text(report);
}

Result<int> run_replay(const Context& context, const ReplayCommandOptions& options) {
  if (!options.ids.empty() && options.has_filter())
    return fail(ErrorCode::kUsage, "give ids or filters, not both");
  for (const std::string& id : options.ids)
    if (!is_askable_id(id))
      return fail(ErrorCode::kUsage, "that is too long for the id of a decision");
  NOTP_ASSIGN(const Settings settings, context.settings());
  NOTP_ASSIGN(const AuditSession session, open_audit_session(context));
  RegistryArchive archive(context, settings);
  DecisionReplay replay(archive, {});
  auto report = options.ids.empty()
                    ? replay_matching(context, session, options.filter, options.limit, replay)
                    : replay_ids(*session.port, options.ids, replay);
  if (!report) return std::unexpected(std::move(report).error());
  print(context, *report, replay_text(context.output, *report));
  return report->differs > 0  ? exit_code::kFailure
         : report->cannot > 0 ? kExitGaps
                              : exit_code::kOk;
}

// --- impact

struct ImpactOptions {
  std::string folder = ".";
  FilterOptions filter;
  LimitOptions limit{.limit = kImpactDefault};
  bool detailed_exitcode = false;
};

std::string impact_text(const Output& output, const ReplayReport& report) {
  if (report.total() == 0) return "No recorded decision matches.\n";
  std::string text = listed_text(output, report);
  if (const std::string changes = changes_table(output, report); !changes.empty())
    text += changes + "\n";
  text += fmt::format(
      "With this model {} of {} would have another result; of {} nothing can be said.\n",
      human_count(report.differs), counted(report.total(), "recorded decision"),
      human_count(report.cannot));
  return text + obstacles_text(report);
}

Result<int> run_impact(const Context& context, const ImpactOptions& options) {
  NOTP_ASSIGN(const Settings settings, context.settings(settings_folder(options.folder)));
  CandidateModel candidate;
  NOTP_ASSIGN(candidate.ledger, choose_ledger(options.filter.ledger, settings));
  NOTP_ASSIGN(CheckedModel model, check_folder(options.folder, std::nullopt));
  NOTP_TRY(require_valid(model, options.folder));
  candidate.data_roots = model.report.manifest.data_roots;
  candidate.content = std::move(model.content);
  FilterOptions filter = options.filter;
  filter.ledger = candidate.ledger.text();
  if (filter.since.empty()) filter.since = kImpactSince;
  NOTP_ASSIGN(const AuditSession session, open_audit_session(context, settings));
  RegistryArchive archive(context, settings);
  DecisionReplay replay(archive, {.worker = {}, .candidate = &candidate});
  NOTP_ASSIGN(const ReplayReport report,
              replay_matching(context, session, filter, options.limit, replay));
  JsonObject front;
  front.text("folder", options.folder)
      .text("ledger", candidate.ledger.text())
      .text("content_root", candidate.content.tree->content_root().hex());
  print(context, report, impact_text(context.output, report), std::move(front));
  return options.detailed_exitcode && report.differs > 0 ? exit_code::kChanges : exit_code::kOk;
}

}  // namespace

void add_decision_replays(Commands& commands, CLI::App& decisions) {
  commands.add<ReplayCommandOptions>(
      decisions, "replay", "Evaluate recorded decisions again, with the releases that decided",
      [](CLI::App& command, ReplayCommandOptions& options) {
        command.add_option("id", options.ids, "Their decision_ids; without: those that match")
            ->type_name("ID");
        add_limit_options(command, options.limit);
        add_filter_options(command, options.filter);
        command.footer(
            "Each is evaluated with the releases that its node decided with, fetched from the\n"
            "registry and verified, with the recorded input, clock and results of functions that\n"
            "are not deterministic. Nothing is connected to. What was masked in a result is not\n"
            "compared. Needs the right to read those ledgers, too.\n"
            "cannot: nothing can be said, because the result differs and may depend on what is\n"
            "masked in the record, or another OPA decided, or the needed result of a function is\n"
            "not in the record, or the release not at the registry.\n"
            "Exit codes: 0 all are the same, 1 some differ, 3 none differs, but some cannot be\n"
            "replayed.");
      },
      run_replay);
  commands.add<ImpactOptions>(
      decisions, "impact", "Show which recorded decisions a model would change",
      [](CLI::App& command, ImpactOptions& options) {
        command.add_option("folder", options.folder, "The model")
            ->type_name("DIR")
            ->capture_default_str();
        add_limit_options(command, options.limit);
        command.add_flag("--detailed-exitcode", options.detailed_exitcode,
                         "Exit with 10 when there are changes, 0 when there are none");
        add_filter_options(command, options.filter);
        command.footer(
            "The recorded decisions of the model's ledger (--ledger, or that of the workspace)\n"
            "are evaluated with the model in the place of its releases; other ledgers are as\n"
            "recorded. Without --since: of the last seven days. Each result is compared with the\n"
            "recorded one, so that a change of a release between is a change, too. 'notp\n"
            "decisions replay --help' says what cannot be replayed.");
      },
      run_impact);
}

}  // namespace notp::cli
