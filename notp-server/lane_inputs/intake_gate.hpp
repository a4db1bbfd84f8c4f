// Hands events of one source to its lane until the source is stopped.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <string>
#include <vector>

#include "common/mutex.hpp"
#include "notp-server/lane/intake.hpp"

namespace notp::lane_inputs {

// Thread-safe. Requests that are under way when the source stops find it closed.
class IntakeGate {
 public:
  // `intake` outlives close().
  IntakeGate(lane::LaneIntake& intake, std::string source)
      : source_(std::move(source)), intake_(&intake) {}

  // Waits for the commit on the caller's executor, for at most kCommitMs: then kTimeout, and
  // whether the events were taken is not known. The same for kCancelled: the caller was cancelled.
  // The errors of LaneIntake::take(); kUnavailable after close().
  boost::asio::awaitable<Result<lane::IntakeOutcome>> take(std::vector<lane::IncomingEvent> events);

  // The intake is called no more.
  void close();

 private:
  void hand_over(std::vector<lane::IncomingEvent> events, lane::LaneIntake::Done done);

  const std::string source_;
  Mutex mutex_;
  lane::LaneIntake* intake_ NOTP_GUARDED_BY(mutex_);
};

}  // namespace notp::lane_inputs
