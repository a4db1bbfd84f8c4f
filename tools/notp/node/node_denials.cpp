// notp node evict, readmit: publish a new release of the deny list.
#include <fmt/format.h>

#include "tools/notp/node/deny_list.hpp"
#include "tools/notp/node/node_commands.hpp"
#include "tools/notp/publish/release_draft.hpp"
#include "tools/notp/query/query_session.hpp"
#include "tools/notp/workspace.hpp"

namespace notp::cli {
namespace {

struct DenialOptions {
  std::string name;
  std::string reason;
  PublishTerms terms;
};

// Returns the ledger that the registry reads its deny list from.
Result<model::LedgerId> deny_ledger(const QuerySession& session) {
  NOTP_ASSIGN(const wire::TrustRow trust, session.client->ask(wire::TrustRequest{}));
  if (trust.deny_list) return *trust.deny_list;
  return std::unexpected(Error{ErrorCode::kConfig, "the registry has no deny list", {}}.with(
      "hint",
      "name a ledger for it in the registry's configuration: deny_list: "
      "<zone>/<ledger>"));
}

// The head of the deny list, or an empty one before its first release.
Result<ReleaseDraft> current_list(ReleaseSource& source) {
  ReleaseDraft draft;
  draft.ledger = source.ledger();
  NOTP_ASSIGN(draft.head, source.pull_head());
  if (draft.head) {
    draft.content = draft.head->content;
  } else {
    NOTP_ASSIGN(draft.content, empty_deny_list());
  }
  return draft;
}

Result<void> check_list(ReleaseDraft& draft) {
  const model::ModelContent& content = draft.content;
  NOTP_ASSIGN(const model::ModelReport report, check_content(content));
  if (!report.valid())
    return fail(ErrorCode::kInvalidModel,
                fmt::format("the deny list would not be a valid model:\n{}",
                            model::findings_text(report.findings)));
  draft.data_roots = report.manifest.data_roots;
  return {};
}

using ChangeList = Result<model::ModelContent> (*)(const Context&, const model::ModelContent&,
                                                   const std::string& identity,
                                                   const DenialOptions& options);

Result<int> publish_change(const Context& context, const DenialOptions& options, ChangeList change,
                           std::string_view verb) {
  NOTP_ASSIGN(const Settings settings, context.settings());
  NOTP_ASSIGN(const QuerySession session, open_query_session(context, settings));
  NOTP_ASSIGN(const session::Identity identity, named_identity(options.name, session.trust_domain));
  NOTP_ASSIGN(const model::LedgerId ledger, deny_ledger(session));
  NOTP_ASSIGN(const auto source,
              ReleaseSource::open(settings, context.environment, context.output, ledger));
  NOTP_ASSIGN(ReleaseDraft draft, current_list(*source));
  NOTP_ASSIGN(draft.content, change(context, draft.content, identity.text(), options));
  NOTP_TRY(check_list(draft));
  PublishTerms terms = options.terms;
  terms.message = fmt::format("{} {}", verb, short_identity(identity.text()));
  if (!options.reason.empty()) terms.message += ": " + options.reason;
  NOTP_ASSIGN(const PublishOutcome outcome,
              publish_draft(context, settings, *source, draft, terms));
  return print_outcome(context, draft, outcome);
}

Result<int> run_evict(const Context& context, const DenialOptions& options) {
  return publish_change(
      context, options,
      [](const Context& c, const model::ModelContent& list, const std::string& identity,
         const DenialOptions& o) {
        return deny(list, identity, o.reason, utc_time(c.now.wall_ms));
      },
      "Evict");
}

Result<int> run_readmit(const Context& context, const DenialOptions& options) {
  return publish_change(
      context, options,
      [](const Context&, const model::ModelContent& list, const std::string& identity,
         const DenialOptions&) { return readmit(list, identity); },
      "Readmit");
}

void declare_denial(CLI::App& command, DenialOptions& options) {
  command
      .add_option("name", options.name, "Name of the node; or <role>/<name>, or a whole SPIFFE id")
      ->type_name("NAME")
      ->required();
  declare_signing(command, options.terms);
}

}  // namespace

void add_node_denials(Commands& commands, CLI::App& node) {
  commands.add<DenialOptions>(
      node, "evict", "Shut an identity out: publish it on the registry's deny list",
      [](CLI::App& command, DenialOptions& options) {
        declare_denial(command, options);
        command.add_option("--reason", options.reason, "Why, for the list and the history")
            ->type_name("TEXT")
            ->required();
        command.footer(
            "Its sessions end at once and it can open no new one, whatever its certificate says.");
      },
      run_evict);
  commands.add<DenialOptions>(
      node, "readmit", "Take an identity off the deny list",
      [](CLI::App& command, DenialOptions& options) {
        declare_denial(command, options);
        command.add_option("--reason", options.reason, "Why, for the history")->type_name("TEXT");
      },
      run_readmit);
}

}  // namespace notp::cli
