// What the revisions in OPA's events stand for.
#pragma once

#include <deque>
#include <string>

#include "common/mutex.hpp"
#include "notp-client/decision/recorded_sets.hpp"

namespace notp::opa_log {

// An OPA decides with a set that it fetched before, and its events come later still.
inline constexpr size_t kRevisionsMax = 64;

// Thread-safe.
class Revisions {
 public:
  // `sets` outlives it.
  explicit Revisions(decision::RecordedSets& sets) : sets_(sets) {}

  // A set that is given to OPA. Of equal revisions the newest counts.
  void remember(const pdp::ActiveSetPtr& set);
  // null: unknown.
  decision::RecordedSetPtr find(std::string_view revision) const;
  // null: there is none yet.
  decision::RecordedSetPtr newest() const;

 private:
  struct Entry {
    std::string revision;
    decision::RecordedSetPtr set;
  };

  decision::RecordedSets& sets_;
  mutable Mutex mutex_;
  std::deque<Entry> entries_ NOTP_GUARDED_BY(mutex_);  // the newest at the end
};

}  // namespace notp::opa_log
