// notp decisions erase: takes decisions out of a registry for good.
#include <fmt/format.h>

#include <utility>

#include "common/limits.hpp"
#include "tools/notp/audit/audit_commands.hpp"
#include "tools/notp/confirm.hpp"

namespace notp::cli {
namespace {

struct EraseOptions {
  std::vector<std::string> ids;
  FilterOptions filter;
  std::string reason;
  bool dry_run = false, yes = false;
};

Result<wire::EraseRequest> request_of(const EraseOptions& options, AuditSession& session,
                                      TimeMs now_ms) {
  wire::EraseRequest out;
  out.reason = options.reason;
  out.ids = options.ids;
  if (out.ids.size() > limits::kErasedIdsMax)
    return fail(ErrorCode::kUsage, fmt::format("at most {} ids can be given; the command can be "
                                               "run again",
                                               limits::kErasedIdsMax));
  for (const std::string& id : out.ids)
    if (!is_askable_id(id)) return fail(ErrorCode::kUsage, printable(id) + ": not a decision's id");
  NOTP_ASSIGN(out.filter, make_filter(options.filter, session.query.trust_domain, now_ms,
                                      release_finder(*session.query.client)));
  const bool has_filter = out.filter != wire::DecisionFilter();
  if (has_filter && !out.ids.empty())
    return fail(ErrorCode::kUsage, "give ids or filters, not both");
  if (!has_filter && out.ids.empty())
    return std::unexpected(
        Error{ErrorCode::kUsage, "nothing says which decisions to erase", {}}.with(
            "hint", "give ids, or filters as for 'notp decisions search'"));
  return out;
}

// All pages; what they did is in `total` also when one fails.
Result<void> ask_pages(RegistryClient& client, wire::EraseRequest request, Progress& progress,
                       wire::Erased& total) {
  while (true) {
    NOTP_ASSIGN(const wire::Erased page, client.ask(request));
    total.records += page.records;
    total.segments += page.segments;
    total.held += page.held;
    total.young += page.young;
    progress.update(total.records, 0);
    if (!page.more) return {};
    if (page.cursor == request.cursor)
      return fail(ErrorCode::kMessage, "the registry answers with the same page again and again");
    request.cursor = page.cursor;
  }
}

std::string left_text(const wire::Erased& counts) {
  std::string out;
  if (counts.held != 0)
    out += fmt::format("{} stay: a hold covers them ('notp decisions holds').\n",
                       counted(counts.held, "decision"));
  if (counts.young != 0)
    out += fmt::format("{} stay: the manifest of their release wants them kept longer.\n",
                       counted(counts.young, "decision"));
  return out;
}

int show(const Context& context, const wire::Erased& counts, bool is_dry) {
  const std::string text =
      fmt::format("{}{} in {}{}.\n", is_dry ? "" : "Erased ", counted(counts.records, "decision"),
                  counted(counts.segments, "segment"), is_dry ? " would be erased" : " for good");
  context.output.result(text + left_text(counts), json::object{{"dry_run", is_dry},
                                                               {"records", counts.records},
                                                               {"segments", counts.segments},
                                                               {"held", counts.held},
                                                               {"young", counts.young}});
  return counts.held + counts.young == 0 ? exit_code::kOk : kExitGaps;
}

Result<int> run_erase(const Context& context, const EraseOptions& options) {
  NOTP_ASSIGN(AuditSession session, open_audit_session(context));
  NOTP_ASSIGN(wire::EraseRequest request, request_of(options, session, context.now.wall_ms));
  RegistryClient& client = *session.query.client;
  request.dry_run = true;
  wire::Erased found;
  if (options.dry_run || !options.yes) {
    Progress progress(context.output, "Looking, decisions", ProgressUnit::kCount);
    NOTP_TRY(ask_pages(client, request, progress, found));
  }
  if (options.dry_run) return show(context, found, true);
  if (!options.yes) {
    if (found.records == 0) return show(context, found, false);
    if (const std::string left = left_text(found); !left.empty())
      context.output.note(left.substr(0, left.size() - 1));
    NOTP_TRY(confirm(context.output,
                     fmt::format("Erase {} in {} for good?", counted(found.records, "decision"),
                                 counted(found.segments, "segment"))));
  }
  request.dry_run = false;
  wire::Erased done;
  Progress progress(context.output, "Erasing, decisions", ProgressUnit::kCount);
  auto erased = ask_pages(client, std::move(request), progress, done);
  progress.clear();
  if (!erased)
    return std::unexpected(std::move(erased).error().in(
        fmt::format("{} erased, the others not", counted(done.records, "decision"))));
  return show(context, done, false);
}

}  // namespace

void add_decision_erase(Commands& commands, CLI::App& decisions) {
  commands.add<EraseOptions>(
      decisions, "erase", "Erase decisions for good: those of one person, for instance",
      [](CLI::App& command, EraseOptions& options) {
        command.add_option("id", options.ids, "Decisions, by their ids")->type_name("ID");
        command.add_option("--reason", options.reason, "Why; it goes into the registry's tree")
            ->type_name("TEXT")
            ->required();
        add_filter_options(command, options.filter);
        command.add_flag("--dry-run", options.dry_run, "Only count");
        command.add_flag("--yes", options.yes, "Do not ask");
        command.footer(
            "An erased decision leaves the hash of its leaf, so that everything else stays "
            "provable;\n"
            "which ones were erased, by whom and why is a leaf of the registry's tree. Do not name "
            "a\n"
            "person in the reason: it stays for ever. Erased is what the registry has: backups,\n"
            "exports, and what a node still keeps for a day, are not. It needs the right \"erase\" "
            "on\n"
            "the ledgers; decisions about others are not found. A search for one value:\n"
            "\n"
            "  notp decisions erase --value alice@shop.example --reason 'request 4711'\n"
            "\n"
            "Exit codes: 0 all that match are erased, 3 some stay: a hold covers them, or they "
            "are\n"
            "younger than decisions.retain_days.min of their release.");
      },
      run_erase);
}

}  // namespace notp::cli
