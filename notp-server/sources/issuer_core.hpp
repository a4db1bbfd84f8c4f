// Decides when the keys of one issuer are fetched and published, and how the issuer is. Pure: its
// host runs the effects.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/clock.hpp"
#include "common/random.hpp"
#include "common/result.hpp"
#include "notp-server/sources/key_set.hpp"
#include "protocol/wire/messages/sources.hpp"

namespace notp::sources {

enum class FetchReason : uint8_t { kDue, kUnknownKey, kRefresh };

// --- effects

// The keys are to be fetched: fetched() follows.
struct FetchOrder {
  FetchReason reason = FetchReason::kDue;
  std::string jwks_uri;        // empty: discovery comes first
  std::string etag, etag_uri;  // of the set that is known, and where it was; empty: none
};
// The ledger is to have this set: published() follows.
struct PublishOrder {
  AcceptedKeySet keys;
};
using IssuerEffect = std::variant<FetchOrder, PublishOrder>;

// --- events

struct FetchedKeys {
  std::string jwks_uri;
  std::optional<AcceptedKeySet> keys;  // nullopt: not changed since `etag` (RFC 9110 §15.4.5)
  std::string etag;                    // of this answer; empty: none
  std::optional<TimeMs> max_age_ms;    // RFC 9111 §5.2.2.1
};
struct PublishedKeys {
  uint64_t version = 0;  // of the head that has them
  bool is_new = false;   // a release was made for them
};

// --- what can be read

enum class FetchOutcome : uint8_t { kGood, kUnchanged, kFailed, kRefused };

struct IssuerFacts {
  TimeMs good_ms = 0;             // Unix time of the last good fetch; 0: none yet
  TimeMs fetched_ms = 0;          // of the last attempt's beginning; 0: none yet
  std::optional<Error> error;     // of the last attempt, or of publishing what it brought
  uint64_t version = 0;           // of the head that has the keys, as far as is known; 0: none
  std::vector<std::string> kids;  // of the keys there
  std::string jwks_uri;           // empty: not discovered yet
  uint64_t unknown_keys = 0;      // reports
  uint64_t releases = 0;
  std::map<FetchOutcome, uint64_t> fetches;  // that have ended

  uint64_t fetches_total() const;
};

// One thread at a time. One effect is under way at a time.
class IssuerCore {
 public:
  // `random` outlives it. The first fetch is due at once.
  IssuerCore(Random& random, Now now);

  // The ledger's head has such keys: known from an earlier process. Before the first effect.
  void held(std::vector<std::string> kids, uint64_t version);

  // Returns the next effect that is due. The caller asks again after each one.
  std::optional<IssuerEffect> on_deadline(Now now);
  // Boot time at which the next effect is due; kNever while one is under way.
  TimeMs next_deadline() const;

  // The end of a FetchOrder. An error with rule_of() refuses what the provider serves: the known
  // keys stay.
  void fetched(Result<FetchedKeys> result, Now now);
  // The end of a PublishOrder.
  void published(Result<PublishedKeys> result, Now now);

  // A node does not know this kid. Fetches at once, or when kUnknownKeyFloorMs have passed since
  // the last fetch for this reason began; not when the known set has the key.
  void unknown_key(std::string_view kid, Now now);
  // Fetches at once. kOverloaded: the last fetch began less than kRefreshFloorMs ago.
  Result<void> refresh(Now now);

  // There is a new root: what is known is published again at once. The old one may not have let it,
  // and the new one may want another key's signature.
  void root_changed(Now now);

  wire::IssuerState state(Now now) const;
  // Boot time at which time alone changes the state; kNever: it does not.
  TimeMs state_changes_ms(Now now) const;
  const IssuerFacts& facts() const { return facts_; }
  // Boot time of the next fetch, as far as is known; now while one is under way.
  TimeMs next_fetch_ms(Now now) const;

 private:
  bool is_known(std::string_view kid) const;
  // Boot time from which a fetch for an unknown key may begin.
  TimeMs unknown_allowed_ms(Now now) const;
  FetchOrder begin_fetch(Now now);
  void keep(FetchedKeys fetched, Now now);
  void fail_fetch(Error error, Now now);
  TimeMs jittered(TimeMs time_ms);
  TimeMs retry_ms(int failures);

  // Boot times of what comes next.
  struct Due {
    TimeMs fetch_ms = kNever;
    TimeMs unknown_ms = kNever;  // a fetch for a key that is not known
    TimeMs publish_ms = kNever;
    bool refresh = false;  // at once
  };
  // Boot times of beginnings.
  struct Begun {
    std::optional<TimeMs> fetch_ms, unknown_ms;
  };
  // Since everything was good.
  struct Failures {
    int fetches = 0, publishes = 0;  // in a row
    std::optional<TimeMs> since_ms;  // boot time of the first one
    bool is_suspect = false;
  };
  enum class Busy : uint8_t { kNo, kFetching, kPublishing };

  Random& random_;
  IssuerFacts facts_;
  std::optional<AcceptedKeySet> keys_;  // the last good set of this process
  std::string etag_;
  TimeMs discovered_ms_ = 0;  // boot time
  bool is_doubted_ = false;   // the last fetch for an unknown key brought no new one
  Due due_;
  Begun begun_;
  Failures failures_;
  Busy busy_ = Busy::kNo;
  std::vector<std::string> reported_;  // kids, while fetching
};

}  // namespace notp::sources
