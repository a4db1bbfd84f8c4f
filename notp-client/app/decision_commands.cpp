#include "notp-client/app/decision_commands.hpp"

#include <fmt/format.h>

#include <numeric>

#include "common/json/json.hpp"
#include "notp-client/spool/receipt_keeper.hpp"
#include "notp-client/spool/spool_check.hpp"

namespace notp::client {
namespace {

constexpr int64_t kNsPerMs = 1'000'000;
constexpr const char* kKindNames[] = {"decisions", "active", "run_starts",
                                      "run_ends",  "gaps",   "dropped"};

std::string fact(std::string_view name, const std::string& value) {
  return fmt::format("{:<14}{}\n", name, value);
}

int exit_of(const spool::SpoolReport& report) {
  if (report.fault_count != 0) return kDecisionsDamaged;
  return report.gap_count != 0 || report.records_dropped != 0 ? kDecisionsGaps : kDecisionsWhole;
}

std::string gap_text(const spool::SpoolGap& found) {
  const record::Gap& gap = found.gap;
  return fmt::format("gap at {} ({}): {}, {}{}{}{}\n", found.position,
                     utc_time(found.time_ns / kNsPerMs), record::gap_reason_name(gap.reason),
                     gap.at_most ? "at most " : "", gap.count,
                     gap.source.empty() ? "" : " of " + printable(gap.source),
                     gap.message.empty() ? "" : ": " + printable(gap.message));
}

std::string tree_text(const std::optional<spool::SpoolTree>& tree, record::Position sealed) {
  std::string out;
  if (!tree) return out;
  if (!tree->registry.empty()) {
    out += fact("tree", fmt::format("{} of {}: {} entries, {}", tree->tree.hex(), tree->registry,
                                    tree->size, utc_time(tree->at_ms)));
    out += fact("receipts", fmt::format("for records below {} of {}", tree->witnessed, sealed));
  }
  if (tree->accepted)
    out += fact("accepted", "tree " + tree->accepted->hex() + " at its next checkpoint");
  if (!tree->refused.empty())
    out += fmt::format(
        "\nthe registry's tree is refused: {}\n"
        "    what to do: keep this folder and its {}* files as evidence; ask who runs the "
        "registry; if it was put back from a backup or begun anew on purpose: notp-client "
        "decisions accept-tree {}\n",
        tree->refused, spool::kEvidenceFront, tree->refused_tree.hex());
  return out;
}

std::string verify_text(const spool::SpoolReport& report) {
  std::string out = fact("log", report.log.hex());
  const uint64_t decisions = report.kinds.front();
  const uint64_t all = std::accumulate(report.kinds.begin(), report.kinds.end(), uint64_t{0});
  out += fact("records", fmt::format("{} to {}: {} decisions, {} other records", report.first,
                                     report.next, decisions, all - decisions));
  out += tree_text(report.tree, report.sealed);
  for (const spool::SpoolGap& gap : report.gaps) out += gap_text(gap);
  if (report.gap_count > report.gaps.size())
    out += fmt::format("and {} more gaps\n", report.gap_count - report.gaps.size());
  if (report.records_dropped != 0)
    out += fmt::format("{} records were dropped while the spool was full: their hashes are left\n",
                       report.records_dropped);
  for (const spool::SpoolFault& fault : report.faults)
    out +=
        fmt::format("\nlog {} position {}: {}\n", report.log.hex(), fault.position, fault.problem);
  if (report.fault_count > report.faults.size())
    out += fmt::format("and {} more faults\n", report.fault_count - report.faults.size());
  if (report.fault_count != 0)
    out +=
        "    what to do: keep the folder as evidence; the agent goes on with what is whole, or "
        "begins a new log; find out who or what could write the folder\n";
  else if (exit_of(report) == kDecisionsWhole)
    out += "every record is as it was hashed and signed\n";
  return out;
}

std::string stats_text(const DecisionCommandOptions& options, const spool::SpoolReport& report) {
  std::string out = fact("spool", options.folder.string());
  out += fact("log", fmt::format("{}, run {}{}", report.log.hex(), report.run,
                                 report.is_announced ? "" : ", not announced yet"));
  out += fact("node", report.node.empty() ? "not known yet" : report.node);
  if (report.previous) out += fact("before", report.previous->hex());
  if (!report.reason.empty()) out += fact("because", printable(report.reason));
  out +=
      fact("records", fmt::format("{} to {}; sealed below {}, acknowledged below {}", report.first,
                                  report.next, report.sealed, report.acknowledged));
  out += tree_text(report.tree, report.sealed);
  out += fact("segments", fmt::format("{} of {} bytes, {} uncompressed", report.segments,
                                      report.body_bytes, report.content_bytes));
  if (report.bodies_dropped != 0)
    out += fact("dropped", fmt::format("{} records of {} segments: their hashes are left",
                                       report.records_dropped, report.bodies_dropped));
  out += fact("ring", fmt::format("{} of {} bytes", report.ring_bytes, report.ring_capacity));
  out += fact("oldest", report.oldest_ms == 0 ? "-" : utc_time(report.oldest_ms));
  out += fact("newest", report.newest_ms == 0 ? "-" : utc_time(report.newest_ms));
  for (const spool::SpoolFault& fault : report.faults)
    out += fmt::format("\nposition {}: {}\n", fault.position, fault.problem);
  return out;
}

json::object tree_json(const spool::SpoolTree& tree) {
  return json::object{{"id", tree.tree.hex()},
                      {"registry", tree.registry},
                      {"size", tree.size},
                      {"witnessed", tree.witnessed},
                      {"at_ms", tree.at_ms},
                      {"refused", tree.refused},
                      {"refused_tree", tree.refused.empty() ? "" : tree.refused_tree.hex()},
                      {"accepted", tree.accepted ? tree.accepted->hex() : ""}};
}

json::object report_json(const spool::SpoolReport& report) {
  json::array faults;
  for (const spool::SpoolFault& fault : report.faults)
    faults.push_back(json::object{{"position", fault.position}, {"problem", fault.problem}});
  return json::object{{"tree", report.tree ? json::value(tree_json(*report.tree)) : json::value()},
                      {"log", report.log.hex()},
                      {"node", report.node},
                      {"trust_domain", report.trust_domain},
                      {"previous", report.previous ? report.previous->hex() : ""},
                      {"reason", report.reason},
                      {"announced", report.is_announced},
                      {"run", report.run},
                      {"first", report.first},
                      {"next", report.next},
                      {"sealed", report.sealed},
                      {"acknowledged", report.acknowledged},
                      {"segments", report.segments},
                      {"body_bytes", report.body_bytes},
                      {"content_bytes", report.content_bytes},
                      {"bodies_dropped", report.bodies_dropped},
                      {"records_dropped", report.records_dropped},
                      {"ring_bytes", report.ring_bytes},
                      {"ring_capacity", report.ring_capacity},
                      {"oldest_ms", report.oldest_ms},
                      {"newest_ms", report.newest_ms},
                      {"fault_count", report.fault_count},
                      {"faults", std::move(faults)}};
}

json::object verify_json(const spool::SpoolReport& report) {
  json::object out = report_json(report);
  json::object kinds, outcomes;
  for (size_t i = 0; i < report.kinds.size(); ++i) kinds[kKindNames[i]] = report.kinds[i];
  for (size_t i = 1; i < report.outcomes.size(); ++i)
    outcomes[record::outcome_name(static_cast<record::Outcome>(i))] = report.outcomes[i];
  json::array gaps;
  for (const spool::SpoolGap& found : report.gaps)
    gaps.push_back(json::object{{"position", found.position},
                                {"time_ns", found.time_ns},
                                {"reason", record::gap_reason_name(found.gap.reason)},
                                {"count", found.gap.count},
                                {"at_most", found.gap.at_most},
                                {"source", found.gap.source},
                                {"message", found.gap.message}});
  out["kinds"] = std::move(kinds);
  out["outcomes"] = std::move(outcomes);
  out["gap_count"] = report.gap_count;
  out["gaps"] = std::move(gaps);
  return out;
}

}  // namespace

Result<DecisionAnswer> verify_decisions(const DecisionCommandOptions& options) {
  NOTP_ASSIGN(const spool::SpoolReport report, spool::verify_spool(options.folder));
  return DecisionAnswer{
      options.as_json ? pretty_json(verify_json(report)) + "\n" : verify_text(report),
      exit_of(report)};
}

Result<DecisionAnswer> describe_decisions(const DecisionCommandOptions& options) {
  NOTP_ASSIGN(const spool::SpoolReport report, spool::describe_spool(options.folder));
  return DecisionAnswer{
      options.as_json ? pretty_json(report_json(report)) + "\n" : stats_text(options, report),
      report.fault_count == 0 ? kDecisionsWhole : kDecisionsDamaged};
}

Result<DecisionAnswer> accept_tree(const DecisionCommandOptions& options, const std::string& tree) {
  const auto id = record::LogId::from_hex(tree);
  if (!id)
    return fail(ErrorCode::kUsage,
                fmt::format("{} is not the id of a tree: 32 hexadecimal digits, as `notp-client "
                            "decisions stats` shows it",
                            printable(tree)));
  NOTP_ASSIGN(const spool::SpoolTree accepted, spool::accept_registry_tree(options.folder, *id));
  return DecisionAnswer{
      options.as_json
          ? pretty_json(tree_json(accepted)) + "\n"
          : fmt::format("tree {} is accepted: its next checkpoint is taken as the first; what was "
                        "kept of the tree before stays in the spool\n",
                        id->hex()),
      kDecisionsWhole};
}

}  // namespace notp::client
