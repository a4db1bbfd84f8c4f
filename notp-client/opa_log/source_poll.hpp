// Asks OPA how many decisions it has answered.
#pragma once

#include <memory>
#include <string>

#include "notp-client/opa_log/intake.hpp"

namespace notp::opa_log {

struct SourcePollOptions {
  std::string url;          // "http://127.0.0.1:8181", OPA's API; empty: nothing is counted
  int64_t poll_ms = 2'000;  // what an OPA that dies has answered since the last poll is not known
  int64_t call_ms = 1'000;  // of each of three calls
};

// Owns a thread, which polls and lets the intake write its gap records. Thread-safe.
class SourcePoll {
 public:
  // The intake outlives it.
  SourcePoll(Intake& intake, SourcePollOptions options);
  // Ends after the call under way.
  ~SourcePoll();

 private:
  struct State;
  const std::unique_ptr<State> state_;
};

}  // namespace notp::opa_log
