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

namespace notp::agent {

struct AgentTrustOptions {
  std::string trust_domain;
  std::string audience;  // this node's identity (SPIFFE URI); empty: not known yet
  std::vector<model::LedgerId> ledgers;
};

// The freshness of a release, and when it changes if no statement arrives until then.
struct FreshnessForecast {
  trust::FreshnessStatus freshness_status;
  TimeMs next_change_ms = kNever;  // trusted time
};

class AgentTrust {
 public:
  // Verifies everything that `state` claims as if it had just arrived, except for time:
  // `pinned_root` (the envelope that the operator installed) is a link of the stored chain or its
  // next one, each root follows the one before, each release is signed under a root of the chain
  // that lets it hold what it holds (StoredRelease::is_keys_only must be set).
  // Releases that fail are removed from `state`; findings() lists them after the store's own
  // findings, and damaged() lists the ledgers whose newest release failed.
  //
  // kRootInvalid: the pinned root and the stored chain do not connect. kCorrupt: the chain is
  // broken. Also the codes of verify_pinned_root().
  static Result<AgentTrust> open(AgentTrustOptions options, ByteView pinned_root,
                                 store::StoreState& state, Now now);

  const std::vector<Error>& findings() const { return findings_; }
  const std::set<model::LedgerId>& damaged() const { return damaged_; }
  // Roots that open() took over from the pinned file, to be made durable.
  const std::vector<store::change::PinRoot>& new_roots() const { return new_roots_; }

  // Advances trusted time; call it first at every event. Returns trusted unix time in milliseconds.
  TimeMs tick(Now now);
  TimeMs now_ms() const { return clock_.high_water_ms(); }
  // To be stored with every record of this object that is made durable.
  trust::ClockMarks marks() const { return {now_ms(), signed_ms_}; }
  // The machine's clocks at the last tick().
  Now ticked_at() const { return ticked_at_; }
  // The boot-clock time at which trusted time will be `at_ms`.
  TimeMs boot_deadline_ms(TimeMs at_ms) { return clock_.boot_deadline_ms(at_ms, ticked_at_); }

  const trust::Trusted& trusted() const { return trusted_; }
  const trust::Root& root() const { return *trusted_.root; }
  // Every root from the first stored one on, as signed.
  const std::vector<store::StoredRoot>& root_chain() const { return root_chain_; }
  // The envelope of the last statement that was accepted; empty: none.
  const Bytes& last_statement() const { return last_statement_; }
  bool root_has_expired() const { return root().expires_ms != 0 && now_ms() >= root().expires_ms; }
  void set_audience(std::string audience) { trusted_.audience = std::move(audience); }

  // Takes the next root of the chain; the codes of verify_update(). On success it is trusted at
  // once.
  Result<store::change::PinRoot> take_root(ByteView envelope);
  // Begins a session: its first freshness update has no base. `registry` is the validity of the
  // certificate that the peer proved.
  void begin_session(tls::Validity registry) {
    session_ = {};
    session_.registry = registry;
  }
  // Takes the assignment that says which class this node is in; the codes of verify_update(). On
  // success it counts at once, and the result is what to make durable: nullopt for the one that
  // counts already. On failure the trust state is unchanged. An assignment that was issued near the
  // wall clock is verified at that time when a statement of that time would set trusted time back,
  // as below.
  Result<std::optional<store::change::KeepAssignment>> take_assignment(ByteView envelope);
  // The same for the assignment of this session that was refused, if any: with another time it may
  // be valid.
  Result<std::optional<store::change::KeepAssignment>> retry_assignment();
  // Takes a freshness renewal; the codes of expand_freshness_update() and verify_update(), and for
  // a class whose assignment was refused, the code of that. On success it takes effect at once. On
  // failure the trust state is unchanged.
  //
  // Trusted time is ahead of the wall clock by more than kClockSkewMs if the wall clock was once
  // set too far ahead. A statement sets trusted time back, to the statement's own time or to
  // signed_ms if that is later, when the peer's certificate is valid at the wall clock, the
  // statement was issued within kClockSkewMs of it, and every check passes at that time.
  // `sets_clock_back` is set then.
  Result<store::FreshnessKeep> take_freshness(const wire::FreshnessUpdate& update,
                                              const std::vector<model::LedgerId>& expected);
  // Takes a release that was verified and is durable now. kSignature, kWrongTarget: a root that
  // arrived since no longer authorises it; it must not be activated.
  Result<void> take_release(const store::StoredRelease& release);

