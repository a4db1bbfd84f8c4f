// The trust state of a node: the root chain, the registry's freshness statements, trusted time.
// Pure: statements and time go in, verdicts and records to make durable come out. One thread.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/tls/peer_chain.hpp"
#include "notp-client/store/store.hpp"
#include "protocol/trust/age.hpp"
#include "protocol/trust/verify.hpp"
#include "protocol/wire/messages.hpp"

namespace notp {

struct AgentTrustOptions {
  std::string trust_domain;
  std::string audience;  // this node's identity (SPIFFE URI); empty: not known yet
  std::vector<LedgerId> ledgers;
};

// The freshness of a release, and when it changes if no statement arrives until then.
struct FreshnessForecast {
  FreshnessStatus freshness_status;
  TimeMs next_change_ms = kNever;  // trusted time
};

class AgentTrust {
 public:
  // Verifies everything that `state` claims as if it had just arrived, except for time:
  // `pinned_root` (the envelope that the operator installed) is a link of the stored chain or its
  // next one, each root follows the one before, each release is signed under a root of the chain.
  // Releases that fail are removed from `state`; findings() lists them after the store's own
  // findings, and damaged() lists the ledgers whose newest release failed.
  //
  // kRootInvalid: the pinned root and the stored chain do not connect. kCorrupt: the chain is
  // broken. Also the codes of verify_pinned_root().
  static Result<AgentTrust> open(AgentTrustOptions options, ByteView pinned_root, StoreState& state,
                                 Now now);

  const std::vector<Error>& findings() const { return findings_; }
  const std::set<LedgerId>& damaged() const { return damaged_; }
  // Roots that open() took over from the pinned file, to be made durable.
  const std::vector<store_change::PinRoot>& new_roots() const { return new_roots_; }

  // Advances trusted time; call it first at every event. Returns trusted unix time in milliseconds.
  TimeMs tick(Now now);
  TimeMs now_ms() const { return clock_.high_water_ms(); }
  // To be stored with every record of this object that is made durable.
  ClockMarks marks() const { return {now_ms(), signed_ms_}; }
  // The machine's clocks at the last tick().
  Now ticked_at() const { return ticked_at_; }
  // The boot-clock time at which trusted time will be `at_ms`.
  TimeMs boot_deadline_ms(TimeMs at_ms) { return clock_.boot_deadline_ms(at_ms, ticked_at_); }

  const Trusted& trusted() const { return trusted_; }
  const Root& root() const { return *trusted_.root; }
  bool root_has_expired() const { return root().expires_ms != 0 && now_ms() >= root().expires_ms; }
  void set_audience(std::string audience) { trusted_.audience = std::move(audience); }

  // Takes the next root of the chain; the codes of verify_update(). On success it is trusted at
  // once.
  Result<store_change::PinRoot> take_root(ByteView envelope);
  // Begins a session: its first freshness update has no base. `registry` is the validity of the
  // certificate that the peer proved.
  void begin_session(tls::Validity registry) {
    session_base_.reset();
    registry_ = registry;
  }
  // Takes a freshness renewal; the codes of expand_freshness_update() and verify_update(). On
  // success it takes effect at once. On failure the trust state is unchanged.
  //
  // Trusted time is ahead of the wall clock by more than kClockSkewMs if the wall clock was once
  // set too far ahead. A statement sets trusted time back, to the statement's own time or to
  // signed_ms if that is later, when the peer's certificate is valid at the wall clock, the
  // statement was issued within kClockSkewMs of it, and every check passes at that time.
  // `sets_clock_back` is set then.
  Result<FreshnessKeep> take_freshness(const wire::FreshnessUpdate& update,
                                       const std::vector<LedgerId>& expected);
  // Takes a release that was verified and is durable now. kSignature, kWrongTarget: a root that
  // arrived since no longer authorises it; it must not be activated.
  Result<void> take_release(const StoredRelease& release);

  // The release is no longer stored.
  void forget(const LedgerId& ledger, const Hash& release);

  // The claims of a release's signed statement about other ledgers.
  struct Scope {
    std::vector<std::string> data_roots;
    std::vector<LedgerUse> uses;
  };
  // For a release that is in `state` or was taken; empty for any other. Valid until forget().
  const Scope& scope(const LedgerId& ledger, const Hash& release) const;

  // For a release that is in `state` or was taken; `release` is its hash.
  FreshnessForecast forecast(const LedgerId& ledger, const Hash& release) const;

 private:
  struct Held {
    ReleaseEnvelope envelope;
    Scope scope;
    FreshnessTerms terms;
    TimeMs expires_ms = 0;
    TimeMs vouched_ms = 0;
    bool authorised = false;  // by the newest root
  };
  // The entry for one ledger in the registry's newest freshness statement.
  struct LastStatement {
    Hash release_hash;
    TimeMs at_ms = 0;
    std::set<Hash> withdrawn;
    bool in_last_statement = false;
  };
  using Chain = std::vector<std::shared_ptr<const Root>>;

  AgentTrust(const ClockMarks& marks, Now now)
      : clock_(marks.wall_ms, now), ticked_at_(now), signed_ms_(marks.signed_ms) {}

  Result<Chain> walk(ByteView pinned_root, const StoreState& state);
  Result<void> meet(const Root& pinned, ByteView pinned_envelope, const StoreState& state,
                    Chain& chain);
  void verify_releases(const Chain& chain, StoreState& state);
  // Leaves the envelope read: nothing that follows parses it again.
  Result<void> verify_release(const Chain& chain, StoredRelease& release, const Floor& floor);
  void replay_statements(const Chain& chain, const StoreState& state);
  Result<void> replay(const Chain& chain, const StoredStatement& statement, bool is_last);
  bool is_authorised(const LedgerId& ledger, const ReleaseEnvelope& envelope,
                     const Root& root) const;
  // Called for a statement that passed verification.
  void note_signed(TimeMs issued_ms) {
    signed_ms_ = std::max(signed_ms_, std::min(issued_ms, now_ms()));
  }
  // Returns the time before now_ms() that this statement proves, provided that it is valid;
  // nullopt: none.
  std::optional<TimeMs> provable_ms(const Freshness& freshness) const;
  Held* find(const LedgerId& ledger, const Hash& release);

  AgentTrustOptions options_;
  Trusted trusted_;
  TrustedClock clock_;
  Now ticked_at_;
  std::map<LedgerId, std::map<Hash, Held>> held_;
  std::map<LedgerId, LastStatement> last_statements_;
  // The last statement of this session, accepted or not: the next one may be a delta against it.
  std::optional<Freshness> session_base_;
  tls::Validity registry_;
  TimeMs signed_ms_ = 0;  // as ClockMarks

  std::vector<Error> findings_;
  std::set<LedgerId> damaged_;
  std::vector<store_change::PinRoot> new_roots_;
};

}  // namespace notp
