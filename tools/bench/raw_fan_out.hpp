// The control of a push to many sessions: a process that writes the same number of bytes to as many
// plain TCP connections, one write(2) each, and this process, which reads them.
#pragma once

#include <sys/types.h>

#include <memory>
#include <vector>

#include "common/clock.hpp"
#include "common/result.hpp"
#include "tools/bench/time_counts.hpp"

namespace notp::bench {

class RawFanOut {
 public:
  // Forks the writer. Call it while this process has one thread. kIo.
  static Result<std::unique_ptr<RawFanOut>> start(size_t connections);
  ~RawFanOut();
  RawFanOut(const RawFanOut&) = delete;
  RawFanOut& operator=(const RawFanOut&) = delete;

  // Has `bytes` written to each connection, `count` times, `rate` times a second: the time from
  // when a write was due to its last byte here. The first run connects. kTimeout, kIo.
  Result<TimeCounts> run(size_t bytes, size_t count, double rate, TimeMs patience_ms);

 private:
  RawFanOut() = default;
  Result<void> connect();

  pid_t writer_ = -1;
  uint16_t port_ = 0;
  size_t count_ = 0;
  int commands_ = -1, epoll_ = -1;
  std::vector<int> connections_;
};

}  // namespace notp::bench
