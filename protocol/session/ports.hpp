// What a registry's session needs of the process around it: releases, targets, rights, signatures.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/clock.hpp"
#include "protocol/model/tree.hpp"
#include "protocol/trust/release_ref.hpp"
#include "protocol/trust/statements.hpp"
#include "protocol/wire/request_traits.hpp"

namespace notp {

// A root with its version. The envelope is verbatim.
struct CatalogRoot {
  uint64_t version = 0;
  Content envelope;
  // It names another freshness key than the root before it: sequences count anew.
  bool new_freshness_key = false;
};

// What the registry has. Answers from memory; thread-safe.
class Catalog {
 public:
  virtual ~Catalog() = default;
  virtual std::optional<ReleaseRef> release(const LedgerId& ledger, uint64_t version) const = 0;
  // A release that waits for signatures.
  virtual std::optional<ReleaseRef> pending(const LedgerId& ledger, uint64_t version,
                                            const Hash& release_hash) const = 0;
  // The roots above `version`, oldest first, at most kRootStepsMax.
  virtual std::vector<CatalogRoot> roots_after(uint64_t version) const = 0;
  virtual uint64_t newest_root() const = 0;
  // Why nothing of an existing ledger can be served, in words for the peer; nullopt: it can be, or
  // there is no such ledger.
  virtual std::optional<Error> damage(const LedgerId&) const { return std::nullopt; }
};

// Which release of a ledger a reader is to run. Answers from memory; thread-safe.
//
// A session asks it for both what it offers and what its freshness statements list, so that a
// reader which is held below the head is fresh with the release that it was given.
class TargetSource {
 public:
  virtual ~TargetSource() = default;
  // The head, unless the reader is held below it. `reader` is an identity: Identity::text().
  // For one reader the target never goes back in (epoch, version): neither below an earlier target
  // nor below a release that the reader reported. A node takes that for ROLLBACK and raises an
  // alarm. nullopt: the ledger has no release, or it is damaged.
  virtual std::optional<ReleaseRef> target(const LedgerId& ledger,
                                           std::string_view reader) const = 0;
};

// Signs freshness statements for the registry. Answers from memory; thread-safe.
class FreshnessSource {
 public:
  virtual ~FreshnessSource() = default;
  // Does the newest root name a freshness key?
  virtual bool enabled() const = 0;
  // Time between two statements of an open session.
  virtual TimeMs interval_ms() const = 0;
  // A statement for `audience` that lists `heads`, with a sequence of at least `sequence_min`, and
  // its signature. `heads` are targets of that reader, ascending by ledger, each once; the source
  // fills in what was withdrawn. An error is logged by the source: the session goes on without a
  // statement.
  virtual Result<std::pair<Freshness, Bytes>> sign(std::vector<FreshHead> heads,
                                                   std::string audience, uint64_t sequence_min,
                                                   Now now) const = 0;
};

// The rights of the peer of one session, looked up at every use so that a change takes effect at
// once.
class SessionRights {
 public:
  virtual ~SessionRights() = default;
  // kDenied with the identity, the action and whom to ask. `ledger` is null where the action is
  // about none.
  virtual Result<void> may(Action action, const LedgerId* ledger) const = 0;
};

}  // namespace notp
