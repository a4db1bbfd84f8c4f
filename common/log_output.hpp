// Writes lines of a log without waiting for their reader: a journal that stands still, or a pipe
// that nobody empties, must not hold up decisions.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <thread>

#include "common/mutex.hpp"

namespace notp::log {

// Lines that the reader does not take at once wait in memory, in order, up to kWaitingBytesMax;
// those beyond are dropped and counted. Only sockets and pipes can stand still for long: to files
// and terminals it writes directly. Thread-safe.
class LogOutput {
 public:
  static constexpr size_t kWaitingBytesMax = 1 << 20;
  // What the end of the process gives a slow reader.
  static constexpr int kEndMs = 1'000;

  // Returns the line that says how many were dropped; it comes in their place.
  using LossLine = std::function<std::string(uint64_t lines)>;

  // `fd` stays open as long as the object lives, and is not closed by it.
  LogOutput(int fd, LossLine loss_line, int end_ms = kEndMs);
  ~LogOutput();
  LogOutput(const LogOutput&) = delete;
  LogOutput& operator=(const LogOutput&) = delete;

  // `line` ends with a newline.
  void write(std::string_view line);
  // Lines since the start.
  uint64_t dropped() const { return dropped_; }

 private:
  enum class Kind : uint8_t { kPlain, kPipe, kSocket };

  // Writes what is possible without waiting. Returns how much; `line.size()` when there is no
  // reader any more.
  size_t write_now(std::string_view line) NOTP_REQUIRES(mutex_);
  ssize_t write_piece(std::string_view piece) const;
  bool flush_waiting() NOTP_REQUIRES(mutex_);
  void drop(size_t lines) NOTP_REQUIRES(mutex_);
  void drain();

  const int fd_;
  const Kind kind_;
  const LossLine loss_line_;
  const int end_ms_;
  std::atomic<uint64_t> dropped_ = 0;
  Mutex mutex_;
  ConditionVariable changed_;
  std::string waiting_ NOTP_GUARDED_BY(mutex_);
  uint64_t lost_ NOTP_GUARDED_BY(mutex_) = 0;  // dropped, and not said yet
  bool is_ending_ NOTP_GUARDED_BY(mutex_) = false;
  std::thread drainer_ NOTP_GUARDED_BY(mutex_);  // runs from the first line that waited
};

}  // namespace notp::log
