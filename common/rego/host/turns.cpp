#include "common/rego/host/turns.hpp"

#include "common/assert.hpp"
#include "common/limits.hpp"

namespace notp::rego {
namespace {

template <typename Key>
void take_one(std::map<Key, size_t>& counts, const Key& key) {
  const auto found = counts.find(key);
  NOTP_ASSERT(found != counts.end(), "what ends was under way");
  if (--found->second == 0) counts.erase(found);
}

}  // namespace

void CallerTurns::insert(const std::string& caller, uint64_t ticket) {
  if (callers_[caller].insert(ticket).second) ++size_;
}

void CallerTurns::erase(const std::string& caller, uint64_t ticket) {
  const auto found = callers_.find(caller);
  if (found == callers_.end() || found->second.erase(ticket) == 0) return;
  --size_;
  if (found->second.empty()) callers_.erase(found);
}

void Flights::add(const std::string& ledger, const std::string& caller) {
  ++ledgers_[ledger];
  ++callers_[caller];
  ++both_[{ledger, caller}];
}

void Flights::remove(const std::string& ledger, const std::string& caller) {
  take_one(ledgers_, ledger);
  take_one(callers_, caller);
  take_one(both_, std::pair(ledger, caller));
}

void Flights::clear() {
  ledgers_.clear();
  callers_.clear();
  both_.clear();
}

void Company::asked(const std::string& caller, TimeMs now_ms) {
  if (!is_known_ || caller != latest_) {
    if (is_known_) others_ms_ = latest_ms_;
    latest_ = caller;
    is_known_ = true;
  }
  latest_ms_ = now_ms;
}

bool Company::of(const std::string& caller, TimeMs now_ms) const {
  if (!is_known_) return false;
  const TimeMs other_ms = caller == latest_ ? others_ms_ : latest_ms_;
  return other_ms != -kNever && now_ms - other_ms < limits::kCompanyMs;
}

}  // namespace notp::rego
