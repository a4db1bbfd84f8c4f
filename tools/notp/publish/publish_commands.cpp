// notp validate, plan, publish, rollback: make a release from a folder.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "common/size_text.hpp"
#include "tools/notp/command.hpp"
#include "tools/notp/confirm.hpp"
#include "tools/notp/publish/publish_base.hpp"
#include "tools/notp/publish/publish_trace.hpp"
#include "tools/notp/publish/release_draft.hpp"
#include "tools/notp/publish/used_ledgers.hpp"
#include "tools/notp/query/reference.hpp"
#include "tools/notp/workspace.hpp"

namespace notp::cli {
namespace {

namespace fs = std::filesystem;

json::object tests_json(const model::ModelTestSummary& tests) {
  return {{"passed", tests.passed}, {"failed", tests.failed}, {"skipped", tests.skipped}};
}

std::string tests_text(const model::ModelTestSummary& tests) {
  std::string text = fmt::format("{} passed", tests.passed);
  if (tests.failed > 0) text += fmt::format(", {} failed", tests.failed);
  if (tests.skipped > 0) text += fmt::format(", {} skipped", tests.skipped);
  return text;
}

// Named as by `opa test`.
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

std::string warnings_text(std::vector<model::ModelFinding> warnings) {
  for (model::ModelFinding& warning : warnings) warning.rule = "warning: " + warning.rule;
  return model::findings_text(warnings);
}

struct ValidateOptions {
  std::string folder = ".";
  EngineCheck engine;
  std::vector<std::string> with;
};

// Reports the files that were left out, and those that may have been left out by mistake.
void note_left_out(const Context& context, const CheckedModel& model, std::string_view how) {
  if (const std::string note = left_out_note(model); !note.empty())
    context.output.note(fmt::format("{} ({})", note, how));
}

Result<int> run_validate(const Context& context, const ValidateOptions& options) {
  EngineCheck engine = options.engine;
  NOTP_ASSIGN(engine.find_used, used_ledgers(context, options.folder, options.with));
  NOTP_ASSIGN(const CheckedModel model, check_folder(options.folder, engine));
  const model::Tree& tree = *model.content.tree;
  const model::ModelReport& report = model.report;
  json::object document{{"folder", options.folder},
                        {"valid", report.valid()},
                        {"findings", findings_json(report.findings)},
                        {"warnings", findings_json(report.warnings)},
                        {"needs", needs_json({report.builtins, report.features})},
                        {"tests", tests_json(report.tests)},
                        {"content_root", tree.content_root().hex()},
                        {"files", tree.files().size()},
                        {"bytes", tree.total_bytes()},
                        {"left_out", left_out_json(model)}};
  const bool verbose = options.engine.test_results;
  if (!verbose) note_left_out(context, model, "-v lists each with its reason");
  if (!report.coverage_json.empty()) {
    NOTP_ASSIGN(document["coverage"], parse_json(report.coverage_json));
  }
  if (verbose) document["results"] = results_json(report.test_results);
  std::string text = (verbose ? left_out_text(model) : "") + results_text(report.test_results) +
                     model::findings_text(report.findings) + warnings_text(report.warnings);
  if (report.valid()) {
    document["name"] = report.manifest.name;
    document["roots"] =
        json::array(report.manifest.data_roots.begin(), report.manifest.data_roots.end());
    text += fmt::format(
        "{} is a valid model.\n{}", options.folder,
        facts({{"name", report.manifest.name},
               {"content root", tree.content_root().hex()},
               {"content", fmt::format("{}, {}", counted(tree.files().size(), "file"),
                                       size_text(tree.total_bytes()))},
               {"data roots", fmt::format("{}", fmt::join(report.manifest.data_roots, ", "))},
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

// Shared by plan and publish: the folder's model and the head of its ledger.
struct Workspace {
  Settings settings;
  CheckedModel model;
  std::unique_ptr<ReleaseSource> source;
  ReleaseDraft draft;
  FolderBase base;
  bool is_archive = false;
};

// An archive has no folder for the note.
Result<void> note_state(const Workspace& workspace, const fs::path& folder,
                        const WorkspaceState& state) {
  return workspace.is_archive ? Result<void>() : save_state(folder, state);
}

Result<Workspace> open_workspace(const Context& context, const fs::path& folder,
                                 const std::string& ledger_text, bool must_be_valid,
                                 const std::optional<EngineCheck>& engine,
                                 const PublishTrace* trace = nullptr) {
  Workspace workspace;
  std::error_code error;
  workspace.is_archive = fs::is_regular_file(folder, error);
  NOTP_ASSIGN(workspace.settings, context.settings(settings_folder(folder)));
  NOTP_ASSIGN(const model::LedgerId ledger, choose_ledger(ledger_text, workspace.settings));
  Span validating = trace ? trace->step("validate") : Span();
  auto checked = check_folder(folder, engine);
  validating.end_with(checked);
  NOTP_ASSIGN(workspace.model, std::move(checked));
  note_left_out(context, workspace.model, "'notp validate -v' lists each with its reason");
  if (const std::string text = warnings_text(workspace.model.report.warnings); !text.empty())
    context.output.note(text.substr(0, text.size() - 1));
  if (must_be_valid) NOTP_TRY(require_valid(workspace.model, folder));
  NOTP_ASSIGN(workspace.source,
              ReleaseSource::open(workspace.settings, context.environment, context.output, ledger));
  if (workspace.is_archive) {
    workspace.base.git_error = Error{ErrorCode::kNotFound, "an archive has no history", {}};
  } else {
    NOTP_ASSIGN(workspace.base, load_base(folder, context.environment,
                                          workspace.source->root().trust_domain, ledger));
  }
  for (const std::string& note : workspace.base.notes) context.output.note(note);
  workspace.draft.ledger = ledger;
  NOTP_ASSIGN(workspace.draft.head, workspace.source->pull_head());
  if (const PulledReleasePtr& head = workspace.draft.head;
      head && workspace.base.state &&
      workspace.base.state->proposed_hash == head->verified.ref.release_hash)
    workspace.base.state = state_at(head->release(), head->verified.ref.release_hash);
  workspace.draft.content = workspace.model.content;
  // An invalid model's manifest is not used.
  const model::ModelReport& report = workspace.model.report;
  if (report.valid()) {
    workspace.draft.data_roots = report.manifest.data_roots;
    workspace.draft.uses = report.manifest.uses;
  } else if (workspace.draft.head) {
    workspace.draft.data_roots = workspace.draft.head->release().data_roots;
    workspace.draft.uses = workspace.draft.head->release().uses;
  }
  return workspace;
}

struct PlanOptions {
  std::string folder = ".";
  std::string ledger;
  bool detailed_exitcode = false;
  bool all = false;
  std::vector<std::string> with;
};

std::string plan_text(const Context& context, const Workspace& workspace, bool all) {
  const ReleaseDraft& draft = workspace.draft;
  const model::ModelReport& report = workspace.model.report;
  std::string text = draft_text(context.output, draft, context.now.wall_ms, all);
  if (!report.valid())
    return text + fmt::format("\n{}The model is not valid: {}. It cannot be published.\n",
                              model::findings_text(report.findings),
                              counted(report.findings.size(), "finding"));
  text += fmt::format("\nThe model is valid; tests: {}.\n", tests_text(report.tests));
  if (draft.is_same()) return text + "No changes: the head has the same content.\n";
  const ChangeCounts counts = count_changes(compare_trees(draft.before(), *draft.content.tree));
  return text +
         context.output.paint(Colour::kBold, fmt::format("Plan: {}. Next version: v{}.",
                                                         counts_text(counts), draft.version())) +
         "\n";
}

Result<int> run_plan(const Context& context, const PlanOptions& options) {
  EngineCheck engine;
  NOTP_ASSIGN(engine.find_used, used_ledgers(context, options.folder, options.with));
  NOTP_ASSIGN(Workspace workspace, open_workspace(context, options.folder, options.ledger,
                                                  /*must_be_valid=*/false, engine));
  json::object document = draft_json(workspace.draft);
  document["valid"] = workspace.model.report.valid();
  document["findings"] = findings_json(workspace.model.report.findings);
  document["warnings"] = findings_json(workspace.model.report.warnings);
  document["left_out"] = left_out_json(workspace.model);
  document["tests"] = tests_json(workspace.model.report.tests);
  if (workspace.base.state) document["based_on_version"] = workspace.base.state->version;
  // Publishing a folder that started from another release would undo the releases in between.
  const auto based =
      require_base(context, workspace.base, std::nullopt, workspace.draft, *workspace.source);
  document["based_on_head"] = based.has_value();
  document["notes"] = json::array(workspace.base.notes.begin(), workspace.base.notes.end());
  context.output.result(plan_text(context, workspace, options.all), document);
  if (!based && !workspace.draft.is_same())
    context.output.note(fmt::format("note: 'notp publish' will refuse: {}", based.error().message));
  if (!workspace.model.report.valid()) return exit_code::kInvalid;
  return options.detailed_exitcode && !workspace.draft.is_same() ? exit_code::kChanges
                                                                 : exit_code::kOk;
}

struct PublishOptions {
  std::string folder = ".";
  std::string ledger;
  PublishTerms terms;
  std::string base;
  bool onto_head = false;
  bool allow_empty = false;
};

// "v41" or "41"; "0" or "v0": the ledger has no release. nullopt: not given.
Result<std::optional<uint64_t>> said_base(const std::string& text) {
  if (text.empty()) return std::nullopt;
  if (text == "0" || text == "v0") return uint64_t{0};
  return parse_version(text);
}

// Lists what a publish over another publisher's release would undo, and asks for confirmation.
Result<std::vector<std::string>> confirm_undoing(const Context& context,
                                                 const PublishOptions& options,
                                                 Workspace& workspace) {
  const ReleaseDraft& draft = workspace.draft;
  if (!draft.head || require_base(context, workspace.base, std::nullopt, draft, *workspace.source))
    return std::vector<std::string>();
  NOTP_ASSIGN(std::vector<std::string> undone,
              undone_releases(context, workspace.base, *workspace.source));
  // The folder's release may be unknown to this registry, if the registry was restored.
  const std::string what =
      undone.empty()
          ? "the folder does not come from the head of this registry, which it replaces:"
          : fmt::format("this takes back what differs here in\n  {}", fmt::join(undone, "\n  "));
  context.output.note(
      fmt::format("warning: {}\n{}", what,
                  draft_text(context.output, draft, context.now.wall_ms, /*all=*/false)));
  if (!options.terms.dry_run && !context.output.is_json() && stdin_is_terminal())
    NOTP_TRY(confirm(context.output, fmt::format("Publish v{} over it?", draft.version())));
  return undone;
}

// The folder's base stays the same until others have signed.
WorkspaceState state_pending(const ReleaseDraft& draft, const SignedRelease& proposed,
                             const std::string& commit) {
  WorkspaceState state{.trust_domain = proposed.release().trust_domain,
                       .ledger = draft.ledger,
                       .version = 0,
                       .release_hash = {},
                       .content_root = {},
                       .proposed_hash = proposed.ref.release_hash,
                       .commit = commit};
  if (draft.head) {
    state.version = draft.head->release().version;
    state.release_hash = draft.head->verified.ref.release_hash;
    state.content_root = draft.head->release().content_root;
  }
  return state;
}

WorkspaceState state_at_commit(const trust::Release& release, const Hash& hash,
                               const std::string& commit) {
  WorkspaceState state = state_at(release, hash);
  state.commit = commit;
  return state;
}

Result<int> publish_folder(const Context& context, const PublishOptions& options,
                           PublishTrace& trace) {
  NOTP_ASSIGN(const std::optional<uint64_t> said, said_base(options.base));
  // The registry checks what it receives and reports all findings: checking once is enough.
  std::optional<EngineCheck> engine;
  if (options.terms.dry_run) {
    engine.emplace();
    NOTP_ASSIGN(engine->find_used, used_ledgers(context, options.folder, {}));
  }
  NOTP_ASSIGN(Workspace workspace, open_workspace(context, options.folder, options.ledger,
                                                  /*must_be_valid=*/true, engine, &trace));
  ReleaseDraft& draft = workspace.draft;
  trace.set_release(draft.ledger, draft.version());
  // A release that others signed while it was pending may be the head already: no conflict.
  const bool is_done = draft.is_same() && !said && !options.allow_empty;
  if (is_done) NOTP_TRY(check_same_release(workspace.base, draft));
  if (!options.onto_head && !is_done)
    NOTP_TRY(require_base(context, workspace.base, said, draft, *workspace.source));
  if (draft.is_same() && !options.allow_empty) {
    const trust::VerifiedRelease& head = draft.head->verified;
    NOTP_TRY(
        note_state(workspace, options.folder,
                   state_at_commit(head.release(), head.ref.release_hash, workspace.base.commit)));
    context.output.result(
        fmt::format("Nothing to publish: {} v{} has the same content (--allow-empty publishes it "
                    "again).\n",
                    draft.ledger.text(), head.release().version),
        json::object{{"published", false},
                     {"ledger", draft.ledger.text()},
                     {"version", head.release().version},
                     {"release", head.ref.release_hash.hex()},
                     {"content_root", head.release().content_root.hex()}});
    return exit_code::kOk;
  }
  std::vector<std::string> undone;
  if (options.onto_head) {
    NOTP_ASSIGN(undone, confirm_undoing(context, options, workspace));
  }
  draft.source = clean_source(workspace.base, draft.content.tree->content_root());
  NOTP_ASSIGN(PublishOutcome outcome, publish_draft(context, workspace.settings, *workspace.source,
                                                    draft, options.terms, &trace));
  outcome.undone = std::move(undone);
  outcome.notes = workspace.base.notes;
  if (std::string note = left_out_note(workspace.model); !note.empty())
    outcome.notes.push_back(std::move(note));
  for (const model::ModelFinding& warning : workspace.model.report.warnings)
    outcome.notes.push_back(fmt::format("warning: {}: {}", warning.path, warning.message));
  const int code = print_outcome(context, draft, outcome);
  if (outcome.published)
    NOTP_TRY(note_state(workspace, options.folder,
                        state_at_commit(outcome.release.release(), outcome.release.ref.release_hash,
                                        workspace.base.commit)));
  if (outcome.pending)
    NOTP_TRY(note_state(workspace, options.folder,
                        state_pending(draft, outcome.release, workspace.base.commit)));
  return code;
}

Result<int> run_publish(const Context& context, const PublishOptions& options) {
  PublishTrace trace(context, "notp publish", !options.terms.dry_run);
  auto outcome = publish_folder(context, options, trace);
  trace.end_with(outcome);
  return outcome;
}

struct RollbackOptions {
  std::string ledger;
  std::string to;
  PublishTerms terms;
};

Result<int> roll_back(const Context& context, const RollbackOptions& options, PublishTrace& trace) {
  NOTP_ASSIGN(const Settings settings, context.settings());
  NOTP_ASSIGN(const model::LedgerId ledger, choose_ledger(options.ledger, settings));
  NOTP_ASSIGN(const uint64_t version, parse_version(options.to));
  NOTP_ASSIGN(const auto source,
              ReleaseSource::open(settings, context.environment, context.output, ledger));
  ReleaseDraft draft;
  draft.ledger = ledger;
  NOTP_ASSIGN(draft.head, source->pull_head());
  if (!draft.head)
    return fail(ErrorCode::kNotFound, fmt::format("{} has no release yet", ledger.text()));
  NOTP_ASSIGN(const PulledReleasePtr old, source->pull(version));
  draft.content = old->content;
  draft.data_roots = old->release().data_roots;
  draft.uses = old->release().uses;
  if (draft.is_same()) {
    context.output.result(fmt::format("Nothing to roll back: {} v{} has the content of v{}.\n",
                                      ledger.text(), draft.head->release().version, version),
                          json::object{{"published", false},
                                       {"ledger", ledger.text()},
                                       {"version", draft.head->release().version}});
    return exit_code::kOk;
  }
  PublishTerms terms = options.terms;
  if (terms.message.empty()) terms.message = fmt::format("Roll back to v{}", version);
  trace.set_release(ledger, draft.version());
  NOTP_ASSIGN(const PublishOutcome outcome,
              publish_draft(context, settings, *source, draft, terms, &trace));
  return print_outcome(context, draft, outcome);
}

Result<int> run_rollback(const Context& context, const RollbackOptions& options) {
  PublishTrace trace(context, "notp rollback", !options.terms.dry_run);
  auto outcome = roll_back(context, options, trace);
  trace.end_with(outcome);
  return outcome;
}

void add_folder(CLI::App& command, std::string& folder) {
  command.add_option("folder", folder, "The model: a folder, or an OPA bundle (tar.gz)")
      ->type_name("DIR")
      ->capture_default_str();
}

void add_ledger(CLI::App& command, std::string& ledger) {
  command.add_option("--ledger", ledger, "The ledger (default: the configuration's)")
      ->type_name("ZONE/NAME");
}

void add_with(CLI::App& command, std::vector<std::string>& with) {
  command
      .add_option("--with", with,
                  "A folder with the model of a ledger that this one uses (default: the ledger's "
                  "head in the registry)")
      ->allow_extra_args(false)  // the next argument is the folder
      ->type_name("ZONE/NAME=DIR");
}

void declare_validate(CLI::App& command, ValidateOptions& options) {
  add_folder(command, options.folder);
  add_with(command, options.with);
  command.add_flag("--coverage", options.engine.coverage,
                   "Report which lines the tests reach, as 'opa test --coverage' does");
  command.add_flag("-v,--verbose", options.engine.test_results,
                   "List every test with its outcome, as 'opa test --verbose' does, and every file "
                   "that is left out with its reason");
  command
      .add_option("--allow", options.engine.allow,
                  "A built-in that registry and nodes allow this ledger: http.send, "
                  "net.lookup_ip_addr, opa.runtime")
      ->allow_extra_args(false)  // the next argument is the folder
      ->type_name("BUILTIN");
  command.add_option("--opa", options.engine.opa, "Judge with this Open Policy Agent besides")
      ->type_name("PROGRAM");
}

void declare_publish(CLI::App& command, PublishOptions& options) {
  add_folder(command, options.folder);
  add_ledger(command, options.ledger);
  declare_terms(command, options.terms);
  command
      .add_option("--base,--expect-version", options.base,
                  "The release that this folder started from, which must be the head; 0: no "
                  "release yet (default: what .notp/state.json or Git's history says)")
      ->type_name("vN");
  command
      .add_flag("--onto-head", options.onto_head,
                "Publish over whatever the head is and take its changes back; says which, and asks "
                "at a terminal")
      ->excludes("--base");
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
        add_with(command, options.with);
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
