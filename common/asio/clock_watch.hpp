// Tells that the wall clock was set, or that the machine has slept: what a timer that waits for a
// time of day, or for the boot clock, must know to be right.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <memory>

namespace notp {

// A timer of CLOCK_REALTIME that the kernel cancels when that clock jumps against CLOCK_MONOTONIC,
// timerfd_create(2): when a person, a time service or the virtual machine sets it, and after
// suspend, through which CLOCK_MONOTONIC stands still. A clock that is slewed does not jump. Where
// the kernel has no such timer it calls back every kClockCheckMs, which is logged once.
//
// All methods on the executor's thread, which calls back.
class ClockWatch {
 public:
  // `on_set` may not destroy the watch.
  ClockWatch(boost::asio::any_io_executor executor, std::function<void()> on_set);
  // For a test: takes over a descriptor and calls back when it can be read; -1: there is no timer.
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
