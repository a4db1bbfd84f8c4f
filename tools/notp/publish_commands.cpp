// notp validate, plan, publish, rollback: from a folder to a release.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "tools/notp/command.hpp"
#include "tools/notp/proposal.hpp"
#include "tools/notp/reference.hpp"
#include "tools/notp/workspace.hpp"

namespace notp::cli {
namespace {

namespace fs = std::filesystem;

json::object tests_json(const ModelTestSummary& tests) {
  return {{"passed", tests.passed}, {"failed", tests.failed}, {"skipped", tests.skipped}};
}

std::string tests_text(const ModelTestSummary& tests) {
  std::string text = fmt::format("{} passed", tests.passed);
  if (tests.failed > 0) text += fmt::format(", {} failed", tests.failed);
  if (tests.skipped > 0) text += fmt::format(", {} skipped", tests.skipped);
  return text;
}

// As `opa test` calls them.
std::string_view outcome_text(rego::TestOutcome outcome) {
  switch (outcome) {
    case rego::TestOutcome::kPass:
      return "pass";
    case rego::TestOutcome::kFail:
      return "fail";
    case rego::TestOutcome::kError:
      return "error";
    case rego::TestOutcome::kSkipped:
      return "skipped";
  }
  return "fail";
}

json::array results_json(const std::vector<rego::TestResult>& results) {
  json::array array;
  for (const rego::TestResult& test : results)
    array.push_back(json::object{{"package", test.package},
                                 {"name", test.name},
                                 {"path", test.path},
                                 {"line", test.row},
                                 {"outcome", outcome_text(test.outcome)},
                                 {"message", test.message},
                                 {"duration_ns", test.duration_ns}});
  return array;
}

std::string results_text(const std::vector<rego::TestResult>& results) {
  std::string text;
  for (const rego::TestResult& test : results)
    text += fmt::format("{}.{}: {} ({:.1f} ms)\n", test.package, test.name,
                        outcome_text(test.outcome), static_cast<double>(test.duration_ns) / 1e6);
  return text;
}

struct ValidateOptions {
  std::string folder = ".";
  EngineCheck engine;
};

Result<int> run_validate(const Context& context, const ValidateOptions& options) {
  NOTP_ASSIGN(const CheckedModel model, check_folder(options.folder, options.engine));
  const Tree& tree = *model.content.tree;
  const ModelReport& report = model.report;
  json::object document{{"folder", options.folder},
                        {"valid", report.valid()},
                        {"findings", findings_json(report.findings)},
                        {"warnings", findings_json(report.warnings)},
                        {"needs", needs_json({report.builtins, report.features})},
                        {"tests", tests_json(report.tests)},
                        {"content_root", tree.content_root().hex()},
                        {"files", tree.files().size()},
                        {"bytes", tree.total_bytes()}};
  if (!report.coverage_json.empty()) {
    NOTP_ASSIGN(document["coverage"], parse_json(report.coverage_json));
  }
  if (options.engine.test_results) document["results"] = results_json(report.test_results);
  std::string text = results_text(report.test_results) + findings_text(report.findings) +
                     findings_text(report.warnings);
  if (report.valid()) {
    document["name"] = report.manifest.name;
    document["roots"] = json::array(report.manifest.roots.begin(), report.manifest.roots.end());
    text += fmt::format(
        "{} is a valid model.\n{}", options.folder,
        facts({{"name", report.manifest.name},
               {"content root", tree.content_root().hex()},
               {"content", fmt::format("{}, {}", counted(tree.files().size(), "file"),
                                       human_bytes(tree.total_bytes()))},
               {"data roots", fmt::format("{}", fmt::join(report.manifest.roots, ", "))},
               {"tests", tests_text(report.tests)},
               {"needs", needs_text({report.builtins, report.features})}}));
    if (const json::value* coverage = document.if_contains("coverage"))
      text += pretty_json(*coverage) + "\n";
  } else {
    if (report.findings_left_out > 0)
      text += fmt::format("and {} more\n", human_count(report.findings_left_out));
    text += fmt::format("{} is not a valid model: {}{}.\n", options.folder,
                        counted(report.findings.size() + report.findings_left_out, "finding"),
                        report.tests.failed > 0 ? "; tests: " + tests_text(report.tests) : "");
  }
  context.output.result(text, document);
  return report.valid() ? exit_code::kOk : exit_code::kInvalid;
}

// What plan and publish share: the folder's model against the head of its ledger.
struct Workspace {
  Settings settings;
  CheckedModel model;
  std::unique_ptr<ReleaseSource> source;
  Proposal proposal;
  std::optional<WorkspaceState> state;
};

Result<Workspace> open_workspace(const Context& context, const fs::path& folder,
                                 const std::string& ledger_text, bool must_be_valid,
                                 const std::optional<EngineCheck>& engine) {
  Workspace workspace;
  NOTP_ASSIGN(workspace.settings, context.settings(folder));
  NOTP_ASSIGN(const LedgerId ledger, choose_ledger(ledger_text, workspace.settings));
  NOTP_ASSIGN(workspace.model, check_folder(folder, engine));
  if (must_be_valid) NOTP_TRY(require_valid(workspace.model, folder));
  NOTP_ASSIGN(workspace.source,
              ReleaseSource::open(workspace.settings, context.environment, context.output, ledger));
  NOTP_ASSIGN(workspace.state, load_state(folder, workspace.source->root().trust_domain, ledger));
  workspace.proposal.ledger = ledger;
  NOTP_ASSIGN(workspace.proposal.head, workspace.source->pull_head());
  if (const PulledReleasePtr& head = workspace.proposal.head;
      head && workspace.state && workspace.state->proposed == head->verified.hash)
    workspace.state = state_at(head->release(), head->verified.hash);
  workspace.proposal.content = workspace.model.content;
  // The manifest of a model that is not valid says nothing.
  const ModelReport& report = workspace.model.report;
  if (report.valid()) {
    workspace.proposal.roots = report.manifest.roots;
  } else if (workspace.proposal.head) {
    workspace.proposal.roots = workspace.proposal.head->release().roots;
  }
  return workspace;
}

struct PlanOptions {
  std::string folder = ".";
  std::string ledger;
  bool detailed_exitcode = false;
  bool all = false;
};

// A folder that started from another release than the head would undo what came between.
std::string base_note(const Workspace& workspace) {
  const uint64_t head = workspace.proposal.head ? workspace.proposal.head->release().version : 0;
  if (!workspace.state || workspace.state->version == head) return {};
  return fmt::format(
      "note: this folder is based on v{}, but the head is v{}; 'notp publish' will "
      "refuse (see --expect-version)",
      workspace.state->version, head);
}

std::string plan_text(const Context& context, const Workspace& workspace, bool all) {
  const Proposal& proposal = workspace.proposal;
  const ModelReport& report = workspace.model.report;
  std::string text = proposal_text(context.output, proposal, context.now.wall_ms, all);
  if (!report.valid())
    return text + fmt::format("\n{}The model is not valid: {}. It cannot be published.\n",
                              findings_text(report.findings),
                              counted(report.findings.size(), "finding"));
  text += fmt::format("\nThe model is valid; tests: {}.\n", tests_text(report.tests));
  if (proposal.is_same()) return text + "No changes: the head has the same content.\n";
  const ChangeCounts counts =
      count_changes(compare_trees(proposal.before(), *proposal.content.tree));
  return text +
         context.output.paint(Colour::kBold, fmt::format("Plan: {}. Next version: v{}.",
                                                         counts_text(counts), proposal.version())) +
         "\n";
}

Result<int> run_plan(const Context& context, const PlanOptions& options) {
  NOTP_ASSIGN(const Workspace workspace, open_workspace(context, options.folder, options.ledger,
                                                        /*must_be_valid=*/false, EngineCheck{}));
  json::object document = proposal_json(workspace.proposal);
  document["valid"] = workspace.model.report.valid();
  document["findings"] = findings_json(workspace.model.report.findings);
  document["tests"] = tests_json(workspace.model.report.tests);
  if (workspace.state) document["based_on_version"] = workspace.state->version;
  context.output.result(plan_text(context, workspace, options.all), document);
  if (const std::string note = base_note(workspace); !note.empty()) context.output.note(note);
  if (!workspace.model.report.valid()) return exit_code::kInvalid;
  return options.detailed_exitcode && !workspace.proposal.is_same() ? exit_code::kChanges
                                                                    : exit_code::kOk;
}

struct PublishOptions {
  std::string folder = ".";
  std::string ledger;
  PublishTerms terms;
  std::optional<uint64_t> expect_version;
  bool onto_head = false;
  bool allow_empty = false;
};

// Who published the head, by the registry's own list.
Result<std::string> head_author(const Context& context, ReleaseSource& source) {
  wire::HistoryQuery history;
  history.ledger = source.ledger();
  history.rows_max = 1;
  NOTP_ASSIGN(const wire::Answer answer, source.client().ask({0, history}));
  if (answer.history.empty()) return std::string();
  return who_and_when(answer.history[0].publisher, answer.history[0].issued_ms,
                      context.now.wall_ms);
}

// The head must be the release that the folder started from, unless the caller says otherwise.
Result<void> check_expected_head(const Context& context, const PublishOptions& options,
                                 const Workspace& workspace) {
  if (options.onto_head) return {};
  const PulledReleasePtr& head = workspace.proposal.head;
  const uint64_t version = head ? head->release().version : 0;
  std::optional<uint64_t> expected = options.expect_version;
  bool same_release = true;
  if (!expected && workspace.state) {
    expected = workspace.state->version;
    same_release = !head || version != *expected || head->verified.hash == workspace.state->release;
  }
  if (!expected || (*expected == version && same_release)) return {};
  if (!same_release)
    return fail(ErrorCode::kEquivocation,
                fmt::format("v{} of {} is not the release that this folder started from", version,
                            workspace.proposal.ledger.text()));
  std::string who;
  if (head) {
    NOTP_ASSIGN(who, head_author(context, *workspace.source));
  }
  return std::unexpected(head_moved(workspace.proposal.ledger, *expected, version, who));
}

// The folder stays where it started from until others have signed.
WorkspaceState state_pending(const Proposal& proposal, const SignedRelease& proposed) {
  WorkspaceState state{.trust_domain = proposed.release.trust_domain,
                       .ledger = proposal.ledger,
                       .version = 0,
                       .release = {},
                       .content_root = {},
                       .proposed = proposed.hash};
  if (proposal.head) {
    state.version = proposal.head->release().version;
    state.release = proposal.head->verified.hash;
    state.content_root = proposal.head->release().content_root;
  }
  return state;
}

Result<int> run_publish(const Context& context, const PublishOptions& options) {
  // The registry judges what it is sent, and says all that it finds: once is enough.
  std::optional<EngineCheck> engine;
  if (options.terms.dry_run) engine.emplace();
  NOTP_ASSIGN(const Workspace workspace, open_workspace(context, options.folder, options.ledger,
                                                        /*must_be_valid=*/true, engine));
  const Proposal& proposal = workspace.proposal;
  // A release that others signed while it was pending is the head by now: nothing is in conflict.
  const bool is_done = proposal.is_same() && !options.expect_version && !options.allow_empty;
  if (auto expected = check_expected_head(context, options, workspace);
      !expected && !(is_done && expected.error().code == ErrorCode::kConflict))
    return std::unexpected(std::move(expected).error());
  if (proposal.is_same() && !options.allow_empty) {
    const VerifiedRelease& head = proposal.head->verified;
    NOTP_TRY(save_state(options.folder, state_at(head.release, head.hash)));
    context.output.result(
        fmt::format("Nothing to publish: {} v{} has the same content (--allow-empty publishes it "
                    "again).\n",
                    proposal.ledger.text(), head.release.version),
        json::object{{"published", false},
                     {"ledger", proposal.ledger.text()},
                     {"version", head.release.version},
                     {"release", head.hash.hex()},
                     {"content_root", head.release.content_root.hex()}});
    return exit_code::kOk;
  }
  NOTP_ASSIGN(
      const PublishOutcome outcome,
      publish_proposal(context, workspace.settings, *workspace.source, proposal, options.terms));
  const int code = print_outcome(context, proposal, outcome);
  if (outcome.published)
    NOTP_TRY(save_state(options.folder, state_at(outcome.release.release, outcome.release.hash)));
  if (outcome.pending)
    NOTP_TRY(save_state(options.folder, state_pending(proposal, outcome.release)));
  return code;
}

struct RollbackOptions {
  std::string ledger;
  std::string to;
  PublishTerms terms;
};

Result<int> run_rollback(const Context& context, const RollbackOptions& options) {
  NOTP_ASSIGN(const Settings settings, context.settings());
  NOTP_ASSIGN(const LedgerId ledger, choose_ledger(options.ledger, settings));
  NOTP_ASSIGN(const uint64_t version, parse_version(options.to));
  NOTP_ASSIGN(const auto source,
              ReleaseSource::open(settings, context.environment, context.output, ledger));
  Proposal proposal;
  proposal.ledger = ledger;
  NOTP_ASSIGN(proposal.head, source->pull_head());
  if (!proposal.head)
    return fail(ErrorCode::kNotFound, fmt::format("{} has no release yet", ledger.text()));
  NOTP_ASSIGN(const PulledReleasePtr old, source->pull(version));
  proposal.content = old->content;
  proposal.roots = old->release().roots;
  if (proposal.is_same()) {
    context.output.result(fmt::format("Nothing to roll back: {} v{} has the content of v{}.\n",
                                      ledger.text(), proposal.head->release().version, version),
                          json::object{{"published", false},
                                       {"ledger", ledger.text()},
                                       {"version", proposal.head->release().version}});
    return exit_code::kOk;
  }
  PublishTerms terms = options.terms;
  if (terms.message.empty()) terms.message = fmt::format("Roll back to v{}", version);
  NOTP_ASSIGN(const PublishOutcome outcome,
              publish_proposal(context, settings, *source, proposal, terms));
  return print_outcome(context, proposal, outcome);
}

void add_folder(CLI::App& command, std::string& folder) {
  command.add_option("folder", folder, "The model")->type_name("DIR")->capture_default_str();
}

void add_ledger(CLI::App& command, std::string& ledger) {
  command.add_option("--ledger", ledger, "The ledger (default: the configuration's)")
      ->type_name("ZONE/NAME");
}

void declare_validate(CLI::App& command, ValidateOptions& options) {
  add_folder(command, options.folder);
  command.add_flag("--coverage", options.engine.coverage,
                   "Report which lines the tests reach, as 'opa test --coverage' does");
  command.add_flag("-v,--verbose", options.engine.test_results,
                   "List every test with its outcome, as 'opa test --verbose' does");
  command
      .add_option("--allow", options.engine.allow,
                  "A built-in that registry and nodes allow this ledger: http.send, "
                  "net.lookup_ip_addr, opa.runtime")
      ->allow_extra_args(false)  // what follows is the folder
      ->type_name("BUILTIN");
  command.add_option("--opa", options.engine.opa, "Judge with this Open Policy Agent besides")
      ->type_name("PROGRAM");
}

void declare_publish(CLI::App& command, PublishOptions& options) {
  add_folder(command, options.folder);
  add_ledger(command, options.ledger);
  declare_terms(command, options.terms);
  command
      .add_option("--expect-version", options.expect_version,
                  "The version that the head must have; 0: no release yet (default: the one "
                  "that this folder started from)")
      ->type_name("N");
  command
      .add_flag("--onto-head", options.onto_head,
                "Publish over whatever the head is, its changes included")
      ->excludes("--expect-version");
  command.add_flag("--allow-empty", options.allow_empty,
                   "Publish a new release even when nothing changed");
}

}  // namespace

void add_validate(Commands& commands) {
  commands.add<ValidateOptions>(commands.root(), "validate",
                                "Check a folder by the registry's rules, without a registry",
                                declare_validate, run_validate);
}

void add_plan(Commands& commands) {
  commands.add<PlanOptions>(
      commands.root(), "plan", "Show what a publish of a folder would change",
      [](CLI::App& command, PlanOptions& options) {
        add_folder(command, options.folder);
        add_ledger(command, options.ledger);
        command.add_flag("--detailed-exitcode", options.detailed_exitcode,
                         "Exit with 10 when there are changes, 0 when there are none");
        command.add_flag("--all", options.all, "List every changed file, however many");
      },
      run_plan);
}

void add_publish(Commands& commands) {
  commands.add<PublishOptions>(commands.root(), "publish",
                               "Sign a folder as the next release of a ledger and publish it",
                               declare_publish, run_publish);
}

void add_rollback(Commands& commands) {
  commands.add<RollbackOptions>(
      commands.root(), "rollback", "Publish the content of an older release as a new one",
      [](CLI::App& command, RollbackOptions& options) {
        command.add_option("ledger", options.ledger, "The ledger (default: the configuration's)")
            ->type_name("ZONE/NAME");
        command.add_option("--to", options.to, "The version to go back to")
            ->type_name("vN")
            ->required();
        declare_terms(command, options.terms);
      },
      run_rollback);
}

}  // namespace notp::cli
