// Freshness statements: audience, order, and the reach of a stolen freshness key.
#include <doctest/doctest.h>

#include <functional>

#include "common/limits.hpp"
#include "protocol/trust/verify.hpp"
#include "tests/support/wire/signed_samples.hpp"

namespace {

using namespace notp;
using samples::freshness;
using samples::head_of;
using samples::key;
using samples::kIssuedMs;
using samples::kLedger;
using samples::place_of;
using samples::signed_by;
using samples::trusting;

const model::LedgerId kOrders{273165098782, "orders"};

// Has accepted statement 100, holds release 5, and has seen release 6 listed.
trust::Trusted holder() {
  trust::Trusted out = trusting(samples::tracked_root(), place_of(samples::release(5)));
  out.freshness_sequence = 100;
  out.ledgers[kLedger].listed = place_of(samples::release(6));
  return out;
}

trust::Verdict take(const Bytes& envelope, const trust::Trusted& trusted, TimeMs now_ms = kIssuedMs,
                    std::vector<model::LedgerId> expected = {kLedger}) {
  trust::Update update;
  update.freshness = envelope;
  update.expected = std::move(expected);
  return trust::verify_update(update, trusted, now_ms);
}

trust::Verdict take(const trust::Freshness& statement, const trust::Trusted& trusted = holder(),
                    TimeMs now_ms = kIssuedMs, std::vector<model::LedgerId> expected = {kLedger}) {
  return take(signed_by(statement, {7}).encode(), trusted, now_ms, std::move(expected));
}

ErrorCode code_of(const trust::Verdict& verdict) {
  REQUIRE(verdict.error);
  CHECK_FALSE(verdict.freshness);
  CHECK_FALSE(verdict.error->message.empty());
  return verdict.error->code;
}

trust::Freshness good() { return freshness(101, {head_of(samples::release(6))}); }

}  // namespace

TEST_CASE("freshness: a good statement moves sequence and listed heads, never a floor") {
  trust::Trusted trusted = holder();
  const Bytes bytes = signed_by(freshness(250, {head_of(samples::release(8))}), {7}).encode();
  const trust::Verdict verdict = take(bytes, trusted);
  REQUIRE_FALSE(verdict.error);
  REQUIRE(verdict.freshness);
  CHECK(verdict.freshness->envelope == bytes);
  trust::advance(trusted, verdict);
  CHECK(trusted.freshness_sequence == 250);
  CHECK(trusted.ledgers[kLedger].listed == place_of(samples::release(8)));
  CHECK(trusted.ledgers[kLedger].floor == place_of(samples::release(5)));
}

TEST_CASE("freshness: each refusal has its code") {
  const auto changed = [](const std::function<void(trust::Freshness&)>& change,
                          TimeMs now_ms = kIssuedMs) {
    trust::Freshness statement = good();
    change(statement);
    return code_of(take(statement, holder(), now_ms));
  };
  REQUIRE_FALSE(take(good()).error);
  CHECK(code_of(take(Bytes("junk"), holder())) == ErrorCode::kEnvelope);
  CHECK(changed([](trust::Freshness& f) { f.expires_ms = 0; }) == ErrorCode::kStatement);
  CHECK(changed([](trust::Freshness& f) {
          f.trust_domain = "other.internal";
          f.audience = "spiffe://other.internal/node/edge-1";
        }) == ErrorCode::kWrongTarget);
  CHECK(changed([](trust::Freshness& f) { f.audience += "0"; }) == ErrorCode::kWrongTarget);
  CHECK(changed([](trust::Freshness& f) { f.root_version = 2; }) == ErrorCode::kRootInvalid);
  CHECK(changed([](trust::Freshness& f) { f.sequence = 100; }) == ErrorCode::kReplay);
  CHECK(changed([](trust::Freshness& f) { f.sequence = 99; }) == ErrorCode::kReplay);
  CHECK(changed([](trust::Freshness& f) { f.heads.clear(); }) == ErrorCode::kVanished);
  CHECK(changed([](trust::Freshness& f) { f.heads[0].ledger = kOrders; }) == ErrorCode::kVanished);
  CHECK(changed([](trust::Freshness& f) { f.heads = {head_of(samples::release(4))}; }) ==
        ErrorCode::kRollback);
  CHECK(changed([](trust::Freshness& f) { f.heads = {head_of(samples::release(5))}; }) ==
        ErrorCode::kRollback);  // at the floor, but below the listed version
  CHECK(changed([](trust::Freshness& f) { f.heads[0].release_hash = sha256("twin"); }) ==
        ErrorCode::kEquivocation);
  CHECK(changed([](trust::Freshness& f) {
          f.heads[0] = {};
          f.heads[0].ledger = kLedger;
        }) == ErrorCode::kRollback);  // "has no release any more"
}

