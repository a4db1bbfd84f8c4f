#include "notp-server/lane_inputs/source_stats.hpp"

#include <algorithm>
#include <utility>

#include "common/bytes.hpp"
#include "common/limits.hpp"
#include "notp-server/lane_inputs/lane_input_limits.hpp"
#include "notp-server/lane_inputs/refusal.hpp"

namespace notp::lane_inputs {
namespace {

using State = lane::SourceState::State;

// Of rules beyond kRefusalNamesMax.
constexpr const char* kOthers = "others";

}  // namespace

SourceStats::SourceStats(const std::string& lane, std::string name, std::string kind,
                         std::string tells, Contact contact)
    : contact_(contact), log_(lane, name) {
  facts_.name = std::move(name);
  facts_.kind = std::move(kind);
  facts_.tells = std::move(tells);
}

void SourceStats::taken(uint64_t events, Now now) {
  const MutexLock lock(mutex_);
  facts_.events += events;
  if (events != 0) facts_.last_event_ms = now.wall_ms;
}

void SourceStats::refused(const Error& error) {
  const MutexLock lock(mutex_);
  ++facts_.refused;
  const std::string rule(rule_of(error));
  const bool is_known = refusals_.contains(rule) || refusals_.size() < kRefusalNamesMax;
  ++refusals_[is_known ? rule : kOthers];
  log_.failed(error);
}

void SourceStats::succeeded(Now now) {
  const MutexLock lock(mutex_);
  facts_.last_contact_ms = now.wall_ms;
  failing_since_ms_.reset();
  failure_.clear();
  log_state(now);
}

void SourceStats::failed(const Error& error, Now now) {
  const MutexLock lock(mutex_);
  if (!failing_since_ms_) failing_since_ms_ = now.boot_ms;
  failure_ = printable(error.message, limits::kErrorTextBytesMax);
  log_.failed(error);
  log_state(now);
}

void SourceStats::trouble(std::optional<Error> error, Now now) {
  const MutexLock lock(mutex_);
  if (!error) {
    trouble_since_ms_.reset();
    trouble_.clear();
  } else {
    if (!trouble_since_ms_) trouble_since_ms_ = now.boot_ms;
    trouble_ = printable(error->message, limits::kErrorTextBytesMax);
    log_.failed(*error);
  }
  log_state(now);
}

void SourceStats::tells(std::string text) {
  const MutexLock lock(mutex_);
  facts_.tells = std::move(text);
}

void SourceStats::remark(std::string text) {
  const MutexLock lock(mutex_);
  remark_ = std::move(text);
}

lane::SourceState SourceStats::state(Now now) const {
  const MutexLock lock(mutex_);
  lane::SourceState out = facts_;
  out.state = state_of(now);
  out.message = !failure_.empty() ? failure_ : !trouble_.empty() ? trouble_ : remark_;
  return out;
}

std::map<std::string, uint64_t> SourceStats::refusals() const {
  const MutexLock lock(mutex_);
  return refusals_;
}

State SourceStats::state_of(Now now) const {
  if (failing_since_ms_ || trouble_since_ms_) {
    const TimeMs since_ms =
        std::min(failing_since_ms_.value_or(now.boot_ms), trouble_since_ms_.value_or(now.boot_ms));
    return now.boot_ms - since_ms >= kFailingMs ? State::kFailing : State::kLate;
  }
  return contact_ == Contact::kActive && facts_.last_contact_ms == 0 ? State::kLate : State::kOk;
}

void SourceStats::log_state(Now now) {
  const State state = state_of(now);
  if (state == State::kOk) log_.succeeded();
  log_.state_is(state, failure_.empty() ? trouble_ : failure_);
}

}  // namespace notp::lane_inputs
