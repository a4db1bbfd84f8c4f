// The peak memory of a daemon and each of its policy workers, as counted by the kernel.
#pragma once

#include <atomic>
#include <chrono>
#include <fstream>
#include <string>
#include <thread>

#include "tests/support/process/child_processes.hpp"

namespace notp {

// Reads a size of the process from proc(5); 0 when it has ended. VmHWM counts since the start or
// the last reset of the peak.
inline uint64_t kib_of(pid_t process, const std::string& fact) {
  std::ifstream status("/proc/" + std::to_string(process) + "/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(fact + ":"))
      return std::strtoull(line.c_str() + fact.size() + 1, nullptr, 10);
  return 0;
}

inline std::string name_of(pid_t process) {
  std::string name;
  std::getline(std::ifstream("/proc/" + std::to_string(process) + "/comm"), name);
  return name;
}

// Samples during its lifetime, from its own thread: a killed worker takes its count along, and may
// have grown since the last sample.
class MemoryPeaks {
 public:
  explicit MemoryPeaks(pid_t daemon)
      : daemon_(daemon), thread_([this](const std::stop_token& stop) {
          while (!stop.stop_requested()) look();
        }) {}
  ~MemoryPeaks() { thread_.request_stop(); }
  MemoryPeaks(const MemoryPeaks&) = delete;
  MemoryPeaks& operator=(const MemoryPeaks&) = delete;

  uint64_t daemon_mib() const { return kib_of(daemon_, "VmHWM") >> 10; }
  uint64_t worker_mib() const { return worker_kib_ >> 10; }

 private:
  void look() {
    for (const pid_t child : child_processes(std::to_string(daemon_))) {
      // Until exec, a child shows its parent's memory.
      if (name_of(child) != "notp-pdp") continue;
      const uint64_t kib = kib_of(child, "VmHWM");
      if (kib > worker_kib_) worker_kib_ = kib;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }

  const pid_t daemon_;
  std::atomic<uint64_t> worker_kib_ = 0;
  std::jthread thread_;
};

}  // namespace notp
