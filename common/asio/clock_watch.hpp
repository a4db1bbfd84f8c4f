// Reports that the wall clock was set, or that the machine has slept, for timers that wait for a
// time of day or for the boot clock.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <memory>

namespace notp {

// A timer of CLOCK_REALTIME that the kernel cancels when that clock jumps against CLOCK_MONOTONIC,
// timerfd_create(2): when a person, a time service or the virtual machine sets it, and after
// suspend, during which CLOCK_MONOTONIC stands still. A slewed clock does not jump. If the kernel
// lacks such a timer it calls back every kClockCheckMs, which is logged once.
//
// All methods on the executor's thread, which calls back.
class ClockWatch {
 public:
  // `on_set` may not destroy the watch.
  ClockWatch(boost::asio::any_io_executor executor, std::function<void()> on_set);
  // For tests: takes ownership of a descriptor and calls back when it is readable; -1: there is no
  // timer.
  ClockWatch(boost::asio::any_io_executor executor, std::function<void()> on_set, int descriptor,
             int64_t check_ms);
  ~ClockWatch();
  ClockWatch(const ClockWatch&) = delete;
  ClockWatch& operator=(const ClockWatch&) = delete;

  void stop();

 private:
  class State;
  const std::shared_ptr<State> state_;
};

}  // namespace notp
