// What a node makes of its token lane: follows it, verifies what arrives, and decides what is
// stored, what policies get and what the registry is told. Pure: no I/O, no clock. One thread.
//
//   LaneLink    when to subscribe, and what the registry says to it
//   LaneStream  where this node is in the lane's history
//   LaneAcks    how far store and PDP are
//   LaneAsks    tokens that are asked for
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "notp-client/lane/core/lane_acks.hpp"
#include "notp-client/lane/core/lane_asks.hpp"
#include "notp-client/lane/core/lane_effect.hpp"
#include "notp-client/lane/core/lane_link.hpp"
#include "notp-client/lane/core/lane_stream.hpp"
#include "protocol/trust/age.hpp"

namespace notp::lane {

struct LaneOptions {
  std::string trust_domain;
  std::string lane;
  LaneMode mode = LaneMode::kPush;
  bool keeps_tokens = false;  // over a restart; of kPush only
  // The disk takes no writes: revocations end with the process, so nothing is acknowledged.
  bool is_volatile = false;
};

// "live", "lagging", "stale", "denied", "unsupported" or "unknown", as policies see it.
std::string_view lane_state_name(const LaneReadout& readout, TimeMs trusted_ms);

class LaneCore {
 public:
  // `stored`: what the store has, and what the table was filled with; empty: nothing. Call
  // on_root() next.
  LaneCore(LaneOptions options, const LaneMarks& stored, Now now);
  LaneCore(const LaneCore&) = delete;
  LaneCore& operator=(const LaneCore&) = delete;

  LaneEffects take_effects() { return std::exchange(effects_, {}); }

  // The newest root's lane key: at the start, and whenever a root arrived.
  void on_root(const std::optional<PublicKey>& lane_key, Now now);
  // A session is welcome, or has ended.
  void on_connected(Now now);
  void on_disconnected(Now now);
  void on_state(const wire::LaneState& state, Now now);
  void on_statement(const feed::SealedStatement& statement, Now now);

  // All changes up to this number are durable; one of them is not (it is not tried again: a
  // snapshot brings it); the PDP's decisions use them, and the table has so many tokens.
  void on_durable(uint64_t number, Now now);
  void on_persist_failed(uint64_t number, const Error& error, Now now);
  void on_decided(uint64_t number, size_t tokens, Now now);

  // Trusted time was too far ahead, by proof: what has ended meanwhile may be missing here.
  void on_clock_set_back(TimeMs trusted_ms, Now now);

  // Of LaneMode::kAsk. A Resolved effect follows, at once unless the registry has to be asked.
  // Each `caller` has a share of what may be asked at once; empty: those without a name.
  void ask(const feed::TokenId& id, Now now, const std::string& caller = {});

  // Boot clock.
  TimeMs next_deadline() const;
  // Call it at next_deadline(), and whenever a clock may have jumped.
  void on_deadline(Now now);

  LaneReadout readout() const;
  // The revision of which the registry was told, or will be within a second.
  uint64_t acknowledged() const { return acks_.acknowledged(); }
  bool is_in_snapshot() const { return stream_.is_in_snapshot(); }
  const LaneAsks& asks() const { return asks_; }

 private:
  TimeMs tick(Now now);
  // After each event: effects that depend on time and on what the parts decided.
  void settle();
  void show_if_new();
  bool may_report() const;
  void report();
  Result<void> take(const feed::SealedStatement& statement);
  Result<void> take_batch(feed::Batch batch);
  Result<void> take_snapshot(feed::Snapshot snapshot);
  Result<void> take_answer(feed::Answer answer);
  Result<void> check(const feed::LaneHeader& header) const;
  void heed(const feed::LaneHeader& header);
  void push(Change change);
  void follow_again(std::string why);
  void raise(LaneTopic topic, Error error);
  void raise_refused(const Error& error);
  void clear(LaneTopic topic);
  LaneMarks marks() const;

  const LaneOptions options_;
  trust::TrustedClock clock_;
  Now ticked_at_;
  std::optional<PublicKey> key_;
  // Whether the registry signs with it, as far as this session has shown.
  enum class KeyUse : uint8_t { kUnknown, kSame, kOther } key_use_ = KeyUse::kUnknown;
  LaneLink link_;
  LaneStream stream_;
  LaneAcks acks_;
  LaneAsks asks_;
  LaneMarks known_;  // terms and times of what has arrived; `position` and `has_tokens` unused
  LaneReadout shown_;
  TimeMs shown_state_ms_ = 0;            // trusted time of the state that was reported last
  TimeMs expire_at_ms_, persist_at_ms_;  // boot clock
  std::vector<LaneTopic> raised_;
  LaneEffects effects_;
};

}  // namespace notp::lane
