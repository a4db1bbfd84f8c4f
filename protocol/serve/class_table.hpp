// Statements of freshness for classes of readers: made once, sent by all sessions of a class.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "common/mutex.hpp"
#include "protocol/session/ports.hpp"

namespace notp::limits {

// Classes that have sessions. Each costs a signature an interval, and some KiB.
inline constexpr size_t kReaderClassesMax = 256;

}  // namespace notp::limits

namespace notp::serve {

// Returns the name of the class of those who follow these ledgers in these rings: the same at any
// registry of the domain, and after a restart. `followed` ascends, each ledger once.
trust::ClassId class_id_of(const std::vector<session::Followed>& followed);

// Thread-safe.
class ClassTable final : public session::ReaderClasses {
 public:
  // Both outlive the table and its classes.
  ClassTable(const session::TargetSource& targets, const session::FreshnessSource& source)
      : targets_(targets), source_(source) {}

  std::shared_ptr<session::ReaderClass> join(std::vector<session::Followed> followed) override;

  // Classes that have sessions now.
  size_t classes() const;
  // How often a session was to join a class, and there were kReaderClassesMax others.
  uint64_t refused_total() const { return refused_; }

 private:
  class Class;

  const session::TargetSource& targets_;
  const session::FreshnessSource& source_;
  mutable Mutex mutex_;
  std::map<trust::ClassId, std::weak_ptr<Class>> classes_ NOTP_GUARDED_BY(mutex_);
  std::atomic<uint64_t> refused_{0};
};

}  // namespace notp::serve
