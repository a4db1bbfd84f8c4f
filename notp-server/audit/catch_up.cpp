#include "notp-server/audit/catch_up.hpp"

#include "notp-server/audit/audit_limits.hpp"

namespace notp::audit {

bool CatchUp::admit(const record::LogId& log, record::Position target, TimeMs boot_ms) {
  const auto at = logs_.find(log);
  if (at == logs_.end() && free() == 0) return false;
  logs_[log] = {target, boot_ms};
  return true;
}

void CatchUp::progress(const record::LogId& log, record::Position next, TimeMs boot_ms) {
  const auto at = logs_.find(log);
  if (at == logs_.end()) return;
  at->second.last_ms = boot_ms;
  if (next >= at->second.target) logs_.erase(at);
}

void CatchUp::expire(TimeMs boot_ms) {
  std::erase_if(logs_, [&](const auto& entry) {
    return boot_ms - entry.second.last_ms >= limits::kCatchingUpIdleMs;
  });
}

}  // namespace notp::audit
