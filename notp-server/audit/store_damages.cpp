#include "notp-server/audit/store_damages.hpp"

#include "common/log.hpp"
#include "notp-server/audit/audit_limits.hpp"

namespace notp::audit {

void StoreDamages::keep(const std::string& file, const Error& error, bool is_unusable) {
  {
    const MutexLock lock(mutex_);
    if (by_file_.size() >= limits::kDamagesMax && !by_file_.contains(file)) return;
    const auto [at, is_new] = by_file_.try_emplace(file, Damage{error.message, is_unusable});
    if (is_unusable) at->second.is_unusable = true;
    if (!is_new) return;
  }
  log::write(log::Level::kError, "audit_file_damaged", error,
             {{"file", (folder_ / file).string()}});
}

void StoreDamages::forget(const std::string& file) {
  const MutexLock lock(mutex_);
  by_file_.erase(file);
}

std::optional<Error> StoreDamages::unusable(const std::string& file) const {
  const MutexLock lock(mutex_);
  const auto at = by_file_.find(file);
  if (at == by_file_.end() || !at->second.is_unusable) return std::nullopt;
  return Error{ErrorCode::kCorrupt, at->second.message, {}};
}

Error StoreDamages::named(const std::string& file, Error error) const {
  if (error.code != ErrorCode::kCorrupt) return error;
  return std::move(error).in(file + " cannot be used").with("file", (folder_ / file).string());
}

std::vector<StoreDamage> StoreDamages::list() const {
  const MutexLock lock(mutex_);
  std::vector<StoreDamage> out;
  for (const auto& [file, damage] : by_file_) out.push_back({file, damage.message});
  return out;
}

}  // namespace notp::audit
