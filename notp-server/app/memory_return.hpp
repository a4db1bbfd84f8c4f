// Returns memory to the system after a herd of sessions or a large model: the allocator keeps what
// is freed between blocks in use.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>

#include "common/result.hpp"

namespace notp::server {

struct MemoryFacts {
  uint64_t resident_bytes = 0;   // that no file backs
  uint64_t allocated_bytes = 0;  // in blocks in use
  double processor_s = 0;        // of the whole process, since its start

  // Freed blocks that are still resident; also stacks and variables of the program.
  uint64_t free_bytes() const {
    return resident_bytes > allocated_bytes ? resident_bytes - allocated_bytes : 0;
  }
};
// Of this process. kIo.
Result<MemoryFacts> read_memory_facts();

// Decides when returning memory is worth it: enough has been freed since the last time, and the
// process is quiet, since a busy one will need it again, or was busy for kBusyLooksMax looks.
class MemoryReturnRule {
 public:
  static constexpr uint64_t kBytesMin = 4ULL << 20;
  static constexpr double kQuietShare = 0.2;  // of one processor
  static constexpr int kBusyLooksMax = 6;

  // `passed_s`: since the look before.
  bool is_due(const MemoryFacts& facts, double passed_s);
  // It was done, and this is left.
  void returned(const MemoryFacts& facts);

 private:
  uint64_t left_bytes_ = 0;  // free at the last return, or less
  double processor_s_ = 0;   // at the last look
  int busy_looks_ = 0;
};

// Looks now and then. Methods run on the executor's thread, and so does the work: some
// milliseconds for each 100 MB, for which other threads may wait when they allocate.
class MemoryReturn {
 public:
  static constexpr int64_t kLookMs = 10'000;

  // `drop_unused` frees what can be made again; it is called before each look.
  MemoryReturn(boost::asio::any_io_executor executor, std::function<void()> drop_unused,
               int64_t look_ms = kLookMs);
  void start();
  // Leaves the executor nothing to do.
  void stop();

 private:
  void await();
  void look();

  const std::function<void()> drop_unused_;
  const int64_t look_ms_;
  boost::asio::steady_timer timer_;
  MemoryReturnRule rule_;
  bool is_running_ = false;
};

}  // namespace notp::server
