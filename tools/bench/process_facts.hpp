// What the kernel says of a process on this machine (proc(5)).
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "common/result.hpp"

namespace notp::bench {

// Of a process and all that it has started, in sum.
struct ProcessMemory {
  uint64_t resident_bytes = 0;   // Pss: a page that several share counts once
  uint64_t anonymous_bytes = 0;  // the part of it that no file backs: heap and stacks
  // VmHWM: since the start or the last reset_peak(). An upper bound where there are several
  // processes: they need not have had it at the same time, and pages that they share count for
  // each.
  uint64_t resident_peak_bytes = 0;
};
Result<ProcessMemory> memory_of(pid_t pid);
// The peak is what is resident now.
Result<void> reset_peak(pid_t pid);

// How often the threads that are there now, of the process and all that it has started, have waited
// for something so far: each time is a wake-up.
Result<uint64_t> waits_of(pid_t pid);

// Processor time that the process and all it has started have used so far, the ended ones included.
Result<double> cpu_seconds_of(pid_t pid);

}  // namespace notp::bench
