// Decides when security events are fetched from a transmitter (RFC 8936), and what is acknowledged.
// A core: its host makes the calls.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/bytes.hpp"
#include "common/clock.hpp"
#include "common/random.hpp"
#include "common/result.hpp"

namespace notp::lane_inputs {

// RFC 8936 §2.5: `sets` by their jti.
struct PollAnswer {
  std::vector<std::pair<std::string, std::string>> sets;
};
// kMessage: not such an answer; kLimit: more than kPollSetsMax tokens.
Result<PollAnswer> read_poll_answer(ByteView body);

// What became of one token of an answer.
struct PolledSet {
  enum class Outcome : uint8_t { kTaken, kRefused, kAgain };
  std::string jti;  // its name in the answer
  Outcome outcome = Outcome::kAgain;
  std::string code, description;  // kRefused: as in RFC 8935 §2.4
};

// One thread.
class PollCore {
 public:
  // `random` outlives it. The first request is due at once.
  PollCore(Random& random, TimeMs interval_ms, TimeMs boot_ms)
      : random_(random), interval_ms_(interval_ms), due_ms_(boot_ms) {}

  // Boot time of the next request; kNever while one is under way.
  TimeMs next_deadline() const { return due_ms_; }
  // Begins a request: returns its body (RFC 8936 §2.4).
  std::string begin(TimeMs boot_ms);

  // The end of a request whose tokens have been handed over; what was acknowledged by it has
  // arrived. The next request is due at once after new events that are all done with, and after a
  // request that the transmitter held; else after the interval: what is not done with comes again,
  // and a transmitter that repeats itself is asked no more often for it.
  void answered(const std::vector<PolledSet>& sets, TimeMs boot_ms);
  // The end of a request without an answer: everything is acknowledged again. Of a request that the
  // transmitter held for too long (kTimeout), the next one does not ask for that, and this one is
  // no failure. `after_ms`: what the transmitter asked for; 0: nothing.
  enum class Failure : bool { kNo, kYes };
  Failure failed(const Error& error, TimeMs after_ms, TimeMs boot_ms);

  // Whether requests ask the transmitter to hold them until there is an event.
  bool may_hold() const { return may_hold_; }

 private:
  TimeMs jittered(TimeMs time_ms);

  Random& random_;
  const TimeMs interval_ms_;
  TimeMs due_ms_;
  TimeMs begun_ms_ = 0;
  bool may_hold_ = true;
  int failures_ = 0;  // in a row
  std::vector<std::string> acks_;
  std::map<std::string, std::pair<std::string, std::string>> errors_;  // code and description
  size_t sent_acks_ = 0;
  std::vector<std::string> sent_errors_;
};

}  // namespace notp::lane_inputs
