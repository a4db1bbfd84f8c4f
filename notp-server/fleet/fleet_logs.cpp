// What a fleet knows of its nodes' logs.
#include "notp-server/fleet/fleet.hpp"

namespace notp::fleet {

// One that cannot wait to be written now is tried again with the next event.
void Fleet::keep_lag(const std::string& identity, bool has_departed) {
  if (!lags_.is_to_be_written(identity, has_departed)) return;
  const auto node = pending_node(identity);
  if (!node) return;
  (*node)->lag_since_ms = lags_.since_ms(identity);
  lags_.written(identity);
}

// A node that has come back meanwhile has unwritten changes.
void Fleet::forget_lags(const std::vector<std::string>& forgotten) {
  const MutexLock lock(mutex_);
  for (const std::string& identity : forgotten)
    if (!pending_.contains(identity)) lags_.forget(identity);
}

void Fleet::log_offered(const std::string& identity, uint64_t oldest_age_ms, TimeMs now_ms) {
  const MutexLock lock(mutex_);
  lags_.offered(identity, oldest_age_ms, now_ms);
  keep_lag(identity, /*has_departed=*/false);
}

void Fleet::log_compared(const std::string& identity, bool has_all, TimeMs now_ms) {
  const MutexLock lock(mutex_);
  lags_.compared(identity, has_all, now_ms);
  keep_lag(identity, /*has_departed=*/false);
}

void Fleet::segment_arrived(const std::string& identity, TimeMs arrived_ms) {
  const MutexLock lock(mutex_);
  lags_.arrived(identity, arrived_ms);
}

void Fleet::segment_stored(const std::string& identity, TimeMs arrived_ms, uint64_t oldest_age_ms) {
  const MutexLock lock(mutex_);
  lags_.stored(identity, arrived_ms, oldest_age_ms);
  keep_lag(identity, /*has_departed=*/false);
}

void Fleet::segment_not_stored(const std::string& identity, TimeMs arrived_ms) {
  const MutexLock lock(mutex_);
  lags_.not_stored(identity, arrived_ms);
  keep_lag(identity, /*has_departed=*/false);
}

TimeMs Fleet::log_lag_since_ms() {
  const MutexLock lock(mutex_);
  return lags_.oldest_since_ms();
}

}  // namespace notp::fleet
