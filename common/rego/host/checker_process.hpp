// One worker process that validates models; the calling thread waits for its answers.
#pragma once

#include <deque>
#include <memory>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "common/clock.hpp"
#include "common/rego/host/frames.hpp"
#include "common/rego/host/worker_process.hpp"

namespace notp::rego {

// A process that was stopped, or ended, before it answered.
struct CheckStopped {
  // kTime: it exceeded its processor time. kBusy: it did not get that much. kOutside: it was
  // killed, or stood still.
  enum class Cause : uint8_t { kTime, kMemory, kCrash, kBusy, kOutside };
  Cause cause = Cause::kOutside;
  std::string why;
  std::vector<Progress> running;  // its reported activities
  // No other test ran in parallel: the time is attributable to it.
  bool was_alone = false;
};

struct CheckBounds {
  uint64_t memory_bytes = 0;
  // Processor time:
  int64_t all_ms = 0;   // until the answer
  int64_t test_ms = 0;  // for one test; it gets some more before it is stopped from here
  // Wall time:
  int64_t still_ms = 0;  // without processor time
  TimeMs end_ms = 0;     // on the steady clock
};

// The clock of CheckBounds::end_ms.
TimeMs steady_ms();

// One thread at a time.
class CheckerProcess {
 public:
  // Waits for its hello. kUnavailable: it does not start, or has an unexpected version.
  static Result<std::unique_ptr<CheckerProcess>> start(const WorkerOptions& options,
                                                       std::string_view opa_version);

  void queue(OutgoingFrame frame) { queue_.push_back(std::move(frame)); }
  // Sends the queued frames, `frame` last, and waits for its answer: the payload.
  std::variant<Bytes, CheckStopped> ask(uint32_t id, OutgoingFrame frame,
                                        const CheckBounds& bounds);
  uint32_t next_id() { return ++last_id_; }

  bool is_alive() { return !process_.ended(); }
  uint64_t memory_bytes() const { return process_.memory_bytes(); }
  void limit_memory(uint64_t bytes) const;

  // Content that it holds.
  std::set<Hash> contents;

 private:
  explicit CheckerProcess(WorkerProcess process) : process_(std::move(process)) {}

  using Step = std::variant<std::monostate, Bytes, CheckStopped>;
  Result<Bytes> wait_for_hello(std::string_view opa_version);
  Step step(uint32_t id, const CheckBounds& bounds);
  void wait(int64_t wait_ms);
  bool send();  // false: the socket is full or closed
  bool receive();
  Step look(const CheckBounds& bounds);
  Step look_at_time(const CheckBounds& bounds, TimeMs now);
  void charge();
  Step take_frames(uint32_t id);
  void note(const IncomingFrame& frame);
  CheckStopped stop(CheckStopped::Cause cause, std::string why);

  struct Running {
    Progress what;
    int64_t spent_us = 0;  // its share of the processor time since it began
    bool was_alone = true;
  };

  WorkerProcess process_;
  FrameReader reader_;
  std::deque<OutgoingFrame> queue_;
  size_t sent_of_first_ = 0;
  uint32_t last_id_ = 0;
  std::vector<Running> running_;
  TimeMs next_look_ms_ = 0;
  int64_t asked_us_ = 0, charged_us_ = 0;  // processor time at the request, and at the last check
  TimeMs moved_ms_ = 0;                    // when it was last seen to use some
};

}  // namespace notp::rego
