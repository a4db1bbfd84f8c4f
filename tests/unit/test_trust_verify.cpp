// verify_update(): pinned roots and releases. Later roots and freshness have separate files.
#include <doctest/doctest.h>

#include <algorithm>
#include <functional>

#include "common/limits.hpp"
#include "protocol/trust/verify.hpp"
#include "tests/support/wire/signed_samples.hpp"

namespace {

using namespace notp;
using samples::key;
using samples::kIssuedMs;
using samples::kLedger;
using samples::place_of;
using samples::signed_by;
using samples::trusting;
using samples::verify_alone;

template <typename T>
ErrorCode code_of(const Result<T>& result) {
  REQUIRE_FALSE(result.has_value());
  CHECK_FALSE(result.error().message.empty());
  return result.error().code;
}

Result<trust::VerifiedRelease> verify(const trust::Release& release,
                                      const trust::Root& root = samples::root(),
                                      const trust::Floor& floor = {}, TimeMs now_ms = kIssuedMs) {
  return verify_alone(signed_by(release, {2}).encode(), trusting(root, floor), now_ms);
}

}  // namespace

TEST_CASE("pinned root: accepted, and each refusal has its code") {
  const trust::Root good = samples::root();
  const auto check = [](const trust::Envelope& envelope,
                        std::string_view domain = samples::kDomain) {
    return trust::verify_pinned_root(envelope.encode(), domain);
  };
  REQUIRE(check(signed_by(good, {1})));
  CHECK(code_of(trust::verify_pinned_root("junk", samples::kDomain)) == ErrorCode::kEnvelope);
  CHECK(code_of(check(signed_by(samples::release(), {1}))) == ErrorCode::kEnvelope);
  CHECK(code_of(check(signed_by(good, {1}), "other.internal")) == ErrorCode::kWrongTarget);
  CHECK(code_of(check(signed_by(good, {}))) == ErrorCode::kSignature);
  CHECK(code_of(check(signed_by(good, {2}))) == ErrorCode::kSignature);
  trust::Root broken = good;
  broken.version = 0;
  CHECK(code_of(check(signed_by(broken, {1}))) == ErrorCode::kStatement);
  trust::Root two_of_two = good;
  two_of_two.root_keys = samples::public_keys({1, 9});
  two_of_two.root_threshold = 2;
  CHECK(code_of(check(signed_by(two_of_two, {1}))) == ErrorCode::kSignature);
  REQUIRE(check(signed_by(two_of_two, {1, 9})));
  trust::Root shadowed = good;
  shadowed.delegations.push_back(shadowed.delegations[0]);
  CHECK(code_of(check(signed_by(shadowed, {1}))) == ErrorCode::kRootInvalid);
}

TEST_CASE("verify: a good release gives its statement, hash and envelope as they came") {
  const trust::Envelope envelope = signed_by(samples::release(7), {3});
  const auto verified = verify_alone(envelope.encode(), trusting(samples::root()), kIssuedMs);
  REQUIRE(verified);
  CHECK(verified->release().version == 7);
  CHECK(verified->ref.release_hash == trust::release_hash(envelope.payload));
  CHECK(verified->envelope == envelope.encode());
}

TEST_CASE("an envelope is read in two steps, and a part that is read is not parsed again") {
  const Bytes bytes = signed_by(samples::release(7), {3}).encode();
  trust::ReleaseEnvelope envelope(bytes);
  CHECK_FALSE(envelope.is_open());
  REQUIRE(envelope.open());
  CHECK_FALSE(envelope.is_read());
  const trust::ReleaseEnvelope open = envelope;
  REQUIRE(envelope.read());
  CHECK_FALSE(open.is_read());
  CHECK(&open.envelope() == &envelope.envelope());
  CHECK(envelope.hash() == trust::release_hash(envelope.envelope().payload));
  CHECK(envelope == bytes);
  CHECK(envelope.open());
  CHECK(envelope.read());
  CHECK(&open.envelope() == &envelope.envelope());

  // What is verified is what was read before.
  const auto verified = verify_alone(envelope, trusting(samples::root()), kIssuedMs);
  REQUIRE(verified);
  CHECK(&verified->release() == &envelope.release());
  const auto waiting =
      trust::verify_waiting(envelope, kLedger, trusting(samples::root()), kIssuedMs);
  REQUIRE(waiting);
  CHECK(&waiting->release() == &envelope.release());

  // A statement that was read is verified all the same.
  CHECK(code_of(verify_alone(envelope, trusting(samples::root(), place_of(samples::release(9))),
                             kIssuedMs)) == ErrorCode::kRollback);
  trust::ReleaseEnvelope unsigned_one(signed_by(samples::release(7), {}).encode());
  REQUIRE(unsigned_one.open());
  REQUIRE(unsigned_one.read());
  CHECK(code_of(verify_alone(unsigned_one, trusting(samples::root()), kIssuedMs)) ==
        ErrorCode::kSignature);
}

