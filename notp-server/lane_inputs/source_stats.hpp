// What a source says of itself, and the log of its refusals.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "common/mutex.hpp"
#include "notp-server/lane/intake.hpp"
#include "notp-server/lane_inputs/pull_log.hpp"

namespace notp::lane_inputs {

// Whether a source waits for requests, or makes them.
enum class Contact : uint8_t {
  kPassive,  // ok while nothing is wrong: its silence says nothing
  kActive,   // late until it was reached
};

// Thread-safe.
class SourceStats {
 public:
  SourceStats(const std::string& lane, std::string name, std::string kind, std::string tells,
              Contact contact);

  void taken(uint64_t events, Now now);
  // By the rule of the error, which does not make the source late.
  void refused(const Error& error);
  // It was reached, and all is well.
  void succeeded(Now now);
  // It was not reached, or the lane does not take its events.
  void failed(const Error& error, Now now);
  // What is wrong although it is reached; nullopt: nothing any more.
  void trouble(std::optional<Error> error, Now now);
  void tells(std::string text);
  // Something about it that a person should know while it is ok; empty: nothing.
  void remark(std::string text);

  lane::SourceState state(Now now) const;
  // Refusals since the start, by the names of their rules.
  std::map<std::string, uint64_t> refusals() const;

 private:
  lane::SourceState::State state_of(Now now) const NOTP_REQUIRES(mutex_);
  void log_state(Now now) NOTP_REQUIRES(mutex_);

  const Contact contact_;
  mutable Mutex mutex_;
  lane::SourceState facts_ NOTP_GUARDED_BY(mutex_);
  std::map<std::string, uint64_t> refusals_ NOTP_GUARDED_BY(mutex_);
  std::optional<TimeMs> failing_since_ms_ NOTP_GUARDED_BY(mutex_);  // boot time
  std::optional<TimeMs> trouble_since_ms_ NOTP_GUARDED_BY(mutex_);  // boot time
  std::string trouble_ NOTP_GUARDED_BY(mutex_);
  std::string failure_ NOTP_GUARDED_BY(mutex_);
  std::string remark_ NOTP_GUARDED_BY(mutex_);
  PullLog log_ NOTP_GUARDED_BY(mutex_);
};

}  // namespace notp::lane_inputs
