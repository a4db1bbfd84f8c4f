#include "notp-client/app/status_line.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace notp::client {
namespace {

// The worst state among the ledgers that decide; untracked: none does, or their ages are unknown.
trust::FreshnessState worst_of(const agent::AgentStatus& status) {
  trust::FreshnessState worst = trust::FreshnessState::kUntracked;
  for (const agent::LedgerStatus& ledger : status.ledgers)
    if (ledger.active_version != 0) worst = std::max(worst, ledger.freshness_status.state);
  return worst;
}

std::string decisions_of(const agent::AgentStatus& status, const std::string& refusal) {
  if (!refusal.empty()) return "refusing decisions: " + refusal;
  const auto active = std::ranges::count_if(
      status.ledgers, [](const auto& row) { return row.active_version != 0; });
  std::string out = fmt::format("serving {} of {} ledgers", active, status.ledgers.size());
  if (const auto worst = worst_of(status); worst != trust::FreshnessState::kUntracked)
    out += fmt::format(", {}", trust::freshness_state_name(worst));
  return out;
}

}  // namespace

std::string StatusLine::text(const agent::AgentStatus& status, const std::string& refusal,
                             TimeMs wall_ms, const std::string& lane) {
  std::string decisions = decisions_of(status, refusal);
  if (!lane.empty()) decisions += ", lane " + lane;
  if (status.connected) {
    unreachable_ms_ = kNever;
    return decisions + "; registry connected";
  }
  unreachable_ms_ = std::min(unreachable_ms_, wall_ms);
  return fmt::format("{}; registry unreachable since {}{}{}", decisions, utc_time(unreachable_ms_),
                     status.last_error.empty() ? "" : ": ", status.last_error);
}

}  // namespace notp::client
