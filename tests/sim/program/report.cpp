#include "tests/sim/program/report.hpp"

#include <fmt/format.h>

namespace notp::sim {
namespace {

using Counts = std::map<std::string_view, uint64_t>;

double rate(const Campaign& campaign) {
  return campaign.seconds > 0 ? static_cast<double>(campaign.done) / campaign.seconds : 0;
}

std::string counts_text(std::string_view what, const Counts& counts) {
  std::string line = fmt::format("  {}:", what);
  for (const auto& [name, count] : counts) line += fmt::format(" {} {}", name, count);
  return line + "\n";
}

json::object counts_json(const Counts& counts) {
  json::object out;
  for (const auto& [name, count] : counts) out[name] = count;
  return out;
}

}  // namespace

std::string progress_line(const Campaign& campaign, uint64_t seeds) {
  std::string line = fmt::format("{} of {} seeds, {:.1f} a second, {} with violations",
                                 campaign.done, seeds, rate(campaign), campaign.red.size());
  if (campaign.done < seeds && campaign.done > 0)
    line += fmt::format(", {:.0f} min left",
                        static_cast<double>(seeds - campaign.done) / rate(campaign) / 60);
  return line;
}

std::string report_text(const Campaign& campaign, uint64_t first, uint64_t seeds) {
  const Verdict& total = campaign.total;
  std::string text;
  for (const auto& [seed, violations] : campaign.red)
    for (const std::string& violation : violations) text += violation + "\n";
  if (seeds == 1) text += fmt::format("trace hash {}\n", total.trace_hash.hex());
  text += fmt::format(
      "{} seeds from {}: {} events, {} faults, {} activations, {} seeds with violations\n",
      campaign.done, first, total.events, total.faults, total.activations, campaign.red.size());
  if (campaign.done < seeds) text += fmt::format("  interrupted: {} seeds were asked for\n", seeds);
  text +=
      fmt::format("  roots {} made, {} walked; releases {} withdrawn, {} installations refused\n",
                  total.roots_made, total.roots_walked, total.withdrawals, total.refused);
  text += fmt::format(
      "  statements {} sent, {} accepted, of honest sessions {} for a class and {} for one; "
      "ledgers {} times stale, {} expired\n",
      total.statements_signed, total.statements_accepted, total.statements_shared,
      total.statements_own, total.stale, total.expired);
  text += fmt::format(
      "  decisions {} answered, {} not at the registry; logs {} begun, {} records, {} gaps, {} "
      "commits\n",
      total.decisions, total.decisions_lost, total.logs, total.records, total.log_gaps,
      total.segments);
  text += fmt::format("  receipts {} sent, {} cosigned, {} refused\n", total.receipts,
                      total.cosignatures, total.trees_refused);
  if (total.lost > 0)
    text += fmt::format("  restored: {} releases lost, {} recovered, {} not returned\n", total.lost,
                        total.recovered, total.returns_refused);
  return text + counts_text("sessions", total.sessions) + counts_text("logs", total.log_sessions) +
         counts_text("alarms", total.alarms) +
         fmt::format("  {:.1f} s, {:.1f} seeds a second\n", campaign.seconds, rate(campaign));
}

json::object report_json(const Campaign& campaign, uint64_t first, uint64_t seeds) {
  const Verdict& total = campaign.total;
  json::object red;
  for (const auto& [seed, violations] : campaign.red)
    red[std::to_string(seed)] = json::array(violations.begin(), violations.end());
  json::object document{{"first_seed", first},
                        {"seeds", seeds},
                        {"done", campaign.done},
                        {"seconds", campaign.seconds},
                        {"seeds_per_second", rate(campaign)},
                        {"violations", std::move(red)},
                        {"events", total.events},
                        {"faults", total.faults},
                        {"activations", total.activations},
                        {"installations_refused", total.refused},
                        {"roots_made", total.roots_made},
                        {"roots_walked", total.roots_walked},
                        {"withdrawals", total.withdrawals},
                        {"statements_signed", total.statements_signed},
                        {"statements_accepted", total.statements_accepted},
                        {"statements_shared", total.statements_shared},
                        {"statements_own", total.statements_own},
                        {"stale", total.stale},
                        {"expired", total.expired},
                        {"inventories", total.inventories},
                        {"repairs", total.repairs},
                        {"parts", total.parts},
                        {"decisions", total.decisions},
                        {"decisions_lost", total.decisions_lost},
                        {"records", total.records},
                        {"log_gaps", total.log_gaps},
                        {"log_commits", total.segments},
                        {"logs", total.logs},
                        {"receipts", total.receipts},
                        {"cosignatures", total.cosignatures},
                        {"trees_refused", total.trees_refused},
                        {"lost", total.lost},
                        {"recovered", total.recovered},
                        {"not_returned", total.returns_refused},
                        {"sessions", counts_json(total.sessions)},
                        {"log_sessions", counts_json(total.log_sessions)},
                        {"alarms", counts_json(total.alarms)}};
  if (seeds == 1) document["trace_hash"] = total.trace_hash.hex();
  return document;
}

}  // namespace notp::sim
