// Identities that are no longer admitted, whatever certificate they hold. The list is an ordinary
// ledger, so that a denial is signed, versioned and pushed like any release.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/atomic_shared.hpp"
#include "common/mutex.hpp"
#include "notp-server/registry/registry.hpp"
#include "protocol/model/validate.hpp"

namespace notp::authz {

// Checks what a model of the deny list's ledger must have in addition: under data
// notp.denied.identities an object from identities ("spiffe://…") to {"reason": "…"}, optionally
// with "since": "…" for people, at most kDenyListMax of them. Anything else there is a finding,
// because a partly understood list would admit a denied identity. An Error only when content cannot
// be loaded.
Result<std::vector<model::ModelFinding>> check_deny_list(const model::ModelContent& content);

// The list in force. Thread-safe.
class DenyList {
 public:
  explicit DenyList(model::LedgerId ledger) : ledger_(std::move(ledger)) {}

  const model::LedgerId& ledger() const { return ledger_; }

  // Blocking; call it once, before any peer is admitted. Takes the newest release of the ledger
  // whose list can be read; unreadable ones are logged. No release: no identity is denied.
  // kCorrupt, kIo.
  Result<void> load(registry::Registry& registry);
  // Takes the ledger's new head. A release older than the one in force changes nothing. On an
  // error, kInvalidModel or of the content, the list in force stays.
  Result<void> update(const registry::Snapshot& release);

  // Why this identity (its URI) is denied; nullopt: it is not.
  std::optional<std::string> find(std::string_view identity) const;
  // kRevoked with the identity and the reason.
  Result<void> check(const std::string& identity) const;

  // The version of the release in force; 0: none yet.
  uint64_t version() const { return entries_.get()->version; }
  size_t size() const { return entries_.get()->reasons.size(); }

 private:
  struct Entries {
    uint64_t epoch = 0, version = 0;
    std::map<std::string, std::string, std::less<>> reasons;
  };

  const model::LedgerId ledger_;
  Mutex updating_;
  AtomicShared<Entries> entries_{std::make_shared<const Entries>()};
};

}  // namespace notp::authz
