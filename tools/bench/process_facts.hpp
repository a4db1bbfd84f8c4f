// What the kernel says of a process on this machine (proc(5)).
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "common/result.hpp"

namespace notp::bench {

struct ProcessMemory {
  uint64_t resident_bytes = 0;   // VmRSS
  uint64_t anonymous_bytes = 0;  // the part of resident_bytes that no file backs: heap and stacks
  uint64_t resident_peak_bytes = 0;  // VmHWM: since the start or the last reset_peak()
};
Result<ProcessMemory> memory_of(pid_t pid);
// The peak is what is resident now.
Result<void> reset_peak(pid_t pid);

// How often its threads that are there now have waited for something so far: each time is a
// wake-up.
Result<uint64_t> waits_of(pid_t pid);

}  // namespace notp::bench