TEST_CASE("freshness: signed by the root's freshness key alone") {
  for (const uint8_t other : {1, 2, 3, 8})
    CHECK(code_of(take(signed_by(good(), {other}).encode(), holder())) == ErrorCode::kSignature);
  CHECK(code_of(take(signed_by(good(), {}).encode(), holder())) == ErrorCode::kSignature);
  trust::Trusted untracked = holder();
  untracked.root = std::make_shared<const trust::Root>(samples::root());
  CHECK(code_of(take(good(), untracked)) == ErrorCode::kSignature);
}

TEST_CASE("freshness: the freshness key cannot authorise content") {
  const Bytes release = signed_by(samples::release(6), {7}).encode();
  CHECK(samples::verify_alone(release, holder(), kIssuedMs).error().code == ErrorCode::kSignature);
}

TEST_CASE("freshness: time, to the millisecond") {
  const trust::Freshness statement = good();
  CHECK_FALSE(take(statement, holder(), statement.expires_ms - 1).error);
  CHECK(code_of(take(statement, holder(), statement.expires_ms)) == ErrorCode::kExpired);
  const TimeMs earliest = statement.issued_ms - limits::kClockSkewMs;
  CHECK_FALSE(take(statement, holder(), earliest).error);
  CHECK(code_of(take(statement, holder(), earliest - 1)) == ErrorCode::kClock);
  constexpr TimeMs kTenYears = 315'360'000'000;
  CHECK(code_of(take(statement, holder(), kIssuedMs + kTenYears)) == ErrorCode::kExpired);
  CHECK(code_of(take(statement, holder(), kIssuedMs - kTenYears)) == ErrorCode::kClock);
}

TEST_CASE("freshness: an older root in the statement is a registry that lags, not an attack") {
  trust::Trusted trusted = holder();
  trust::Root newer = samples::tracked_root();
  newer.version = 5;
  trusted.root = std::make_shared<const trust::Root>(newer);
  CHECK_FALSE(take(good(), trusted).error);
}

TEST_CASE("freshness: one bad head refuses all of the statement") {
  trust::Trusted trusted = holder();
  trust::Release order = samples::release(9);
  order.ledger = kOrders;
  trusted.ledgers[kOrders].floor = place_of(order);
  trust::Release old_order = samples::release(8);
  old_order.ledger = kOrders;
  const trust::Verdict verdict =
      take(freshness(101, {head_of(old_order), head_of(samples::release(6))}), trusted);
  CHECK(code_of(verdict) == ErrorCode::kRollback);
  trust::advance(trusted, verdict);
  CHECK(trusted.freshness_sequence == 100);
}

TEST_CASE("freshness: a ledger without a release is listed as such, until it has one") {
  trust::Trusted trusted = trusting(samples::tracked_root());
  trust::FreshHead nothing;
  nothing.ledger = kLedger;
  trust::advance(trusted, take(freshness(1, {nothing}), trusted));
  CHECK(trusted.freshness_sequence == 1);
  trust::advance(trusted, take(freshness(2, {head_of(samples::release(1))}), trusted));
  CHECK(trusted.freshness_sequence == 2);
  CHECK(code_of(take(freshness(3, {nothing}), trusted)) == ErrorCode::kRollback);
}

TEST_CASE("freshness: heads that nobody asked for are not remembered") {
  trust::Trusted trusted = holder();
  trust::Release order = samples::release(9);
  order.ledger = kOrders;
  trust::advance(trusted,
                 take(freshness(101, {head_of(order), head_of(samples::release(6))}), trusted));
  CHECK(trusted.freshness_sequence == 101);
  CHECK_FALSE(trusted.ledgers.contains(kOrders));
  // Subscribed now, without any release received: it counts from here on.
  trust::advance(trusted, take(freshness(102, {head_of(order), head_of(samples::release(6))}),
                               trusted, kIssuedMs, {kLedger, kOrders}));
  CHECK(trusted.ledgers[kOrders].listed == place_of(order));
}