  // The release is no longer stored.
  void forget(const model::LedgerId& ledger, const Hash& release);

  // The claims of a release's signed statement about other ledgers.
  struct Scope {
    std::vector<std::string> data_roots;
    std::vector<model::LedgerUse> uses;
  };
  // For a release that is in `state` or was taken; empty for any other. Valid until forget().
  const Scope& scope(const model::LedgerId& ledger, const Hash& release) const;

  // For a release that is in `state` or was taken; `release` is its hash.
  FreshnessForecast forecast(const model::LedgerId& ledger, const Hash& release) const;

 private:
  struct Held {
    trust::ReleaseEnvelope envelope;
    Scope scope;
    trust::FreshnessTerms terms;
    TimeMs expires_ms = 0;
    TimeMs vouched_ms = 0;
    bool is_keys_only = false;
    bool authorised = false;  // by the newest root
  };
  // The entry for one ledger in the registry's newest freshness statement.
  struct LastStatement {
    Hash release_hash;
    TimeMs at_ms = 0;
    std::set<Hash> withdrawn;
    bool in_last_statement = false;
  };
  // What the registry's statements of one session build on, and the assignment that it has sent.
  struct SessionStatements {
    tls::Validity registry;  // of the certificate that the peer proved
    // The last statements for this node alone and for its class, accepted or not: the next one of
    // the kind may be a delta against it.
    std::optional<trust::Freshness> individual, of_class;
    // The class of the last assignment, accepted or not: it only tells which statement was signed.
    std::optional<trust::ClassId> class_id;
    // The last assignment, if it was refused; the next statement for a class tries it again.
    Bytes refused_assignment;
    std::optional<Error> refusal;
  };
  using Chain = std::vector<std::shared_ptr<const trust::Root>>;

  AgentTrust(const trust::ClockMarks& marks, Now now)
      : clock_(marks.wall_ms, now), ticked_at_(now), signed_ms_(marks.signed_ms) {}

  Result<Chain> walk(ByteView pinned_root, const store::StoreState& state);
  Result<void> meet(const trust::Root& pinned, ByteView pinned_envelope,
                    const store::StoreState& state, Chain& chain);
  void verify_releases(const Chain& chain, store::StoreState& state);
  // Leaves the envelope read: nothing that follows parses it again.
  Result<void> verify_release(const Chain& chain, store::StoredRelease& release,
                              const trust::Floor& floor);
  void replay_statements(const Chain& chain, const store::StoreState& state);
  Result<void> replay(const Chain& chain, const store::StoredStatement& statement, bool is_last);
  bool is_authorised(const model::LedgerId& ledger, const Held& held,
                     const trust::Root& root) const;
  // Called for a statement that passed verification.
  void note_signed(TimeMs issued_ms) {
    signed_ms_ = std::max(signed_ms_, std::min(issued_ms, now_ms()));
  }
  // Before walk(), which drops it with its key; and after, when it is known which keys count.
  void read_assignment(const store::StoreState& state);
  void verify_assignment(const store::StoreState& state);
  // Returns the time before now_ms() that a statement of this time proves, provided that it is
  // valid; nullopt: none.
  std::optional<TimeMs> provable_ms(TimeMs issued_ms) const;
  // When to verify such a statement.
  TimeMs verified_at_ms(TimeMs issued_ms) const {
    return provable_ms(issued_ms) ? std::max(ticked_at_.wall_ms, signed_ms_) : now_ms();
  }
  Held* find(const model::LedgerId& ledger, const Hash& release);

  AgentTrustOptions options_;
  trust::Trusted trusted_;
  std::vector<store::StoredRoot> root_chain_;
  Bytes last_statement_;
  trust::TrustedClock clock_;
  Now ticked_at_;
  std::map<model::LedgerId, std::map<Hash, Held>> held_;
  std::map<model::LedgerId, LastStatement> last_statements_;
  SessionStatements session_;
  TimeMs signed_ms_ = 0;  // as ClockMarks

  std::vector<Error> findings_;
  std::set<model::LedgerId> damaged_;
  std::vector<store::change::PinRoot> new_roots_;
};

}  // namespace notp::agent
