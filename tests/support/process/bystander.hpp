// A client that repeats the same questions while other clients are attacked.
#pragma once

#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/process/process.hpp"
#include "tools/bench/samples.hpp"

namespace notp {

// Asks again after each answer, from its own thread; several questions in turn. Thread-safe.
class Bystander {
 public:
  using Ask = std::function<bool()>;  // true for a correct answer; must not throw
  struct Seen {
    bench::Samples times;
    uint64_t failed = 0;
  };

  explicit Bystander(std::vector<Ask> asks)
      : asks_(std::move(asks)),
        seen_(asks_.size()),
        thread_([this](const std::stop_token& stop) { run(stop); }) {}
  ~Bystander() { thread_.request_stop(); }
  Bystander(const Bystander&) = delete;
  Bystander& operator=(const Bystander&) = delete;

  // The count of the question that was asked least.
  size_t count() const {
    const std::scoped_lock lock(mutex_);
    return seen_.back().times.count();
  }
  // The figures of each question since the last call; waits until each was asked `at_least` times.
  std::vector<Seen> take(size_t at_least = 0) {
    wait_until([&] { return count() >= at_least; });
    const std::scoped_lock lock(mutex_);
    return std::exchange(seen_, std::vector<Seen>(asks_.size()));
  }
  // Whether times are recorded. Failures always are.
  void watch(bool on) {
    const std::scoped_lock lock(mutex_);
    watches_ = on;
  }

 private:
  void run(const std::stop_token& stop) {
    for (size_t i = 0; !stop.stop_requested(); i = (i + 1) % asks_.size()) {
      const auto from = std::chrono::steady_clock::now();
      const bool answered = asks_[i]();
      const double ms = bench::ms_between(from, std::chrono::steady_clock::now());
      const std::scoped_lock lock(mutex_);
      if (!answered) ++seen_[i].failed;
      if (watches_) seen_[i].times.add(ms);
    }
  }

  const std::vector<Ask> asks_;
  mutable std::mutex mutex_;
  std::vector<Seen> seen_;
  bool watches_ = true;
  std::jthread thread_;
};

}  // namespace notp
