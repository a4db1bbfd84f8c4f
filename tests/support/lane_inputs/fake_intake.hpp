// A lane that takes, refuses, fails or holds events as a test says.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/mutex.hpp"
#include "notp-server/lane/intake.hpp"

namespace notp::lane_inputs {

// Thread-safe. Keys of one source are taken once, as by a lane.
class FakeIntake final : public lane::LaneIntake {
 public:
  ~FakeIntake() override { release(); }

  void take(const std::string& source, std::vector<lane::IncomingEvent> events,
            Done done) override {
    MutexLock lock(mutex_);
    ++calls_;
    if (is_holding_) {
      held_.push_back({source, std::move(events), std::move(done)});
      return;
    }
    auto outcome = commit(source, std::move(events));
    lock.unlock();
    // As a store does: on a thread of its own.
    std::thread([done = std::move(done), outcome = std::move(outcome)]() mutable {
      done(std::move(outcome));
    }).join();
  }
  Result<lane::LivingPage> living(const std::string&, const feed::TokenId&) const override {
    return lane::LivingPage();
  }

  // Every take fails with this from now on; nullopt: none does.
  void fails(std::optional<Error> error) {
    const MutexLock lock(mutex_);
    error_ = std::move(error);
  }
  // Events of this key are refused.
  void refuses(const std::string& key, Error error) {
    const MutexLock lock(mutex_);
    refused_.insert_or_assign(key, std::move(error));
  }
  // Commits of later takes wait for release().
  void hold() {
    const MutexLock lock(mutex_);
    is_holding_ = true;
  }
  void release() {
    std::vector<Held> held;
    {
      const MutexLock lock(mutex_);
      is_holding_ = false;
      held = std::exchange(held_, {});
    }
    for (Held& one : held) {
      MutexLock lock(mutex_);
      auto outcome = commit(one.source, std::move(one.events));
      lock.unlock();
      one.done(std::move(outcome));
    }
  }

  std::vector<lane::IncomingEvent> committed() const {
    const MutexLock lock(mutex_);
    return committed_;
  }
  std::vector<lane::Revoked> revocations() const {
    std::vector<lane::Revoked> out;
    for (const lane::IncomingEvent& event : committed())
      if (const auto* revoked = std::get_if<lane::Revoked>(&event.what)) out.push_back(*revoked);
    return out;
  }
  size_t held() const {
    const MutexLock lock(mutex_);
    return held_.size();
  }
  size_t calls() const {
    const MutexLock lock(mutex_);
    return calls_;
  }

 private:
  struct Held {
    std::string source;
    std::vector<lane::IncomingEvent> events;
    Done done;
  };

  Result<lane::IntakeOutcome> commit(const std::string& source,
                                     std::vector<lane::IncomingEvent> events)
      NOTP_REQUIRES(mutex_) {
    if (error_) return std::unexpected(*error_);
    lane::IntakeOutcome out;
    for (lane::IncomingEvent& event : events) {
      const auto refused = refused_.find(event.key);
      if (refused != refused_.end()) {
        out.refused.emplace_back(refused->second);
        continue;
      }
      out.refused.emplace_back(std::nullopt);
      if (!event.key.empty() && !keys_.emplace(source, event.key).second) continue;
      committed_.push_back(std::move(event));
    }
    out.revision = committed_.size();
    return out;
  }

  mutable Mutex mutex_;
  std::optional<Error> error_ NOTP_GUARDED_BY(mutex_);
  std::map<std::string, Error> refused_ NOTP_GUARDED_BY(mutex_);
  bool is_holding_ NOTP_GUARDED_BY(mutex_) = false;
  std::vector<Held> held_ NOTP_GUARDED_BY(mutex_);
  std::set<std::pair<std::string, std::string>> keys_ NOTP_GUARDED_BY(mutex_);
  std::vector<lane::IncomingEvent> committed_ NOTP_GUARDED_BY(mutex_);
  size_t calls_ NOTP_GUARDED_BY(mutex_) = 0;
};

}  // namespace notp::lane_inputs
