#include "notp-server/app/memory_return.hpp"

#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <utility>

namespace notp::server {
namespace {

double seconds_of(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

}  // namespace

Result<MemoryFacts> read_memory_facts() {
  uint64_t size = 0, resident = 0, shared = 0;  // pages, proc(5)
  std::ifstream in("/proc/self/statm");
  struct rusage usage{};
  if (!(in >> size >> resident >> shared) || ::getrusage(RUSAGE_SELF, &usage) != 0)
    return fail(ErrorCode::kIo, "the memory of this process cannot be read");
  const struct mallinfo2 blocks = ::mallinfo2();
  return MemoryFacts{.resident_bytes = (resident - std::min(resident, shared)) *
                                       static_cast<uint64_t>(::sysconf(_SC_PAGESIZE)),
                     .allocated_bytes = blocks.uordblks + blocks.hblkhd,
                     .processor_s = seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime)};
}

bool MemoryReturnRule::is_due(const MemoryFacts& facts, double passed_s) {
  const double busy_s = facts.processor_s - std::exchange(processor_s_, facts.processor_s);
  left_bytes_ = std::min(left_bytes_, facts.free_bytes());
  if (facts.free_bytes() < left_bytes_ + kBytesMin) {
    busy_looks_ = 0;
    return false;
  }
  return busy_s < kQuietShare * passed_s || ++busy_looks_ >= kBusyLooksMax;
}

void MemoryReturnRule::returned(const MemoryFacts& facts) {
  left_bytes_ = facts.free_bytes();
  busy_looks_ = 0;
}

MemoryReturn::MemoryReturn(boost::asio::any_io_executor executor, std::function<void()> drop_unused,
                           int64_t look_ms)
    : drop_unused_(std::move(drop_unused)), look_ms_(look_ms), timer_(std::move(executor)) {}

void MemoryReturn::start() {
  is_running_ = true;
  await();
}

void MemoryReturn::stop() {
  is_running_ = false;
  timer_.cancel();
}

void MemoryReturn::await() {
  timer_.expires_after(std::chrono::milliseconds(look_ms_));
  timer_.async_wait([this](boost::system::error_code error) {
    if (error || !is_running_) return;
    look();
    await();
  });
}

void MemoryReturn::look() {
  drop_unused_();
  const auto facts = read_memory_facts();
  if (!facts || !rule_.is_due(*facts, static_cast<double>(look_ms_) / 1e3)) return;
  ::malloc_trim(0);
  if (const auto left = read_memory_facts()) rule_.returned(*left);
}

}  // namespace notp::server