TEST_CASE("an envelope that cannot be read stays as it is") {
  for (trust::ReleaseEnvelope envelope :
       {trust::ReleaseEnvelope(), trust::ReleaseEnvelope(Bytes("no envelope")),
        trust::ReleaseEnvelope(signed_by(samples::root(), {1}).encode())}) {
    const Bytes bytes = envelope.bytes();
    CHECK(envelope.open().error().code == ErrorCode::kEnvelope);
    CHECK_FALSE(envelope.is_open());
    CHECK(envelope == bytes);
  }
  trust::Release malformed = samples::release();
  malformed.fresh_s = 0;
  trust::ReleaseEnvelope envelope(signed_by(malformed, {3}).encode());
  REQUIRE(envelope.open());
  CHECK(envelope.read().error().code == ErrorCode::kStatement);
  CHECK_FALSE(envelope.is_read());
}

// Each row breaks one more rule than the row below it: the earliest check must decide.
TEST_CASE("verify: the order of checks") {
  const trust::Floor floor = place_of(samples::release(9));
  const TimeMs late = kIssuedMs + 10'000;

  trust::Release low = samples::release(8);  // below the floor
  trust::Release expired = low;              // and expired
  expired.expires_ms = late;
  trust::Release foreign = expired;  // and of another ledger
  foreign.ledger.name = "orders";
  trust::Release malformed = foreign;  // and with a field out of range
  malformed.fresh_s = 0;
  const trust::Envelope unsigned_one = signed_by(malformed, {});
  trust::Envelope wrong_type = unsigned_one;
  wrong_type.payload_type = trust::kRootType;

  const auto code = [&](const trust::Envelope& envelope) {
    return code_of(verify_alone(envelope.encode(), trusting(samples::root(), floor), late));
  };
  CHECK(code(wrong_type) == ErrorCode::kEnvelope);
  CHECK(code(unsigned_one) == ErrorCode::kSignature);
  CHECK(code(signed_by(malformed, {2})) == ErrorCode::kStatement);
  CHECK(code(signed_by(foreign, {2})) == ErrorCode::kWrongTarget);
  CHECK(code(signed_by(expired, {2})) == ErrorCode::kExpired);
  CHECK(code(signed_by(low, {2})) == ErrorCode::kRollback);
}

TEST_CASE("verify: signatures") {
  const trust::Release release = samples::release();
  trust::Root root = samples::root();
  const auto verify_with = [&](std::initializer_list<uint8_t> keys) {
    return verify_alone(signed_by(release, keys).encode(), trusting(root), kIssuedMs);
  };
  SUBCASE("a root key may not publish") {
    CHECK(code_of(verify_with({1})) == ErrorCode::kSignature);
  }
  SUBCASE("below the threshold") {
    root.delegations[0].threshold = 2;
    CHECK(code_of(verify_with({2})) == ErrorCode::kSignature);
    CHECK(verify_with({2, 3}));
  }
  SUBCASE("keys of another delegation") {
    root.delegations = {{"*/orders", samples::public_keys({2}), 1},
                        {"*/payments", samples::public_keys({3}), 1}};
    CHECK(code_of(verify_with({2})) == ErrorCode::kSignature);
  }
  SUBCASE("nobody may publish it") {
    root.delegations[0].pattern = "*/orders";
    CHECK(code_of(verify_with({2})) == ErrorCode::kSignature);
  }
  SUBCASE("a root statement in a release's place, though the key may sign both") {
    root.delegations[0].keys = samples::public_keys({1});
    const Bytes replayed = signed_by(samples::root(), {1}).encode();
    CHECK(code_of(verify_alone(replayed, trusting(root), kIssuedMs)) == ErrorCode::kEnvelope);
  }
}

