// Schedules questions among callers, and counts what each has under way. Pure.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "common/clock.hpp"

namespace notp::rego {

// Waiting questions. Callers take turns; each caller's oldest question is next.
class CallerTurns {
 public:
  void insert(const std::string& caller, uint64_t ticket);
  void erase(const std::string& caller, uint64_t ticket);
  size_t size() const { return size_; }
  // Returns the next ticket, of a caller that `may` allows; 0: none. Ends that caller's turn.
  uint64_t next(const std::predicate<const std::string&> auto& may) {
    auto at = callers_.upper_bound(last_);
    for (size_t i = 0; i < callers_.size(); ++i, ++at) {
      if (at == callers_.end()) at = callers_.begin();
      if (!may(at->first)) continue;
      last_ = at->first;
      return *at->second.begin();
    }
    return 0;
  }

 private:
  std::map<std::string, std::set<uint64_t>> callers_;  // none is empty
  std::string last_;                                   // the caller of the last turn
  size_t size_ = 0;
};

// The questions of a worker that are under way.
class Flights {
 public:
  void add(const std::string& ledger, const std::string& caller);
  void remove(const std::string& ledger, const std::string& caller);
  void clear();
  size_t of_ledger(const std::string& ledger) const { return count(ledgers_, ledger); }
  size_t of_caller(const std::string& caller) const { return count(callers_, caller); }
  size_t of(const std::string& ledger, const std::string& caller) const {
    return count(both_, std::pair(ledger, caller));
  }

 private:
  template <typename Key>
  static size_t count(const std::map<Key, size_t>& counts, const Key& key) {
    const auto found = counts.find(key);
    return found == counts.end() ? 0 : found->second;
  }

  std::map<std::string, size_t> ledgers_, callers_;
  std::map<std::pair<std::string, std::string>, size_t> both_;
};

// Whether callers other than the given one have asked lately.
class Company {
 public:
  void asked(const std::string& caller, TimeMs now_ms);
  bool of(const std::string& caller, TimeMs now_ms) const;

 private:
  std::string latest_;  // the last caller
  bool is_known_ = false;
  TimeMs latest_ms_ = 0;
  TimeMs others_ms_ = -kNever;  // when another one did
};

}  // namespace notp::rego
