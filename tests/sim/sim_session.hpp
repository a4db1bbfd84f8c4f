// One session's view of the registry: the truth, or an attacker's version of it. All attacks pass
// through the real server session.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "protocol/session/server/server_session.hpp"
#include "tests/sim/sim_registry.hpp"

namespace notp::sim {

inline constexpr TimeMs kSimIntervalMs = 10'000;       // renewal of statements
inline constexpr TimeMs kSimLifetimeMs = 30'000;       // of a statement
inline constexpr TimeMs kSimAssignmentMs = 3'600'000;  // life of an assignment

enum class Conduct : uint8_t {
  kHonest,
  kLags,             // an older state of releases and roots, like a restored backup
  kTampers,          // flips a byte in artifacts
  kSilent,           // sends no statements; keeps them for later
  kReplays,          // sends earlier or withheld statements
  kReplaysOther,     // statements of another node
  kOldRoots,         // roots from the first one on
  kForgedRoot,       // a root signed by one stolen root key
  kForeignRoot,      // a root signed by unauthorised keys
  kForgedRelease,    // a release signed by unauthorised keys
  kTwinRelease,      // with a stolen publisher's key: a second release in the head's place
  kStolenFreshness,  // with a stolen freshness key: lies about heads, sequences, withdrawals
};

std::string_view conduct_name(Conduct conduct);

// The keys of a thief. Stolen root keys always stay below the threshold.
struct Theft {
  bool publisher = false;
  std::optional<size_t> freshness_key;  // numbered as in SimTrust
};

// Everything that was ever signed about freshness: an eavesdropper can replay it.
struct Recordings {
  std::map<std::string, std::vector<std::pair<trust::Freshness, Bytes>>> statements;  // by reader
  std::map<trust::ClassId, std::vector<std::pair<trust::Freshness, Bytes>>> of_classes;
  std::map<std::string, std::vector<std::pair<trust::Assignment, Bytes>>> assignments;
};

class SimCatalog final : public session::Catalog, public session::TargetSource {
 public:
  // For a lagging session: the number of newest releases and roots that it does not know.
  struct Lag {
    uint64_t releases = 0, roots = 0;
  };
  SimCatalog(const SimRegistry& registry, Conduct conduct, Lag lag);

  std::optional<trust::ReleaseRef> target(const model::LedgerId& ledger,
                                          std::string_view reader) const override;
  // What the reader is held at.
  std::string ring(const model::LedgerId& ledger, std::string_view reader) const override;
  std::optional<trust::ReleaseRef> release(const model::LedgerId& ledger,
                                           uint64_t version) const override;
  std::optional<trust::ReleaseRef> newest(const model::LedgerId& ledger) const override {
    return release(ledger, newest_version(ledger));
  }
  std::optional<trust::ReleaseRef> pending(const model::LedgerId&, uint64_t,
                                           const Hash&) const override {
    return std::nullopt;
  }
  std::vector<session::CatalogRoot> roots_after(uint64_t version) const override;
  uint64_t newest_root() const override;

  // The release itself; nullptr: unknown in this session.
  const PublishedRelease* find(const model::LedgerId& ledger, uint64_t version) const;
  uint64_t newest_version(const model::LedgerId& ledger) const;
  // The newest genuine root known in this session.
  uint64_t genuine_root() const;

 private:
  bool bends_roots() const;
  const SimRegistry& registry_;
  const Conduct conduct_;
  const Lag lag_;
  const SimRegistry::Shadow* shadow_ = nullptr;
};

class SimFreshness final : public session::FreshnessSource {
 public:
  SimFreshness(const SimRegistry& registry, const SimCatalog& catalog, Conduct conduct, Theft theft,
               Recordings& recordings, SeededRandom& random)
      : registry_(registry),
        catalog_(catalog),
        conduct_(conduct),
        theft_(theft),
        recordings_(recordings),
        random_(random) {}

  bool enabled() const override { return true; }
  bool attests(const model::LedgerId&) const override { return !registry_.is_restored(); }
  TimeMs interval_ms() const override { return kSimIntervalMs; }
  Result<std::pair<trust::Freshness, Bytes>> sign(trust::Freshness listed, uint64_t sequence_min,
                                                  Now now) const override;
  bool holds(const trust::Freshness& statement) const override;
  Result<std::pair<trust::Assignment, Bytes>> sign(trust::Assignment assigned,
                                                   uint64_t sequence_min, Now now) const override;

 private:
  void lie(trust::Freshness& statement) const;
  void lie(trust::Assignment& assignment) const;
  Result<std::pair<trust::Freshness, Bytes>> replay(const trust::Freshness& wanted) const;

  const SimRegistry& registry_;
  const SimCatalog& catalog_;
  const Conduct conduct_;
  const Theft theft_;
  Recordings& recordings_;
  SeededRandom& random_;
  mutable uint64_t sent_ = 0;  // sequence of this source's last statement
};

class AllRights final : public session::SessionRights {
 public:
  Result<void> may(wire::Action, const model::LedgerId*) const override { return {}; }
};

}  // namespace notp::sim
