// What verified answers of nodes say of releases that the registry lacks.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "notp-server/registry/registry.hpp"
#include "protocol/trust/verify.hpp"

namespace notp::recovery {

// Of one ledger: the oldest are kept, since they are recovered first, and nodes are asked again for
// what is above.
inline constexpr size_t kLostVersionsMax = 256;
inline constexpr size_t kLostReleasesMax = 65'536;  // of all ledgers
inline constexpr size_t kHoldersMax = 64;           // sessions that are kept for one release

// A release that exists: it is signed, and not here.
struct LostRelease {
  trust::ReleaseRef ref;
  Hash previous;  // of its statement
  Hash envelope;  // SHA-256 of the verified bytes
  uint64_t total_bytes = 0;
  std::string shown_by;        // identity of the first node that showed it
  std::set<uint64_t> holders;  // numbers of open sessions
};

// Two signed releases that cannot both be of one history.
struct Fork {
  uint64_t epoch = 0;  // a root of a later epoch ends it
  uint64_t version = 0;
  std::string shown_by;
  std::string message;
};

struct LostLedger {
  std::map<uint64_t, LostRelease> releases;  // by version, above the head
  std::optional<trust::ReleaseRef> newest;   // known by its envelope, also beyond what is kept
  std::string newest_shown_by;
  std::optional<Fork> fork;
};

// One thread at a time; from memory. `registry` outlives it.
class LostReleases {
 public:
  explicit LostReleases(const registry::Registry& registry) : registry_(registry) {}

  enum class News : uint8_t {
    kNone,    // the registry has it, or it was known
    kLost,    // one more release is lost
    kForked,  // the ledger is forked from now on
  };
  // A verified release that a session's peer holds.
  News add(const trust::VerifiedRelease& release, uint64_t session, const std::string& identity);
  // The same for bytes that were verified before. False: these were not.
  bool add_holder(const model::LedgerId& ledger, const Hash& envelope, uint64_t session,
                  uint64_t& version);
  void session_ended(uint64_t session);
  // Forgets what the registry has by now.
  void prune();

  // Null: nothing of it is lost, and it is not forked.
  const LostLedger* find(const model::LedgerId& ledger) const;
  const std::map<model::LedgerId, LostLedger>& ledgers() const { return ledgers_; }

 private:
  News forked(const trust::ReleaseRef& ref, const std::string& identity, std::string message);
  // nullopt: go on. What the registry itself has against the release.
  std::optional<News> compare_with_history(const trust::VerifiedRelease& release,
                                           const std::string& identity);
  std::optional<News> compare_with_lost(LostLedger& ledger, const trust::VerifiedRelease& release,
                                        uint64_t session, const std::string& identity);
  bool make_room(LostLedger& ledger, uint64_t version);
  void prune(const model::LedgerId& id, LostLedger& ledger);

  const registry::Registry& registry_;
  std::map<model::LedgerId, LostLedger> ledgers_;
  size_t kept_ = 0;  // releases
};

// The versions between the head and the newest one that no open session holds.
std::vector<uint64_t> missing_versions(const LostLedger& ledger, uint64_t head, size_t max,
                                       uint64_t& count);

}  // namespace notp::recovery
