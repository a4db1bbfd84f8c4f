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
  // Memory files (memfd_create(2)) that one of them has open: whole, each once, whoever maps what
  // of them. `resident_bytes` has only the pages of them that were touched.
  uint64_t memory_files_bytes = 0;
  // Pages of memory files and of other shared memory, in resident_bytes.
  uint64_t shared_bytes = 0;

  // With memory files as a whole.
  uint64_t total_bytes() const { return resident_bytes - shared_bytes + memory_files_bytes; }
};
Result<ProcessMemory> memory_of(pid_t pid);
// The same of the process alone.
Result<ProcessMemory> own_memory_of(pid_t pid);
// Sets the peak to the current resident size.
Result<void> reset_peak(pid_t pid);

// Returns how often the current threads of the process and its descendants have waited so far: each
// wait is a wake-up.
Result<uint64_t> waits_of(pid_t pid);

// Processor time used so far by the process and its descendants, including those that have ended.
Result<double> cpu_seconds_of(pid_t pid);
// The same by the threads of the process alone.
Result<double> own_cpu_seconds_of(pid_t pid);

// How long the processors of the machine have been idle since its start, summed, in seconds (the
// resolution is a tick of 10 ms).
Result<double> idle_seconds();

}  // namespace notp::bench
