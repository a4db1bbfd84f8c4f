// notp decisions hold, holds: what is neither deleted by rule nor erased.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <utility>

#include "common/limits.hpp"
#include "tools/notp/audit/audit_commands.hpp"

namespace notp::cli {
namespace {

struct HoldOptions {
  std::string id, reason, decision;
  FilterOptions filter;
  bool all = false, lift = false;
};

struct HoldsOptions {
  bool all = false;
};

// A filter as it is given on a command line.
std::string filter_text(const wire::DecisionFilter& filter) {
  std::vector<std::string> out;
  const auto add = [&](std::string_view option, const std::string& value) {
    if (!value.empty()) out.push_back(fmt::format("{} {}", option, shell_word(printable(value))));
  };
  if (filter.since_ms != 0) add("--since", utc_time(filter.since_ms));
  if (filter.until_ms != 0) add("--until", utc_time(filter.until_ms));
  add("--node", filter.node);
  add("--ledger", filter.ledger);
  add("--path", filter.path);
  add("--outcome", std::string(record::outcome_name(filter.outcome)));
  if (!filter.release_hash.is_zero()) add("--release", filter.release_hash.hex());
  for (const std::string& value : filter.values) add("--value", value);
  add("--contains", filter.contains);
  add("--decision", filter.decision_id);
  return out.empty() ? "--all" : fmt::format("{}", fmt::join(out, " "));
}

json::object document_of(const wire::Hold& hold) {
  json::object out{{"id", hold.id},
                   {"in_force", hold.lifted_ms == 0},
                   {"filter", filter_text(hold.filter)},
                   {"reason", hold.reason},
                   {"by", hold.by},
                   {"placed", utc_time(hold.placed_ms)},
                   {"leaf", hold.index}};
  if (hold.lifted_ms != 0) out["lifted"] = utc_time(hold.lifted_ms);
  return out;
}

std::string text_of(const wire::Hold& hold) {
  std::vector<std::pair<std::string, std::string>> rows{
      {"hold", printable(hold.id)},
      {"covers", filter_text(hold.filter)},
      {"reason", printable(hold.reason)},
      {"by", short_identity(hold.by)},
      {"placed", utc_time(hold.placed_ms)},
      {"leaf", fmt::format("{} of the registry's tree", hold.index)}};
  if (hold.lifted_ms != 0) rows.emplace_back("lifted", utc_time(hold.lifted_ms));
  return facts(rows);
}

// --- hold

Result<wire::DecisionFilter> covered_by(const HoldOptions& options, AuditSession& session,
                                        TimeMs now_ms) {
  NOTP_ASSIGN(wire::DecisionFilter filter,
              make_filter(options.filter, session.query.trust_domain, now_ms,
                          release_finder(*session.query.client)));
  if (!options.decision.empty() && !is_askable_id(options.decision))
    return fail(ErrorCode::kUsage, "--decision: no id of a decision is so long");
  filter.decision_id = options.decision;
  if ((filter == wire::DecisionFilter()) == options.all) return filter;
  if (options.all) return fail(ErrorCode::kUsage, "--all is for a hold without filters");
  return std::unexpected(Error{ErrorCode::kUsage, "nothing says what the hold covers", {}}.with(
      "hint", "give filters, as for 'notp decisions search', or --all"));
}

Result<int> run_hold(const Context& context, const HoldOptions& options) {
  wire::PutHold order;
  order.id = options.id;
  order.reason = options.reason;
  order.lift = options.lift;
  NOTP_ASSIGN(AuditSession session, open_audit_session(context));
  if (!options.lift) {
    NOTP_ASSIGN(order.filter, covered_by(options, session, context.now.wall_ms));
  }
  NOTP_ASSIGN(const wire::HoldsPage page, session.query.client->ask(std::move(order)));
  if (page.rows.size() != 1)
    return fail(ErrorCode::kMessage, "the registry does not say what became of the hold");
  context.output.result(text_of(page.rows.front()), document_of(page.rows.front()));
  return exit_code::kOk;
}

// --- holds

Result<std::vector<wire::Hold>> ask_holds(RegistryClient& client) {
  std::vector<wire::Hold> out;
  while (true) {
    NOTP_ASSIGN(wire::HoldsPage page,
                client.ask(wire::HoldsRequest{out.empty() ? "" : out.back().id}));
    const bool forward =
        !page.rows.empty() && (out.empty() || page.rows.front().id > out.back().id);
    if (!forward) return out;
    std::ranges::move(page.rows, std::back_inserter(out));
    if (!page.more) return out;
  }
}

Result<int> run_holds(const Context& context, const HoldsOptions& options) {
  NOTP_ASSIGN(const AuditSession session, open_audit_session(context));
  NOTP_ASSIGN(const std::vector<wire::Hold> holds, ask_holds(*session.query.client));
  std::vector<std::vector<std::string>> rows{
      {"HOLD", "PLACED", "LIFTED", "BY", "COVERS", "REASON"}};
  json::array documents;
  for (const wire::Hold& hold : holds) {
    if (hold.lifted_ms != 0 && !options.all) continue;
    rows.push_back({printable(hold.id), utc_time(hold.placed_ms),
                    hold.lifted_ms == 0 ? "-" : utc_time(hold.lifted_ms), short_identity(hold.by),
                    filter_text(hold.filter), printable(hold.reason)});
    documents.push_back(document_of(hold));
  }
  const bool is_empty = documents.empty();
  context.output.result(is_empty ? "No hold is in force.\n" : table(context.output, rows),
                        json::object{{"holds", std::move(documents)}});
  return exit_code::kOk;
}

}  // namespace

void add_decision_holds(Commands& commands, CLI::App& decisions) {
  commands.add<HoldOptions>(
      decisions, "hold", "Keep decisions from being deleted or erased, until the hold is lifted",
      [](CLI::App& command, HoldOptions& options) {
        command.add_option("id", options.id, "Its name, which you choose")
            ->type_name("ID")
            ->required();
        command.add_option("--reason", options.reason, "Why; it goes into the registry's tree")
            ->type_name("TEXT")
            ->required();
        add_filter_options(command, options.filter);
        auto* decision =
            command.add_option("--decision", options.decision, "Of this decision alone, by its id")
                ->type_name("ID")
                ->group("Filters");
        auto* all = command.add_flag("--all", options.all, "Of all decisions");
        command.add_flag("--lift", options.lift, "End the hold")->excludes(all)->excludes(decision);
        command.footer(
            "What a hold covers is neither deleted by the rule of a manifest nor erased by\n"
            "'notp decisions erase'. Placing and lifting are leaves of the registry's tree, for "
            "ever;\n"
            "of --value and --contains they show a hash. A hold that is in force is changed by "
            "giving\n"
            "its name again. It needs the right \"erase\" on the ledger of the filter, and "
            "without\n"
            "--ledger on all.");
      },
      run_hold);
  commands.add<HoldsOptions>(
      decisions, "holds", "List the holds",
      [](CLI::App& command, HoldsOptions& options) {
        command.add_flag("--all", options.all, "Also those that were lifted");
      },
      run_holds);
}

}  // namespace notp::cli
