#include "notp-client/agent/host/agent_log.hpp"

#include "common/log.hpp"
#include "protocol/trust/root_expiry.hpp"

namespace notp {

void log_effect(const agent_effect::Alarm& alarm) {
  log::write(log::Level::kError, "alarm", alarm.error);
}

void log_effect(const agent_effect::Changed& changed, std::string_view pdp) {
  const bool rejected = changed.state == wire::CommitState::kRejected;
  log::write(rejected ? log::Level::kError : log::Level::kInfo, "release",
             {{"ledger", changed.ledger.text()},
              {"version", changed.version},
              {"state", wire::commit_state_name(changed.state)},
              {"pdp", pdp},
              {"message", changed.message}});
}

void log_effect(const agent_effect::Aged& aged) {
  const FreshnessStatus& freshness_status = aged.freshness_status;
  const bool expired = freshness_status.state == FreshnessState::kExpired;
  log::write(expired ? log::Level::kError : log::Level::kInfo, "freshness",
             {{"ledger", aged.ledger.text()},
              {"version", aged.version},
              {"state", freshness_state_name(freshness_status.state)},
              {"withdrawn", freshness_status.withdrawn},
              {"denies", freshness_status.denies()},
              {"vouched_ms", freshness_status.vouched_ms}});
}

void log_effect(const agent_effect::RootAged& aged) {
  const RootExpiry expiry = root_expiry(aged.root.expires_ms, aged.at_ms);
  log::write(expiry == RootExpiry::kFar    ? log::Level::kInfo
             : expiry == RootExpiry::kSoon ? log::Level::kWarn
                                           : log::Level::kError,
             "root_expiry",
             {{"state", root_expiry_name(expiry)},
              {"root_version", aged.root.version},
              {"expires", aged.root.expires_ms == 0 ? "never" : utc_time(aged.root.expires_ms)},
              {"message", expiry == RootExpiry::kFar ? "a newer root has come"
                                                     : root_expiry_text(aged.root, aged.at_ms)}});
}

void log_effect(const agent_effect::Persist& persist) {
  if (const auto* pinned = std::get_if<store_change::PinRoot>(&persist.change))
    log::info("root", {{"version", pinned->root.version}});
}

}  // namespace notp
