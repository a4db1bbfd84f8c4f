// A thread with a context of its own for one source: a name server that hangs holds up no other.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "common/clock.hpp"
#include "notp-server/lane/intake.hpp"

namespace notp::lane_inputs {

// start(), stop() and the destructor on one thread.
class SourceThread {
 public:
  SourceThread() = default;
  ~SourceThread() { stop(); }
  SourceThread(const SourceThread&) = delete;
  SourceThread& operator=(const SourceThread&) = delete;

  // Runs `main` and what it spawns on the thread, until stop().
  void start(const std::function<boost::asio::awaitable<void>()>& main);
  // Ends the thread, wherever its coroutines wait, and destroys them. A second call does nothing.
  void stop();

  // --- on the thread

  boost::asio::io_context& context() { return *context_; }
  // Hands events to the intake and waits for its answer, however late and on whatever thread.
  boost::asio::awaitable<Result<lane::IntakeOutcome>> take(lane::LaneIntake& intake,
                                                           const std::string& source,
                                                           std::vector<lane::IncomingEvent> events);

 private:
  // Outlives the context, for answers that come late.
  class Mailbox;

  std::optional<boost::asio::io_context> context_;
  std::shared_ptr<Mailbox> mailbox_;
  std::thread thread_;
};

// Waits on one context until it is woken or a boot time comes.
class Wakeup {
 public:
  explicit Wakeup(boost::asio::io_context& context);
  ~Wakeup();
  // Returns soon if wake() was called since the last return.
  boost::asio::awaitable<void> wait_until(TimeMs boot_ms);
  void wake();

 private:
  struct Timer;
  std::unique_ptr<Timer> timer_;
  bool woken_ = false;
};

}  // namespace notp::lane_inputs
