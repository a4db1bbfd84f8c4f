// A log of decisions that keeps its entries in memory, and becomes durable when a test says so.
#pragma once

#include <fmt/format.h>

#include <functional>
#include <mutex>
#include <vector>

#include "notp-client/spool/decision_log.hpp"

namespace notp {

// Its methods from any thread; its members by one thread, or with change() and seen().
class RecordingLog final : public spool::DecisionLog {
 public:
  Result<std::optional<spool::Written>> append(spool::Entry entry) override {
    const std::lock_guard lock(mutex_);
    if (refusal) return std::unexpected(*refusal);
    if (is_unrecorded) return std::nullopt;
    entries.push_back(std::move(entry));
    const record::Position position = entries.size() - 1;
    return spool::Written{position, fmt::format("id-{}", position)};
  }
  void when_durable(record::Position position, std::function<void(Result<void>)> done) override {
    {
      const std::lock_guard lock(mutex_);
      if (!is_durable) return void(waiting.emplace_back(position, std::move(done)));
    }
    done({});
  }
  void drop(std::string path, record::Outcome outcome, std::string rule) override {
    const std::lock_guard lock(mutex_);
    dropped.push_back(fmt::format("{} {} {}", path, record::outcome_name(outcome), rule));
  }

  // This log, when no other thread uses it at the moment.
  RecordingLog& seen() {
    const std::lock_guard lock(mutex_);
    return *this;
  }
  void change(const std::function<void(RecordingLog&)>& by) {
    const std::lock_guard lock(mutex_);
    by(*this);
  }
  const record::DecisionContent& decision(size_t index) const {
    return std::get<record::DecisionContent>(entries.at(index).content);
  }
  const record::DecisionContent& last() const { return decision(entries.size() - 1); }
  // Ends all waits.
  void finish(const Result<void>& result) {
    for (auto& [position, done] : std::exchange(waiting, {})) done(result);
  }

  std::vector<spool::Entry> entries;
  std::vector<std::string> dropped;
  std::vector<std::pair<record::Position, std::function<void(Result<void>)>>> waiting;
  std::optional<Error> refusal;
  bool is_unrecorded = false;
  bool is_durable = false;

 private:
  std::mutex mutex_;
};

}  // namespace notp
