// Load during a change: questions that must be answered, and releases that must become active.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/process/stack.hpp"

namespace notp {

// Asks each of several for a decision, in turn, until it is stopped. An answer counts when it has
// status 200 and is defined.
class DecisionLoad {
 public:
  using Ask = std::function<std::optional<json::value>()>;  // may throw
  struct Asked {
    std::string name;
    Ask ask;
  };
  struct Tally {
    uint64_t asked = 0;
    uint64_t failed = 0;
    std::string first_failure;
  };

  explicit DecisionLoad(std::vector<Asked> asked)
      : asked_(std::move(asked)), thread_([this](std::stop_token stop) { run(stop); }) {}
  ~DecisionLoad() { stop(); }

  Tally stop() {
    thread_.request_stop();
    if (thread_.joinable()) thread_.join();
    return tally();
  }
  Tally tally() const {
    const std::scoped_lock lock(mutex_);
    return tally_;
  }

 private:
  // Leaves processor time to the servers.
  static constexpr milliseconds kPause{10};

  void run(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      for (const Asked& asked : asked_) ask(asked);
      std::unique_lock lock(mutex_);
      paused_.wait_for(lock, stop, kPause, [] { return false; });
    }
  }
  void ask(const Asked& asked) {
    std::string failure;
    try {
      if (!asked.ask()) failure = asked.name + ": undefined";
    } catch (const std::exception& error) {
      failure = asked.name + ": " + error.what();
    }
    const std::scoped_lock lock(mutex_);
    ++tally_.asked;
    if (failure.empty()) return;
    if (tally_.failed++ == 0) tally_.first_failure = failure;
  }

  const std::vector<Asked> asked_;
  mutable std::mutex mutex_;
  std::condition_variable_any paused_;
  Tally tally_;
  std::jthread thread_;
};

// alice publishes payments repeatedly, each time once every agent decides with the previous
// version.
class PublishLoad {
 public:
  PublishLoad(Stack& stack, std::filesystem::path payments, std::vector<const Agent*> agents)
      : stack_(stack),
        payments_(std::move(payments)),
        agents_(std::move(agents)),
        thread_([this](std::stop_token stop) { run(stop); }) {}
  ~PublishLoad() { stop(); }

  // The newest version that is active everywhere.
  int64_t version() const {
    const std::scoped_lock lock(mutex_);
    return version_;
  }
  // Empty as long as every publish has become active.
  std::string failure() const {
    const std::scoped_lock lock(mutex_);
    return failure_;
  }
  // Waits for a release whose publish began after this call. False when that fails.
  bool goes_on() {
    // One publish may be in progress.
    const int64_t enough = version() + 2;
    return wait_until([&] { return version() >= enough || !failure().empty(); }) &&
           failure().empty();
  }
  void stop() {
    thread_.request_stop();
    if (thread_.joinable()) thread_.join();
  }

 private:
  static constexpr int64_t kCentsMin = 100'000;

  void run(const std::stop_token& stop) {
    for (int64_t round = 0; !stop.stop_requested() && failure().empty(); ++round) {
      try {
        publish(kCentsMin + round);
      } catch (const std::exception& error) {
        fail(error.what());
      }
    }
  }
  void publish(int64_t cents) {
    set_single_approval_max(payments_, cents);
    const CliResult result = stack_.publish(payments_, kPayments);
    if (result.status != 0) return fail("notp publish: " + result.error);
    const int64_t version = number_at(result.document, "version");
    for (const Agent* agent : agents_)
      if (!wait_until([&] { return agent->has_active(kPayments, version); }))
        return fail(agent->name() + " does not activate v" + std::to_string(version));
    const std::scoped_lock lock(mutex_);
    version_ = version;
  }
  void fail(std::string why) {
    const std::scoped_lock lock(mutex_);
    failure_ = std::move(why);
  }

  Stack& stack_;
  const std::filesystem::path payments_;
  const std::vector<const Agent*> agents_;
  mutable std::mutex mutex_;
  int64_t version_ = 0;
  std::string failure_;
  std::jthread thread_;
};

}  // namespace notp
