#include "notp-client/api/callers_at_once.hpp"

namespace notp::api {

std::optional<CallersAtOnce::Place> CallersAtOnce::enter(const std::string& caller,
                                                         size_t at_once) {
  if (at_once == 0) return Place();
  const MutexLock lock(mutex_);
  const auto entry = under_way_.try_emplace(caller, 0).first;
  if (entry->second >= at_once) return std::nullopt;
  ++entry->second;
  return Place(this, caller);
}

void CallersAtOnce::leave(const std::string& caller) {
  const MutexLock lock(mutex_);
  const auto entry = under_way_.find(caller);
  if (--entry->second == 0) under_way_.erase(entry);
}

}  // namespace notp::api
