#include "notp-client/agent/core/freshness_watch.hpp"

#include <fmt/format.h>

#include "common/limits.hpp"

namespace notp::agent {

FreshnessWatch::FreshnessWatch(CoreParts parts, TimeMs boot_ms)
    : parts_(parts), keep_time_ms_(boot_ms) {}

// The PDP may take its time over a new desired state; the registry and the log learn of the age at
// once.
void FreshnessWatch::refresh(const Picks& wanted) {
  TimeMs next_ms = kNever;
  for (const model::LedgerId& ledger : parts_.releases.sorted_ledgers())
    next_ms = std::min(next_ms, refresh_active(ledger));
  for (const auto& [ledger, pick] : wanted)
    next_ms = std::min(next_ms, parts_.releases.forecast(ledger, pick.version).next_change_ms);
  next_ms = std::min(next_ms, refresh_root());
  next_check_ms_ = next_ms == kNever ? kNever : parts_.trust.boot_deadline_ms(next_ms);
}

TimeMs FreshnessWatch::refresh_active(const model::LedgerId& ledger) {
  const DesiredRelease* active = parts_.releases.active(ledger);
  if (!active) return kNever;
  const FreshnessForecast now = parts_.releases.forecast(ledger, active->version);
  if (!parts_.reports.set_freshness(ledger, now.freshness_status.state)) return now.next_change_ms;
  parts_.effects.push_back(effect::Aged{ledger, active->version, now.freshness_status});
  // Neither a clock set back nor a new process makes a release fresh again.
  if (now.freshness_status.state > trust::FreshnessState::kFresh)
    parts_.effects.push_back(effect::Persist{store::change::KeepTime{parts_.trust.marks()}});
  parts_.reports.report_ledger(ledger);
  return now.next_change_ms;
}

TimeMs FreshnessWatch::refresh_root() {
  const trust::Root& root = parts_.trust.root();
  const TimeMs now_ms = parts_.trust.now_ms();
  const trust::RootExpiry expiry = trust::root_expiry(root.expires_ms, now_ms);
  if (std::exchange(reported_expiry_, expiry) != expiry)
    parts_.effects.push_back(effect::RootAged{root, now_ms});
  if (expiry == trust::RootExpiry::kExpired)
    parts_.alarms.raise_once(
        AlarmTopic::kRoot,
        Error{ErrorCode::kExpired,
              fmt::format("root {} has expired: this node goes on with what it has and accepts "
                          "nothing new until the registry sends a newer root",
                          root.version),
              {}});
  return trust::next_root_expiry_ms(root.expires_ms, now_ms);
}

void FreshnessWatch::keep_time_if_due(TimeMs boot_ms) {
  if (boot_ms < keep_time_ms_) return;
  on_time_kept(boot_ms);
  parts_.effects.push_back(effect::Persist{store::change::KeepTime{parts_.trust.marks()}});
}

void FreshnessWatch::on_time_kept(TimeMs boot_ms) {
  keep_time_ms_ = boot_ms + limits::kClockKeepMs;
}

}  // namespace notp::agent
