#include "notp-client/agent/core/source_watch.hpp"

#include <algorithm>

#include "protocol/wire/source_limits.hpp"

namespace notp::agent {
namespace {

bool differ_in_times_only(const wire::SourceStatus& one, const wire::SourceStatus& other) {
  return std::ranges::equal(one.issuers, other.issuers,
                            [](wire::IssuerStatus a, const wire::IssuerStatus& b) {
                              a.good_ms = b.good_ms;
                              return a == b;
                            });
}

// Whether `shown` has this issuer in the same state.
bool has_state(const wire::SourceStatus* shown, const wire::IssuerStatus& issuer) {
  return shown && std::ranges::any_of(shown->issuers, [&](const wire::IssuerStatus& each) {
           return each.name == issuer.name && each.state == issuer.state;
         });
}

}  // namespace

void SourceWatch::on_status(wire::SourceStatus status) {
  std::erase_if(status.issuers, [&](const wire::IssuerStatus& issuer) {
    return !parts_.releases.follows(issuer.ledger);
  });
  known_ = std::move(status);
  has_word_ = true;
  std::erase_if(reports_, [&](const auto& report) { return !find(report.first); });
  const TimeMs boot_ms = parts_.trust.ticked_at().boot_ms;
  show(boot_ms);
  send(boot_ms);
}

void SourceWatch::on_unknown_key(const wire::UnknownKey& key) {
  if (!find(key.issuer)) return;
  reports_[key.issuer].waiting = Waiting{key.kid, active_version(key.issuer)};
  send(parts_.trust.ticked_at().boot_ms);
}

void SourceWatch::on_deadline(TimeMs boot_ms) {
  show(boot_ms);
  send(boot_ms);
}

TimeMs SourceWatch::next_deadline() const {
  TimeMs next_ms = show_ms_;
  if (!has_word_) return next_ms;
  for (const auto& [issuer, report] : reports_)
    if (report.waiting) next_ms = std::min(next_ms, report.free_ms);
  return next_ms;
}

void SourceWatch::show(TimeMs boot_ms) {
  show_ms_ = kNever;
  const wire::SourceStatus* const shown = parts_.releases.sources().get();
  if (shown ? *shown == known_ : known_.issuers.empty()) return;
  if (shown && shown_at_ms_) {
    const TimeMs pause_ms = differ_in_times_only(*shown, known_) ? limits::kSourceTimesShownMs
                                                                 : limits::kSourceStatesShownMs;
    if (boot_ms < *shown_at_ms_ + pause_ms) {
      show_ms_ = *shown_at_ms_ + pause_ms;
      return;
    }
  }
  for (const wire::IssuerStatus& issuer : known_.issuers)
    if (!has_state(shown, issuer)) parts_.effects.push_back(effect::SourceChanged{issuer});
  parts_.releases.set_sources(known_);
  shown_at_ms_ = boot_ms;
}

void SourceWatch::send(TimeMs boot_ms) {
  if (!has_word_) return;
  for (auto& [issuer, report] : reports_) {
    if (!report.waiting || boot_ms < report.free_ms) continue;
    // A newer release may have the key: if not, the next token with it fails again.
    if (report.waiting->version == active_version(issuer)) {
      parts_.registry.send_unknown_key({issuer, report.waiting->kid});
      report.free_ms = boot_ms + limits::kUnknownKeyPauseMs;
    }
    report.waiting.reset();
  }
}

uint64_t SourceWatch::active_version(std::string_view issuer) const {
  const DesiredRelease* const active = parts_.releases.active(find(issuer)->ledger);
  return active ? active->version : 0;
}

const wire::IssuerStatus* SourceWatch::find(std::string_view issuer) const {
  const auto found = std::ranges::find(known_.issuers, issuer, &wire::IssuerStatus::issuer);
  return found == known_.issuers.end() ? nullptr : &*found;
}

}  // namespace notp::agent
