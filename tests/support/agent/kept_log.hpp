// A log of decisions in memory, for tests of what writes into it.
#pragma once

#include <functional>
#include <map>
#include <tuple>
#include <utility>
#include <vector>

#include "common/mutex.hpp"
#include "notp-client/spool/decision_log.hpp"

namespace notp {

// Thread-safe. Records are durable at once, unless they are held.
class KeptLog final : public spool::DecisionLog {
 public:
  Result<std::optional<spool::Written>> append(spool::Entry entry) override {
    const MutexLock lock(mutex_);
    if (refuse_after_ == 0) return fail(ErrorCode::kAuditUnavailable, "the log is full");
    if (refuse_after_ > 0) --refuse_after_;
    const record::Position position = entries_.size();
    entries_.push_back(std::move(entry));
    return spool::Written{position, {}};
  }
  void when_durable(record::Position position, std::function<void(Result<void>)> done) override {
    {
      const MutexLock lock(mutex_);
      if (is_held_) {
        waiting_.emplace_back(position, std::move(done));
        return;
      }
    }
    done({});
  }
  void drop(std::string path, record::Outcome outcome, std::string rule) override {
    const MutexLock lock(mutex_);
    ++drops_[{std::move(path), outcome, std::move(rule)}];
  }

  void hold() {
    const MutexLock lock(mutex_);
    is_held_ = true;
  }
  // Ends the hold, with this outcome for all that wait.
  void release(const Result<void>& outcome = {}) {
    std::vector<std::pair<record::Position, std::function<void(Result<void>)>>> waiting;
    {
      const MutexLock lock(mutex_);
      is_held_ = false;
      waiting.swap(waiting_);
    }
    for (auto& [position, done] : waiting) done(outcome);
  }
  // Takes so many more records; -1: all.
  void refuse_after(int records) {
    const MutexLock lock(mutex_);
    refuse_after_ = records;
  }

  std::vector<spool::Entry> entries() const {
    const MutexLock lock(mutex_);
    return entries_;
  }
  std::vector<record::DecisionContent> decisions() const {
    std::vector<record::DecisionContent> found;
    for (const spool::Entry& entry : entries())
      if (const auto* one = std::get_if<record::DecisionContent>(&entry.content))
        found.push_back(*one);
    return found;
  }
  std::vector<record::Gap> gaps() const {
    std::vector<record::Gap> found;
    for (const spool::Entry& entry : entries())
      if (const auto* one = std::get_if<record::Gap>(&entry.content)) found.push_back(*one);
    return found;
  }
  using Drop = std::tuple<std::string, record::Outcome, std::string>;
  std::map<Drop, int> drops() const {
    const MutexLock lock(mutex_);
    return drops_;
  }
  // As the log on disk gives them to a starting agent.
  Result<void> read(record::Position from,
                    const std::function<void(const record::Record&)>& each) const {
    const auto all = entries();
    for (record::Position i = from; i < all.size(); ++i)
      each({.place = {.position = i, .run = 1},
            .time_ns = all[i].time_ns,
            .content = all[i].content});
    return {};
  }

 private:
  mutable Mutex mutex_;
  std::vector<spool::Entry> entries_ NOTP_GUARDED_BY(mutex_);
  std::vector<std::pair<record::Position, std::function<void(Result<void>)>>> waiting_
      NOTP_GUARDED_BY(mutex_);
  std::map<Drop, int> drops_ NOTP_GUARDED_BY(mutex_);
  bool is_held_ NOTP_GUARDED_BY(mutex_) = false;
  int refuse_after_ NOTP_GUARDED_BY(mutex_) = -1;
};

}  // namespace notp
