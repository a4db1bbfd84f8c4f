// An agent in virtual time: roots, the registry's statements, and a cold start from a store that
// was tampered with.
#include <algorithm>

#include "tests/support/agent/agent_node.hpp"

namespace notp {
namespace {

using samples::kLedger;
using samples::public_keys;
using samples::signed_by;

constexpr TimeMs kHourMs = 3'600'000;
const model::LedgerId kOther{273165098782, "gateway"};

trust::Root root(uint64_t version) {
  trust::Root out = samples::tracked_root();
  out.version = version;
  return out;
}

Bytes pinned(uint64_t version = 1) { return signed_by(root(version), {1}).encode(); }

TestRelease long_release(const TestRelease* previous = nullptr, uint8_t signer = 2) {
  return make_release(
      previous,
      [](trust::Release& release) {
        release.fresh_s = 24 * 3600;
        release.hard_s = 30 * 24 * 3600;
        release.issued_ms = samples::kIssuedMs + kHourMs;
      },
      signer);
}

AgentNode connected() {
  AgentNode node(pinned());
  node.boot();
  node.connect();
  return node;
}

TEST_CASE("a chain of roots is walked in one session, kept, and comes before the file") {
  AgentNode node = connected();
  for (uint64_t version = 2; version <= 5; ++version) node.send_root(signed_by(root(version), {1}));
  CHECK(node.core().status().root_version == 5);
  CHECK(node.store.state().root_chain.size() == 5);
  const TestRelease release = long_release();
  node.send_release(release);
  node.attest(release);  // names root 5
  CHECK(node.state() == trust::FreshnessState::kFresh);
  node.disconnect();
  node.restart();  // the file has root 1
  CHECK(node.core().status().root_version == 5);
  node.connect();
  CHECK(node.hellos.back().root_version == 5);
  CHECK(node.hellos.back().freshness_sequence == node.sequence);
  CHECK(node.alarms.empty());
}

TEST_CASE("a root that does not follow ends the session and changes nothing") {
  AgentNode node = connected();
  ErrorCode code{};
  SUBCASE("a gap") {
    node.send_root(signed_by(root(3), {1}));
    code = ErrorCode::kRootInvalid;
  }
  SUBCASE("not signed by the old keys") {
    trust::Root next = root(2);
    next.root_keys = public_keys({9});
    node.send_root(signed_by(next, {9}));
    code = ErrorCode::kSignature;
  }
  SUBCASE("an old one again") {
    node.send_root(signed_by(root(1), {1}));
    code = ErrorCode::kRollback;
  }
  CHECK(node.refusals == std::vector{code});
  CHECK(node.alarmed(code));
  CHECK_FALSE(node.is_connected());
  CHECK(node.core().status().root_version == 1);
  CHECK(node.store.state().root_chain.size() == 1);
}

TEST_CASE("another freshness key starts the sequence and the listed heads anew") {
  const TestRelease first = long_release(), second = long_release(&first);
  AgentNode node = connected();
  node.send_release(first);
  // A thief of the key runs ahead, with a head that does not exist.
  node.attest({{kLedger, 1, 900, sha256("no such release"), {}}},
              [](trust::Freshness& f) { f.sequence = 1'000'000; });
  CHECK(node.store.state().freshness_sequence == 1'000'000);
  trust::Root next = root(2);
  next.freshness_keys = {samples::key(8).public_key()};
  node.send_root(signed_by(next, {1}));
  CHECK(node.store.state().freshness_sequence == 0);
  CHECK(node.store.state().ledgers.at(kLedger).listed == trust::Floor{});
  node.send_release(second);
  node.attest({AgentNode::head(second)}, [](trust::Freshness& f) { f.sequence = 5; }, 8);
  CHECK(node.is_connected());
  CHECK(node.state() == trust::FreshnessState::kFresh);
  CHECK(node.decides().version == 2);
  node.restart();
  CHECK(node.core().status().freshness_sequence == 5);
  node.connect();
  node.attest({AgentNode::head(second)},
              [](trust::Freshness& f) { f.sequence = 6; });  // the old key
  CHECK(node.refusals.back() == ErrorCode::kSignature);
}

TEST_CASE("a publisher that the root removes: what it signed serves on, and ages") {
  const TestRelease first = long_release(nullptr, 3);
  AgentNode node = connected();
  node.send_release(first);
  node.attest(first);
  const TimeMs vouched_ms = node.ledger_status().freshness_status.vouched_ms;
  trust::Root next = root(2);
  next.delegations = {{"*/*", public_keys({2}), 1}};
  node.send_root(signed_by(next, {1}));
  node.advance(1'000);
  node.attest(first);
  node.advance(1'000);
  node.attest(first);
  CHECK(node.decides().version == 1);
  CHECK(node.ledger_status().freshness_status.vouched_ms == vouched_ms);
  node.send_release(long_release(&first, 3));
  CHECK(node.alarmed(ErrorCode::kSignature));
  CHECK(node.decides().version == 1);
  node.alarms.clear();
  node.disconnect();
  node.restart();
  CHECK(node.alarms.empty());
  CHECK(node.decides().version == 1);
  CHECK(node.ledger_status().freshness_status.vouched_ms == vouched_ms);
  node.connect();
  const TestRelease second = long_release(&first, 2);
  node.send_release(second);
  node.attest(second);
  CHECK(node.decides().version == 2);
  CHECK(node.state() == trust::FreshnessState::kFresh);
}

TEST_CASE("what no honest registry says of freshness ends the session and changes nothing") {
  const TestRelease first = long_release(), second = long_release(&first);
  AgentNode node(pinned(), {kOther, kLedger});
  node.boot();
  node.connect();
  node.send_release(first);
  node.send_release(second);
  const trust::FreshHead other{kOther, 0, 0, {}, {}};
  node.attest({other, AgentNode::head(second)});
  REQUIRE(node.is_connected());
  node.advance(1'000);
  const TimeMs vouched_ms = node.decides().freshness_status.vouched_ms;
  const uint64_t sequence = node.sequence;
  ErrorCode code{};
  SUBCASE("replayed") {
    node.attest({other, AgentNode::head(second)},
                [&](trust::Freshness& f) { f.sequence = sequence; });
    code = ErrorCode::kReplay;
  }
  SUBCASE("a ledger vanished") {
    node.attest({AgentNode::head(second)});
    code = ErrorCode::kVanished;
  }
  SUBCASE("a ledger fell") {
    node.attest({other, AgentNode::head(first)});
    code = ErrorCode::kRollback;
  }
  SUBCASE("another release of the same number") {
    node.attest({other, {kLedger, 1, 2, sha256("another"), {}}});
    code = ErrorCode::kEquivocation;
  }
  SUBCASE("for another node") {
    node.attest({other, AgentNode::head(second)}, [](trust::Freshness& f) {
      f.audience = "spiffe://core-platform.internal/node/edge-2";
    });
    code = ErrorCode::kSignature;  // reassembled for this node, it differs from what was signed
  }
  SUBCASE("of a root that was held back") {
    node.attest({other, AgentNode::head(second)}, [](trust::Freshness& f) { f.root_version = 2; });
    code = ErrorCode::kRootInvalid;
  }
  CHECK(node.refusals == std::vector{code});
  CHECK(node.alarmed(code));
  CHECK_FALSE(node.is_connected());
  CHECK(node.core().status().freshness_sequence == sequence);
  CHECK(node.store.state().freshness_sequence == sequence);
  CHECK(node.ledger_status().ledger == kOther);
  CHECK(node.core().status().ledgers.back().freshness_status.vouched_ms == vouched_ms);
}

TEST_CASE("a registry that goes on with it is asked less and less often") {
  AgentNode node = connected();
  TimeMs waited_ms = 0;
  for (int i = 0; i < 12; ++i) {
    node.attest(std::vector<trust::FreshHead>{});  // the ledger vanished
    CHECK_FALSE(node.is_connected());
    const TimeMs before_ms = node.now.boot_ms;
    node.connect();
    waited_ms = std::max(waited_ms, node.now.boot_ms - before_ms);
  }
  CHECK(waited_ms >= 100);
}

TEST_CASE("a statement from the future is not believed, and the next one may be") {
  const TestRelease release = long_release();
  AgentNode node = connected();
  node.send_release(release);
  node.attest({AgentNode::head(release)}, [](trust::Freshness& f) {
    f.issued_ms += limits::kClockSkewMs + 1;
    f.expires_ms = f.issued_ms + 60'000;
  });
  CHECK(node.alarmed(ErrorCode::kClock));
  CHECK(node.is_connected());
  CHECK(node.core().status().freshness_sequence == 0);
  node.attest(release);
  CHECK(node.core().status().freshness_sequence == node.sequence);
}

TEST_CASE("the registry hears what keeps a node from the head, until it is over") {
  const TestRelease first = long_release(), second = long_release(&first);
  AgentNode node = connected();
  const auto last_code = [&] { return error_code_from_wire(node.commits.back().code); };
  node.send_release(first);
  SUBCASE("a release that it cannot take, in the next session as well") {
    node.send_release(long_release(&first, 9));
    CHECK(node.commits.back().state == wire::CommitState::kRejected);
    CHECK(last_code() == ErrorCode::kSignature);
    node.disconnect();
    node.commits.clear();
    node.connect();
    REQUIRE(node.commits.size() == 1);
    CHECK(node.commits.back().state == wire::CommitState::kActive);
    CHECK(node.commits.back().version == 1);
    CHECK(last_code() == ErrorCode::kSignature);
    CHECK(node.commits.back().message.contains("v2 cannot be taken"));
    node.send_release(second);
  }
  SUBCASE("a clock that is wrong") {
    node.attest({AgentNode::head(first)}, [](trust::Freshness& f) {
      f.issued_ms += limits::kClockSkewMs + 1;
      f.expires_ms = f.issued_ms + 60'000;
    });
    CHECK(node.commits.back().state == wire::CommitState::kActive);
    CHECK(last_code() == ErrorCode::kClock);
    node.attest(first);
  }
  SUBCASE("a root that does not follow") {
    node.send_root(signed_by(root(3), {1}));
    CHECK(last_code() == ErrorCode::kRootInvalid);
    node.connect();
    CHECK(last_code() == ErrorCode::kRootInvalid);
    node.send_root(signed_by(root(2), {1}));
    node.send_release(second);
  }
  SUBCASE("a store that does not keep what it is told") {
    node.core().on_persist_failed(store::change::KeepTime{},
                                  {ErrorCode::kIo, "the disk is full", {}}, node.now);
    node.disconnect();
    node.connect();
    CHECK(last_code() == ErrorCode::kIo);
    CHECK(node.commits.back().message.contains("the disk is full"));
    node.attest(first);
    CHECK(last_code() == ErrorCode::kIo);
    node.attest(first);  // the session would have ended if the first one had been kept
  }
  CHECK(node.commits.back().state == wire::CommitState::kActive);
  CHECK(node.commits.back().code == 0);
}

TEST_CASE("a refused ledger is not expected") {
  AgentNode node(pinned(), {kOther, kLedger});
  node.boot();
  node.connect({{kOther, ErrorCode::kDenied, "no right"}});
  const TestRelease release = long_release();
  node.send_release(release);
  node.attest(release);
  CHECK(node.is_connected());
  CHECK(node.state() == trust::FreshnessState::kFresh);
}

TEST_CASE("under an expired root the node serves on and takes nothing new") {
  AgentNode node(signed_by(
                     [] {
                       trust::Root out = root(1);
                       out.expires_ms = samples::kIssuedMs + 2 * kHourMs;
                       return out;
                     }(),
                     {1})
                     .encode());
  node.boot();
  node.connect();
  const TestRelease first = long_release(), second = long_release(&first);
  node.send_release(first);
  node.advance(kHourMs - 1);
  CHECK_FALSE(node.alarmed(ErrorCode::kExpired));
  node.advance(1);
  CHECK(node.alarmed(ErrorCode::kExpired));
  if (!node.is_connected()) node.connect();
  node.send_release(second);
  CHECK(node.decides().version == 1);
  node.restart();
  CHECK(node.decides().version == 1);
  CHECK(node.alarmed(ErrorCode::kExpired));
  node.connect();
  node.send_root(signed_by(root(2), {1}));
  node.send_release(second);
  CHECK(node.decides().version == 2);
}

TEST_CASE("a root that is about to expire is told of step by step, until a newer one comes") {
  constexpr TimeMs kDayMs = 24 * kHourMs;
  trust::Root ending = root(1);
  ending.expires_ms = samples::kIssuedMs + 40 * kDayMs;
  AgentNode node(signed_by(ending, {1}).encode());
  node.boot();
  CHECK(node.root_aged.empty());
  using Told = std::vector<trust::RootExpiry>;
  node.advance(ending.expires_ms - 30 * kDayMs - node.now.wall_ms - 1);
  CHECK(node.root_aged.empty());
  node.advance(1);
  CHECK(node.root_aged == Told{trust::RootExpiry::kSoon});
  CHECK(node.core().status().root_expires_ms == ending.expires_ms);
  CHECK_FALSE(node.alarmed(ErrorCode::kExpired));
  node.advance(23 * kDayMs);
  CHECK(node.root_aged == Told{trust::RootExpiry::kSoon, trust::RootExpiry::kUrgent});
  // A starting process logs it again.
  node.restart();
  CHECK(node.root_aged.back() == trust::RootExpiry::kUrgent);
  CHECK(node.root_aged.size() == 3);
  node.advance(7 * kDayMs);
  CHECK(node.root_aged.back() == trust::RootExpiry::kExpired);
  CHECK(node.alarmed(ErrorCode::kExpired));
  if (!node.is_connected()) node.connect();
  node.send_root(signed_by(root(2), {1}));
  CHECK(node.root_aged.back() == trust::RootExpiry::kFar);
  CHECK(node.root_aged.size() == 5);
}

TEST_CASE("a release that skips back or forks is refused") {
  const TestRelease first = long_release(), second = long_release(&first);
  AgentNode node = connected();
  node.send_release(first);
  node.send_release(second);
  CHECK(node.decides().version == 2);
  SUBCASE("older") {
    node.send_release(first);
    CHECK(node.alarmed(ErrorCode::kRollback));
  }
  SUBCASE("of another history") {
    TestRelease fork = make_release(&first, [](trust::Release& r) { r.fresh_s = 61; });
    node.send_release(make_release(&fork));
    CHECK(node.alarmed(ErrorCode::kEquivocation));
  }
  CHECK(node.decides().version == 2);
}

// --- a cold start verifies again

// Two releases, the newest attested.
AgentNode with_two(TestRelease* first_out = nullptr) {
  const TestRelease first = long_release(), second = long_release(&first);
  AgentNode node = connected();
  node.send_release(first);
  node.attest(first);
  node.send_release(second);
  node.attest(second);
  node.disconnect();
  if (first_out) *first_out = first;
  return node;
}

TEST_CASE("a release that was tampered with on the disk is not activated, and fetched whole") {
  AgentNode node = with_two();
  store::StoredLedger& stored = node.store.tampered_state().ledgers.at(kLedger);
  store::StoredRelease& newest = stored.releases.front();
  SUBCASE("its envelope") {
    Bytes bytes = newest.envelope.bytes();
    bytes[bytes.size() / 2] ^= 1;
    newest.envelope = std::move(bytes);
  }
  SUBCASE("another publisher's") {
    TestRelease first = long_release();
    const TestRelease forged = long_release(&first, 9);
    newest.envelope = forged.envelope;
    newest.ref.release_hash = forged.hash;
    stored.floor.release_hash = forged.hash;
  }
  SUBCASE("its content root") { newest.ref.content_root = sha256("other content"); }
  SUBCASE("its number") { newest.ref.version = 3; }
  SUBCASE("the floor under it, lower") { stored.floor = {1, 1, long_release().hash}; }
  SUBCASE("the floor under it, another release") { stored.floor.release_hash = sha256("other"); }
  node.restart();
  CHECK_FALSE(node.alarms.empty());
  CHECK(node.decides().version == 1);  // verified, and older
  node.connect();
  REQUIRE(node.hellos.back().wants.size() == 1);
  CHECK_FALSE(node.hellos.back().wants.front().base.has_value());
}

TEST_CASE("a statement that was tampered with vouches for nothing") {
  TestRelease first;
  AgentNode node = with_two(&first);
  Bytes& envelope = node.store.tampered_state().statements.back().envelope;
  envelope[envelope.size() - 10] ^= 1;
  node.restart();
  CHECK_FALSE(node.alarms.empty());
  CHECK(node.decides().version == 2);
  CHECK(node.ledger_status().freshness_status.vouched_ms == first.release.issued_ms);
}

TEST_CASE("a broken chain of roots is nothing to start from") {
  AgentNode node = connected();
  node.send_root(signed_by(root(2), {1}));
  node.disconnect();
  trust::Root forged = root(2);
  forged.delegations = {{"*/*", public_keys({9}), 1}};
  node.store.tampered_state().root_chain.back().envelope = signed_by(forged, {9}).encode();
  const auto booted = node.try_boot();
  REQUIRE_FALSE(booted);
  CHECK(booted.error().code == ErrorCode::kCorrupt);
}

TEST_CASE("a root of an earlier format ends the start, and says what to do") {
  AgentNode node = connected();
  node.disconnect();
  trust::Envelope former = signed_by(root(1), {1});
  former.payload_type = "application/vnd.notp.root.v1";
  SUBCASE("stored") { node.store.tampered_state().root_chain.back().envelope = former.encode(); }
  SUBCASE("pinned") { node.pin(former); }
  const auto booted = node.try_boot();
  REQUIRE_FALSE(booted);
  CHECK(booted.error().code == ErrorCode::kEnvelope);
  CHECK(booted.error().message.contains("notp root init"));
}

TEST_CASE("the pinned file and the stored chain must meet") {
  AgentNode node(pinned(2));
  node.boot();
  node.connect();
  node.send_root(signed_by(root(3), {1}));
  node.disconnect();
  SUBCASE("the file is the next one: it is walked") {
    node.pin(signed_by(root(4), {1}));
    node.restart();
    CHECK(node.core().status().root_version == 4);
    CHECK(node.store.state().root_chain.size() == 3);
  }
  SUBCASE("the file is too far ahead") {
    node.pin(signed_by(root(5), {1}));
    CHECK(node.try_boot().error().code == ErrorCode::kRootInvalid);
  }
  SUBCASE("the file is from before the chain") {
    node.pin(signed_by(root(1), {1}));
    CHECK(node.try_boot().error().code == ErrorCode::kRootInvalid);
  }
  SUBCASE("another root of the same version") {
    trust::Root other = root(3);
    other.issued_ms += 1;
    node.pin(signed_by(other, {1}));
    CHECK(node.try_boot().error().code == ErrorCode::kRootInvalid);
  }
  SUBCASE("the next one does not follow") {
    trust::Root other = root(4);
    other.root_keys = public_keys({9});
    node.pin(signed_by(other, {9}));
    CHECK(node.try_boot().error().code == ErrorCode::kSignature);
  }
}

TEST_CASE("of many releases the newest are remembered, and the one that the PDP has") {
  AgentNode node = connected();
  TestRelease release = long_release();
  node.send_release(release);
  const Hash first = release.hash;
  for (uint64_t version = 2; version < 40; ++version) {
    node.pdp_refuses.insert(version);
    release = long_release(&release);
    node.send_release(release);
  }
  CHECK(node.decides().version == 1);
  const auto& stored = node.store.state().ledgers.at(kLedger).releases;
  CHECK(stored.back().ref.release_hash == first);
  node.disconnect();
  node.connect();
  const wire::Want& want = node.hellos.back().wants.front();
  CHECK(want.base->version == 39);
  REQUIRE_FALSE(want.older.empty());
  for (const wire::Base& base : want.older)
    CHECK(std::ranges::any_of(stored, [&](const store::StoredRelease& kept) {
      return kept.ref.version == base.version;
    }));
}

TEST_CASE("a release that a root of meanwhile does not let hold what it holds is not taken") {
  const TestRelease release = make_release();
  store::StoredRelease stored;
  stored.ref = trust::ref_of(release.release, release.hash);
  stored.envelope = trust::ReleaseEnvelope(release.envelope);
  trust::Root strict = root(2);
  strict.delegations.front().content = trust::ContentRule::kKeys;
  for (const bool is_keys_only : {false, true}) {
    CAPTURE(is_keys_only);
    stored.is_keys_only = is_keys_only;
    store::StoreState state;
    auto trust = agent::AgentTrust::open({.trust_domain = std::string(samples::kDomain),
                                          .audience = samples::kNode,
                                          .ledgers = {kLedger}},
                                         pinned(), state, Now{samples::kIssuedMs, 1});
    REQUIRE(trust);
    CHECK(trust->take_release(stored));
    // It was installed under root 1, and that root 2 has come was not known then.
    REQUIRE(trust->take_root(signed_by(strict, {1}).encode()));
    const auto taken = trust->take_release(stored);
    CHECK(taken.has_value() == is_keys_only);
    if (!taken) CHECK(taken.error().code == ErrorCode::kWrongTarget);
  }
}

TEST_CASE("questions are for an open session") {
  AgentNode node(pinned());
  node.boot();
  wire::Request query;
  query.request = 7;
  query.what = wire::RenewCertificate{"request"};
  CHECK_FALSE(node.core().ask(query));
  node.connect();
  CHECK(node.core().ask(query));
  wire::Response answer;
  answer.request = 7;
  node.send(answer);
  REQUIRE(node.answers.size() == 1);
  CHECK(node.answers.front().request == 7);
}

}  // namespace
}  // namespace notp