TEST_CASE("freshness: a new freshness key starts sequence and listed heads anew, floors stay") {
  // A thief of the old key has used the highest sequence, to lock the node out for ever.
  trust::Trusted trusted = holder();
  trust::advance(trusted,
                 take(freshness(limits::kVersionMax, {head_of(samples::release(999))}), trusted));
  REQUIRE(trusted.freshness_sequence == limits::kVersionMax);
  CHECK(code_of(take(good(), trusted)) == ErrorCode::kReplay);

  trust::Root next = samples::tracked_root();
  next.version = 2;
  next.freshness_keys = {key(8).public_key()};
  const Bytes root = signed_by(next, {1}).encode();
  const auto recover = [&](const trust::Freshness& statement, std::initializer_list<uint8_t> keys) {
    const Bytes envelope = signed_by(statement, keys).encode();
    trust::Update update;
    update.root_chain = {root};
    update.freshness = envelope;
    update.expected = {kLedger};
    return trust::verify_update(update, trusted, kIssuedMs);
  };
  CHECK(recover(good(), {7}).error->code == ErrorCode::kSignature);
  CHECK(recover(freshness(101, {head_of(samples::release(4))}), {8}).error->code ==
        ErrorCode::kRollback);
  const trust::Verdict verdict = recover(good(), {8});
  REQUIRE_FALSE(verdict.error);
  CHECK(verdict.freshness_key_changed);
  trust::advance(trusted, verdict);
  CHECK(trusted.freshness_sequence == 101);
  CHECK(trusted.ledgers[kLedger].listed == place_of(samples::release(6)));
  CHECK(trusted.ledgers[kLedger].floor == place_of(samples::release(5)));
}

TEST_CASE("freshness: each of several keys may vouch, and one more starts nothing anew") {
  trust::Trusted trusted = holder();
  trust::Root next = samples::tracked_root();
  next.version = 2;
  next.freshness_keys = samples::public_keys({7, 8});
  const Bytes root = signed_by(next, {1}).encode();
  const auto renew = [&](uint64_t sequence, uint8_t signer) {
    const Bytes envelope =
        signed_by(freshness(sequence, {head_of(samples::release(6))}), {signer}).encode();
    trust::Update update;
    if (trusted.root->version == 1) update.root_chain = {root};
    update.freshness = envelope;
    update.expected = {kLedger};
    const trust::Verdict verdict = trust::verify_update(update, trusted, kIssuedMs);
    CHECK_FALSE(verdict.freshness_key_changed);
    if (!verdict.error) trust::advance(trusted, verdict);
    return verdict.error ? verdict.error->code : ErrorCode{};
  };
  const uint64_t last = trusted.freshness_sequence;
  CHECK(renew(last, 8) == ErrorCode::kReplay);
  CHECK(renew(last + 1, 8) == ErrorCode{});
  CHECK(renew(last + 1, 7) == ErrorCode::kReplay);
  CHECK(renew(last + 2, 7) == ErrorCode{});
  CHECK(renew(last + 3, 9) == ErrorCode::kSignature);
}

TEST_CASE("freshness: with a release in one update, the release must be the one that is listed") {
  const Bytes statement = signed_by(freshness(101, {head_of(samples::release(8))}), {7}).encode();
  trust::Release twin = samples::release(8);
  twin.content_root = sha256("other content");
  const auto offer = [&](const trust::Release& release) {
    const Bytes envelope = signed_by(release, {2}).encode();
    trust::Update update;
    update.freshness = statement;
    update.expected = {kLedger};
    update.release = envelope;
    update.release_ledger = kLedger;
    return trust::verify_update(update, holder(), kIssuedMs);
  };
  CHECK(offer(samples::release(8)).release);
  const trust::Verdict verdict = offer(twin);
  REQUIRE(verdict.error);
  CHECK(verdict.error->code == ErrorCode::kEquivocation);
  CHECK(verdict.freshness);
  CHECK_FALSE(verdict.release);
}

TEST_CASE("freshness: every check is told, in order") {
  std::vector<trust::VerifyStep> steps;
  const Bytes statement = signed_by(good(), {7}).encode();
  trust::Update update;
  update.freshness = statement;
  update.expected = {kLedger};
  CHECK_FALSE(trust::verify_update(update, holder(), kIssuedMs, &steps).error);
  std::vector<std::string_view> names;
  for (const trust::VerifyStep& step : steps) names.push_back(step.check);
  CHECK(names == std::vector<std::string_view>{
                     "root.expiry", "freshness.envelope", "freshness.signature",
                     "freshness.statement", "freshness.domain", "freshness.audience",
                     "freshness.root", "freshness.sequence", "freshness.issued", "freshness.expiry",
                     "freshness.complete", "freshness.floor", "freshness.listed"});
}
