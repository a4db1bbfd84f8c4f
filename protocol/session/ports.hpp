// Ports of a registry's session to the process around it: releases, targets, rights, signatures.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/clock.hpp"
#include "protocol/model/tree.hpp"
#include "protocol/trust/release_ref.hpp"
#include "protocol/trust/statements.hpp"
#include "protocol/wire/messages/sources.hpp"
#include "protocol/wire/request_traits.hpp"

namespace notp::session {

// A root with its version. The envelope is verbatim.
struct CatalogRoot {
  uint64_t version = 0;
  model::Content envelope;
  // It names another freshness key than the root before it: sequences restart.
  bool new_freshness_key = false;
};

// Lists what the registry has. Answers from memory; thread-safe.
class Catalog {
 public:
  virtual ~Catalog() = default;
  virtual std::optional<trust::ReleaseRef> release(const model::LedgerId& ledger,
                                                   uint64_t version) const = 0;
  // Returns the newest release; a reader's target may be an older one. nullopt: there is none.
  virtual std::optional<trust::ReleaseRef> newest(const model::LedgerId& ledger) const = 0;
  // Returns a pending release.
  virtual std::optional<trust::ReleaseRef> pending(const model::LedgerId& ledger, uint64_t version,
                                                   const Hash& release_hash) const = 0;
  // Returns the roots above `version`, oldest first, at most kRootStepsMax.
  virtual std::vector<CatalogRoot> roots_after(uint64_t version) const = 0;
  virtual uint64_t newest_root() const = 0;
  // Returns why an existing ledger cannot be served, phrased for the peer; nullopt: it can be
  // served, or does not exist.
  virtual std::optional<Error> damage(const model::LedgerId&) const { return std::nullopt; }
};

// Decides which release of a ledger a reader shall run. Answers from memory; thread-safe.
//
// A session uses it for both its offers and the heads in its freshness statements, so that a reader
// that is held below the head is fresh with the release that it was given.
class TargetSource {
 public:
  virtual ~TargetSource() = default;
  // Returns the head, unless the reader is held below it. `reader` is an identity:
  // Identity::text(). For one reader the target never goes back in (epoch, version): neither below
  // an earlier target nor below a release that the reader reported, because a node treats that as
  // ROLLBACK and raises an alarm. nullopt: the ledger has no release, or it is damaged.
  virtual std::optional<trust::ReleaseRef> target(const model::LedgerId& ledger,
                                                  std::string_view reader) const = 0;
  // Readers in the same ring of a ledger have equal targets in it, and may share the statements
  // about them. A reader may move to another ring at any time. Short.
  virtual std::string ring(const model::LedgerId&, std::string_view /*reader*/) const { return {}; }
};

// Signs what the registry says about freshness. Answers from memory; thread-safe.
class FreshnessSource {
 public:
  virtual ~FreshnessSource() = default;
  // Whether the newest root names a freshness key.
  virtual bool enabled() const = 0;
  // Whether the head of this ledger is the newest release that was published, as far as is known.
  // While it is not, no statement goes to a reader of the ledger.
  virtual bool attests(const model::LedgerId&) const { return true; }
  // Returns the time between two statements of an open session.
  virtual TimeMs interval_ms() const = 0;
  // Signs a statement with the audience, or the class, and the heads of `listed`, and a sequence of
  // at least `sequence_min`; returns it with its signature. The heads are targets of those readers,
  // ascending by ledger, each once; the source adds the withdrawn releases. The source logs an
  // error: the session continues without a statement.
  virtual Result<std::pair<trust::Freshness, Bytes>> sign(trust::Freshness listed,
                                                          uint64_t sequence_min, Now now) const = 0;
  // Whether a statement that is signed now, with the same heads, would have the same root and the
  // same withdrawn releases.
  virtual bool holds(const trust::Freshness& statement) const = 0;
  // Signs an assignment with the audience and the class of `assigned`, and a sequence of at least
  // `sequence_min`; returns its envelope as well. The source logs an error.
  virtual Result<std::pair<trust::Assignment, Bytes>> sign(trust::Assignment assigned,
                                                           uint64_t sequence_min,
                                                           Now now) const = 0;
};

// A ledger that a reader follows, with the reader's ring.
struct Followed {
  model::LedgerId ledger;
  std::string ring;
  bool operator==(const Followed&) const = default;
};
using FollowedPtr = std::shared_ptr<const std::vector<Followed>>;  // ascending, each once

// The statement of a class, as all of its sessions send it.
struct ClassStatement {
  trust::Freshness freshness;
  model::Content full;  // a whole FreshnessUpdate frame
  // The same, relative to statements of the class before, by their sequences.
  std::vector<std::pair<uint64_t, model::Content>> deltas;
};
using ClassStatementPtr = std::shared_ptr<const ClassStatement>;

// Readers who follow the same ledgers in the same rings, and share the statements about them.
// Thread-safe.
class ReaderClass {
 public:
  virtual ~ReaderClass() = default;
  virtual const trust::ClassId& id() const = 0;
  virtual const FollowedPtr& followed() const = 0;
  // Returns the class's newest statement, which is true for this reader of the class at this time,
  // and has a sequence above `above`. It is signed if there is none yet, when a renewal is due, and
  // when what it says has changed. null: there is no such statement; the reader needs one of its
  // own.
  virtual ClassStatementPtr statement(std::string_view reader, uint64_t above, Now now) = 0;
  // Returns the boot time of the first renewal after `boot_ms`.
  virtual TimeMs renewal_after(TimeMs boot_ms) const = 0;
};

// Knows the classes that have sessions. Thread-safe.
class ReaderClasses {
 public:
  virtual ~ReaderClasses() = default;
  // A reader of the class keeps the pointer. null: there are too many classes; this reader is in
  // none.
  virtual std::shared_ptr<ReaderClass> join(std::vector<Followed> followed) = 0;
};

// Knows how the key sources of the registry are. Answers from memory; thread-safe.
class IssuerStatuses {
 public:
  virtual ~IssuerStatuses() = default;
  // Returns every issuer, never null. A session sends its peer those of subscribed ledgers.
  virtual std::shared_ptr<const wire::SourceStatus> issuers() const = 0;
};

// The rights of the peer of one session, looked up at every use so that a change takes effect at
// once.
class SessionRights {
 public:
  virtual ~SessionRights() = default;
  // kDenied names the identity, the action and the person to ask. `ledger` is null when the action
  // is not about a ledger.
  virtual Result<void> may(wire::Action action, const model::LedgerId* ledger) const = 0;
};

}  // namespace notp::session
