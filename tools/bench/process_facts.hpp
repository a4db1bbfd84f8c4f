// Reads facts of a process from the kernel (proc(5)).
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "common/result.hpp"

namespace notp::bench {

// The sum over a process and all its descendants.
struct ProcessMemory {
  uint64_t resident_bytes = 0;   // Pss: a page that several share counts once
  uint64_t anonymous_bytes = 0;  // the part of it that no file backs: heap and stacks
  // VmHWM: since the start or the last reset_peak(). With several processes this is an upper bound:
  // their peaks need not coincide, and shared pages count for each.
  uint64_t resident_peak_bytes = 0;
};
Result<ProcessMemory> memory_of(pid_t pid);
// Sets the peak to the current resident size.
Result<void> reset_peak(pid_t pid);

// Returns how often the current threads of the process and its descendants have waited so far: each
// wait is a wake-up.
Result<uint64_t> waits_of(pid_t pid);

// Processor time used so far by the process and its descendants, including those that have ended.
Result<double> cpu_seconds_of(pid_t pid);

}  // namespace notp::bench
