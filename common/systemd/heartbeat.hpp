// Tells the service manager that the loops of this process run, and what it does.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/systemd/notifier.hpp"

namespace notp::systemd {

// How often the status is looked at when nothing says that it has changed, and how long it waits
// when something does: it may change with each of a thousand events.
inline constexpr int64_t kStatusMs = 5'000, kStatusSoonMs = 200;

// Methods run on the executor's thread, on which `notifier` is used and the status is made.
//
// A sign of life is sent once all loops have executed a task that was given to them: a loop that
// hangs ends them, whatever the others do. They are sent at least at half of the watchdog's time.
class Heartbeat {
 public:
  // A loop with several threads counts as running while one of them does.
  struct Loop {
    std::string name;
    boost::asio::any_io_executor executor;
  };

  // `notifier` outlives it. `loops` besides that of the executor.
  Heartbeat(boost::asio::any_io_executor executor, Notifier& notifier, std::vector<Loop> loops,
            std::function<std::string()> status);
  // As stop().
  ~Heartbeat();
  Heartbeat(const Heartbeat&) = delete;
  Heartbeat& operator=(const Heartbeat&) = delete;

  // Does nothing without a service manager, nor do the others then.
  void start();
  // The status may have changed.
  void changed();
  // Leaves the executor nothing to do. Tasks given to other loops may still run later.
  void stop();

 private:
  class State;
  const std::shared_ptr<State> state_;
};

}  // namespace notp::systemd