TEST_CASE("verify: target") {
  const auto with = [](const std::function<void(trust::Release&)>& change) {
    trust::Release release = samples::release();
    change(release);
    return verify(release);
  };
  CHECK(code_of(with([](trust::Release& r) { r.trust_domain = "other.internal"; })) ==
        ErrorCode::kWrongTarget);
  CHECK(code_of(with([](trust::Release& r) { r.ledger.zone += 1; })) == ErrorCode::kWrongTarget);
  CHECK(code_of(with([](trust::Release& r) { r.ledger.name = "orders"; })) ==
        ErrorCode::kWrongTarget);
  CHECK(code_of(with([](trust::Release& r) { r.epoch = 2; })) == ErrorCode::kWrongTarget);
  CHECK(with([](trust::Release& r) { r.epoch = 0; }));
}

TEST_CASE("verify: expiry of release and root, to the millisecond") {
  trust::Release release = samples::release();
  release.expires_ms = kIssuedMs + 1000;
  CHECK(verify(release, samples::root(), {}, kIssuedMs + 999));
  CHECK(code_of(verify(release, samples::root(), {}, kIssuedMs + 1000)) == ErrorCode::kExpired);
  CHECK(code_of(verify(release, samples::root(), {}, kIssuedMs + 315'360'000'000)) ==
        ErrorCode::kExpired);
  trust::Root root = samples::root();
  root.expires_ms = kIssuedMs + 1000;
  CHECK(verify(samples::release(), root, {}, kIssuedMs + 999));
  CHECK(code_of(verify(samples::release(), root, {}, kIssuedMs + 1000)) == ErrorCode::kExpired);
  // Without an expiry a clock that is years off changes nothing.
  for (const TimeMs years : {-315'360'000'000, 315'360'000'000})
    CHECK(verify(samples::release(), samples::root(), {}, kIssuedMs + years));
}

TEST_CASE("verify: floor") {
  trust::Root root = samples::root();
  root.epoch = 3;
  trust::Release known = samples::release(5);
  known.epoch = 2;
  const trust::Floor floor = place_of(known);
  const auto offer = [&](uint64_t epoch, uint64_t version) {
    trust::Release release = samples::release(version);
    release.epoch = epoch;
    if (epoch == 2 && version == 6) release.previous_hash = floor.release_hash;
    return verify(epoch == 2 && version == 5 ? known : release, root, floor);
  };
  CHECK(offer(2, 5));
  CHECK(offer(2, 6));
  CHECK(offer(3, 1));
  CHECK(code_of(offer(2, 4)) == ErrorCode::kRollback);
  CHECK(code_of(offer(1, 6)) == ErrorCode::kRollback);
  CHECK(code_of(offer(1, limits::kVersionMax)) == ErrorCode::kRollback);
  trust::Release twin = known;
  twin.issued_ms += 1;
  CHECK(code_of(verify(twin, root, floor)) == ErrorCode::kEquivocation);
}

TEST_CASE("verify: no byte of an envelope can change unnoticed") {
  const Bytes good = signed_by(samples::release(3), {2}).encode();
  const trust::Trusted trusted = trusting(samples::root());
  const auto original = verify_alone(good, trusted, kIssuedMs);
  REQUIRE(original);
  for (size_t i = 0; i < good.size(); ++i) {
    CAPTURE(i);
    for (const int bit : {0, 3, 7}) {
      Bytes changed = good;
      changed[i] = static_cast<char>(changed[i] ^ 1 << bit);
      const auto verified = verify_alone(changed, trusted, kIssuedMs);
      // Only the key id, a hint, is not covered by the signature.
      if (verified) CHECK(verified->ref.release_hash == original->ref.release_hash);
    }
    CHECK_FALSE(verify_alone(good.substr(0, i), trusted, kIssuedMs));
  }
}

TEST_CASE("verify: a release that follows the floor names it as the one before") {
  const trust::Release known = samples::release(5);
  trust::Release next = samples::release(6);
  next.previous_hash = place_of(known).release_hash;
  CHECK(verify(next, samples::root(), place_of(known)));
  next.previous_hash = sha256("another release 5");
  CHECK(code_of(verify(next, samples::root(), place_of(known))) == ErrorCode::kEquivocation);
  // A node that was away skips releases, and does not know those in between.
  CHECK(verify(samples::release(7), samples::root(), place_of(known)));
}

TEST_CASE("verify: a twin of the head that the registry vouched for is refused") {
  const trust::Release head = samples::release(6);
  trust::Trusted trusted = trusting(samples::root());
  trusted.ledgers[kLedger].listed = place_of(head);
  const auto offer = [&](const trust::Release& release) {
    return verify_alone(signed_by(release, {2}).encode(), trusted, kIssuedMs);
  };
  CHECK(offer(head));
  CHECK(offer(samples::release(5)));
  CHECK(offer(samples::release(7)));
  trust::Release twin = head;
  twin.content_root = sha256("other content");
  CHECK(code_of(offer(twin)) == ErrorCode::kEquivocation);
}

TEST_CASE("verify: every check is told, in order, the failed one last") {
  std::vector<trust::VerifyStep> steps;
  const auto names = [&] {
    std::vector<std::string_view> out;
    for (const trust::VerifyStep& step : steps) {
      CAPTURE(step.check);
      CHECK_FALSE(step.detail.empty());
      CHECK(step.passed == (&step != &steps.back() || step.check == "release.previous"));
      out.push_back(step.check);
    }
    return out;
  };
  const Bytes good = signed_by(samples::release(2), {2}).encode();
  trust::Update update;
  update.release = good;
  update.release_ledger = kLedger;
  trust::Trusted trusted = trusting(samples::root());
  CHECK_FALSE(trust::verify_update(update, trusted, kIssuedMs, &steps).error);
  CHECK(names() == std::vector<std::string_view>{
                       "root.expiry", "release.envelope", "release.threshold", "release.statement",
                       "release.target", "release.data_roots", "release.epoch", "release.expiry",
                       "release.floor", "release.listed", "release.previous"});
  steps.clear();
  trusted.ledgers[kLedger].floor = place_of(samples::release(3));
  CHECK(trust::verify_update(update, trusted, kIssuedMs, &steps).error);
  CHECK(names().back() == "release.floor");

  steps.clear();
  CHECK(trust::verify_pinned_root(signed_by(samples::root(), {1}).encode(), samples::kDomain,
                                  &steps));
  REQUIRE(steps.size() == 5);
  CHECK(steps.back().check == "root.patterns");
  CHECK(steps.back().passed);
}

TEST_CASE("a delegation's keys sign nothing that owns other data roots") {
  trust::Root root = samples::root();
  root.delegations.front().data_roots = {"orders", "payments/*"};
  const auto verdict_of = [&](std::vector<std::string> owned) {
    trust::Release release = samples::release(1);
    std::ranges::sort(owned);
    release.data_roots = std::move(owned);
    const Bytes envelope = signed_by(release, {2}).encode();
    trust::Update update;
    update.release = envelope;
    update.release_ledger = kLedger;
    const trust::Trusted trusted = trusting(root);
    const auto waiting = trust::verify_waiting(envelope, kLedger, trusted, kIssuedMs);
    const auto error = trust::verify_update(update, trusted, kIssuedMs).error;
    CHECK(waiting.has_value() == !error);
    return error ? error->code : ErrorCode{};
  };
  CHECK(verdict_of({"orders"}) == ErrorCode{});
  CHECK(verdict_of({"orders/eu", "payments/cards"}) == ErrorCode{});
  for (const char* other : {"payments", "orderss", "a", "payment/cards", "keys/acme"})
    CHECK_MESSAGE(verdict_of({"orders", other}) == ErrorCode::kWrongTarget, other);
}

TEST_CASE("advance: a floor never goes down") {
  trust::Trusted trusted = trusting(samples::root());
  const trust::Floor high{2, 1, sha256("high")}, low{1, 9, sha256("low")};
  trust::advance_floor(trusted, kLedger, high);
  trust::advance_floor(trusted, kLedger, low);
  CHECK(trusted.ledgers[kLedger].floor == high);
}
