// A lane that keeps what it is given, for tests of its inputs.
#pragma once

#include <doctest/doctest.h>

#include <map>
#include <thread>

#include "common/mutex.hpp"
#include "notp-server/lane/intake.hpp"

namespace notp {

// Thread-safe. Answers on another thread, as a lane does after a commit.
class RecordedIntake final : public lane::LaneIntake {
 public:
  ~RecordedIntake() override {
    for (std::thread& thread : threads_) thread.join();
  }

  void take(const std::string&, std::vector<lane::IncomingEvent> events, Done done) override {
    const MutexLock lock(mutex_);
    Result<lane::IntakeOutcome> result = lane::IntakeOutcome{};
    if (refusals_ > 0) {
      --refusals_;
      result = fail(ErrorCode::kOverloaded, "the lane is full");
    } else {
      result->refused.resize(events.size());
      for (lane::IncomingEvent& event : events) keep(std::move(event));
    }
    threads_.emplace_back([done = std::move(done), result = std::move(result)]() mutable {
      done(std::move(result));
    });
  }
  Result<lane::LivingPage> living(const std::string&, const feed::TokenId&) const override {
    return lane::LivingPage();
  }

  // The next so many calls take nothing.
  void refuse(int count) {
    const MutexLock lock(mutex_);
    refusals_ = count;
  }
  // The attributes of a token that was added, and not deleted since.
  std::optional<json::object> find(std::string_view token) const {
    const MutexLock lock(mutex_);
    const auto found = tokens_.find(feed::token_id(token));
    return found == tokens_.end() ? std::nullopt : found->second;
  }
  bool is_deleted(std::string_view token) const {
    const MutexLock lock(mutex_);
    const auto found = tokens_.find(feed::token_id(token));
    return found != tokens_.end() && !found->second;
  }
  std::vector<lane::ListFetched> lists() const {
    const MutexLock lock(mutex_);
    return lists_;
  }

 private:
  void keep(lane::IncomingEvent event) NOTP_REQUIRES(mutex_) {
    if (auto* added = std::get_if<lane::TokenAdded>(&event.what))
      tokens_.try_emplace(added->id, std::move(added->attributes));  // a delete wins
    if (auto* deleted = std::get_if<lane::TokenDeleted>(&event.what))
      tokens_[deleted->id] = std::nullopt;
    if (auto* list = std::get_if<lane::ListFetched>(&event.what))
      lists_.push_back(std::move(*list));
  }

  mutable Mutex mutex_;
  int refusals_ NOTP_GUARDED_BY(mutex_) = 0;
  std::map<feed::TokenId, std::optional<json::object>> tokens_ NOTP_GUARDED_BY(mutex_);
  std::vector<lane::ListFetched> lists_ NOTP_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_ NOTP_GUARDED_BY(mutex_);
};

}  // namespace notp
