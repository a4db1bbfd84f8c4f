// Time on the clock and of the processor since a start.
#pragma once

#include <sys/resource.h>
#include <time.h>

#include <chrono>

namespace notp::bench {

// Processor time that the calling thread has taken, in seconds.
inline double thread_processor_s() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

class Stopwatch {
 public:
  using Clock = std::chrono::steady_clock;
  Stopwatch() : begin_(Clock::now()), processor_begin_(processor()) {}

  double seconds() const { return std::chrono::duration<double>(Clock::now() - begin_).count(); }
  double ms() const { return seconds() * 1e3; }
  double us() const { return seconds() * 1e6; }
  // Of all threads of this process.
  double processor_s() const { return processor() - processor_begin_; }

 private:
  static double processor() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& time) {
      return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
  }

  Clock::time_point begin_;
  double processor_begin_;
};

}  // namespace notp::bench
