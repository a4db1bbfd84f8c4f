// Decides which returning nodes ship what they have kept: a place each, first come, first served.
// It bounds the memory of a fleet that returns at once. Pure.
#pragma once

#include <map>

#include "common/clock.hpp"
#include "protocol/record/log_id.hpp"

namespace notp::audit {

// One thread.
class CatchUp {
 public:
  explicit CatchUp(size_t places) : places_(places) {}

  // Gives a log a place until it has `target` records here. False: none is free. A log that has one
  // keeps it.
  bool admit(const record::LogId& log, record::Position target, TimeMs boot_ms);
  // The registry has everything of the log below `next`.
  void progress(const record::LogId& log, record::Position next, TimeMs boot_ms);
  // The log is refused.
  void drop(const record::LogId& log) { logs_.erase(log); }
  // Takes the places of logs that delivered nothing for kCatchingUpIdleMs.
  void expire(TimeMs boot_ms);
  size_t free() const { return places_ > logs_.size() ? places_ - logs_.size() : 0; }

 private:
  struct Place {
    record::Position target = 0;
    TimeMs last_ms = 0;
  };
  const size_t places_;
  std::map<record::LogId, Place> logs_;
};

}  // namespace notp::audit
