#include "notp-client/agent/host/agent_log.hpp"

#include "common/log.hpp"
#include "protocol/trust/root_expiry.hpp"
#include "protocol/wire/source_names.hpp"

namespace notp::agent {

void log_effect(const effect::Alarm& alarm) {
  log::write(log::Level::kError, "alarm", alarm.error);
}

void log_effect(const effect::Changed& changed, std::string_view pdp) {
  const bool rejected = changed.state == wire::CommitState::kRejected;
  log::write(rejected ? log::Level::kError : log::Level::kInfo, "release",
             {{"ledger", changed.ledger.text()},
              {"version", changed.version},
              {"state", wire::commit_state_name(changed.state)},
              {"pdp", pdp},
              {"message", changed.message}});
}

void log_effect(const effect::Aged& aged) {
  const trust::FreshnessStatus& freshness_status = aged.freshness_status;
  const bool expired = freshness_status.state == trust::FreshnessState::kExpired;
  log::write(expired ? log::Level::kError : log::Level::kInfo, "freshness",
             {{"ledger", aged.ledger.text()},
              {"version", aged.version},
              {"state", trust::freshness_state_name(freshness_status.state)},
              {"withdrawn", freshness_status.withdrawn},
              {"denies", freshness_status.denies()},
              {"vouched_ms", freshness_status.vouched_ms}});
}

void log_effect(const effect::SourceChanged& changed) {
  const wire::IssuerStatus& issuer = changed.issuer;
  log::write(issuer.state == wire::IssuerState::kOk ? log::Level::kInfo : log::Level::kWarn,
             "key_source",
             {{"source", issuer.name},
              {"issuer", issuer.issuer},
              {"ledger", issuer.ledger.text()},
              {"state", wire::source_state_name(issuer.state)},
              {"fetched_ms", issuer.good_ms}});
}

void log_effect(const effect::RootAged& aged) {
  const trust::RootExpiry expiry = trust::root_expiry(aged.root.expires_ms, aged.at_ms);
  log::write(expiry == trust::RootExpiry::kFar    ? log::Level::kInfo
             : expiry == trust::RootExpiry::kSoon ? log::Level::kWarn
                                                  : log::Level::kError,
             "root_expiry",
             {{"state", trust::root_expiry_name(expiry)},
              {"root_version", aged.root.version},
              {"expires", aged.root.expires_ms == 0 ? "never" : utc_time(aged.root.expires_ms)},
              {"message", expiry == trust::RootExpiry::kFar
                              ? "a newer root has come"
                              : trust::root_expiry_text(aged.root, aged.at_ms)}});
}

void log_effect(const effect::Persist& persist) {
  if (const auto* pinned = std::get_if<store::change::PinRoot>(&persist.change))
    log::info("root", {{"root_version", pinned->root.version}});
}

}  // namespace notp::agent
