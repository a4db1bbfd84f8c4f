#include "notp-server/sources/ledger_keys.hpp"

namespace notp::sources {

void LedgerKeys::add(const std::string& name) {
  const MutexLock lock(mutex_);
  documents_.emplace(name, Bytes());
}

Result<PublishedKeys> LedgerKeys::publish(const std::string& name, const Bytes& document,
                                          const std::string& message, TimeMs now_ms) {
  const MutexLock lock(mutex_);
  documents_[name] = document;
  return publisher_.publish(ledger_, documents_, message, now_ms);
}

}  // namespace notp::sources
