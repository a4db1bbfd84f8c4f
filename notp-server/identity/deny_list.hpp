// Identities that are let in no more, whatever certificate they hold: an ordinary ledger, so that a
// denial is signed, versioned and pushed like everything else.
#pragma once

#include <atomic>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/current.hpp"
#include "common/mutex.hpp"
#include "notp-server/registry/registry.hpp"
#include "protocol/model/validate.hpp"

namespace notp {

// What a model of the deny list's ledger must have, besides being a model: under data
// notp.denied.identities an object from identities ("spiffe://…") to {"reason": "…"}, maybe
// with "since": "…" for people, at most kDenyListMax of them. Anything else there is a finding: a
// list that is half understood would let somebody in. An Error only when content cannot be loaded.
Result<std::vector<ModelFinding>> check_deny_list(const ModelContent& content);

// The list in force. Thread-safe.
class DenyList {
 public:
  explicit DenyList(LedgerId ledger) : ledger_(std::move(ledger)) {}

  const LedgerId& ledger() const { return ledger_; }

  // Blocking, once, before anybody is let in: the newest release of the ledger whose list can be
  // read; those that cannot are logged. No release: nobody is denied. kCorrupt, kIo.
  Result<void> load(Registry& registry);
  // The ledger's new head. The list of a release that is older than the one in force changes
  // nothing. With an error, kInvalidModel or of the content, the list in force stays.
  Result<void> update(const Snapshot& release);

  // Why this identity (its URI) is denied; nullopt: it is not.
  std::optional<std::string> find(std::string_view identity) const;
  // kRevoked with who and why.
  Result<void> check(const std::string& identity) const;

  // Of the release in force; 0: none yet.
  uint64_t version() const { return entries_.get()->version; }
  size_t size() const { return entries_.get()->reasons.size(); }

 private:
  struct Entries {
    uint64_t epoch = 0, version = 0;
    std::map<std::string, std::string, std::less<>> reasons;
  };

  const LedgerId ledger_;
  Mutex updating_;
  Current<Entries> entries_{std::make_shared<const Entries>()};
};

}  // namespace notp
