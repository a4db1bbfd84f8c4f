// The key sets of one ledger, which its issuers share.
#pragma once

#include <string>

#include "common/mutex.hpp"
#include "notp-server/sources/key_publisher.hpp"

namespace notp::sources {

// Thread-safe. Blocking: a publish to the ledger waits for the one before it.
class LedgerKeys {
 public:
  // `publisher` outlives it.
  LedgerKeys(model::LedgerId ledger, const KeyPublisher& publisher)
      : ledger_(std::move(ledger)), publisher_(publisher) {}

  // Before the first publish: an issuer of the ledger.
  void add(const std::string& name);
  // As in KeyPublisher::publish(), with this document of the issuer.
  Result<PublishedKeys> publish(const std::string& name, const Bytes& document,
                                const std::string& message, TimeMs now_ms);

  const model::LedgerId& ledger() const { return ledger_; }

 private:
  const model::LedgerId ledger_;
  const KeyPublisher& publisher_;
  Mutex mutex_;
  KeyDocuments documents_ NOTP_GUARDED_BY(mutex_);
};

}  // namespace notp::sources
