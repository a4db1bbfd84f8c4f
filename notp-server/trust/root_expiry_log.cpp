#include "notp-server/trust/root_expiry_log.hpp"

#include "common/log.hpp"

namespace notp::trust {

bool RootExpiryLog::look(const Root& root, TimeMs now_ms) {
  const RootExpiry expiry = root_expiry(root.expires_ms, now_ms);
  const bool is_same_root = root.version == version_ || said_ == RootExpiry::kFar;
  if (expiry == said_ && (is_same_root || expiry == RootExpiry::kFar)) return false;
  said_ = expiry;
  version_ = root.version;
  log::write(expiry == RootExpiry::kFar    ? log::Level::kInfo
             : expiry == RootExpiry::kSoon ? log::Level::kWarn
                                           : log::Level::kError,
             "root_expiry",
             {{"state", root_expiry_name(expiry)},
              {"root_version", root.version},
              {"expires", root.expires_ms == 0 ? "never" : utc_time(root.expires_ms)},
              {"message", expiry == RootExpiry::kFar ? "a newer root has come"
                                                     : root_expiry_text(root, now_ms)}});
  return true;
}

}  // namespace notp::trust
