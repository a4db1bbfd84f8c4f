// The root chain: each root is signed by the thresholds of the previous keys and of its own.
#include <doctest/doctest.h>

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

// Root 3 of epoch 2: two of the keys 1, 11 and 12 sign the next one.
trust::Root trusted_root() {
  trust::Root out = samples::tracked_root();
  out.version = 3;
  out.epoch = 2;
  out.root_keys = samples::public_keys({1, 11, 12});
  out.root_threshold = 2;
  return out;
}

trust::Root next_root() {
  trust::Root out = trusted_root();
  out.version = 4;
  return out;
}

trust::Verdict walk(const std::vector<Bytes>& roots, const trust::Trusted& trusted,
                    TimeMs now_ms = kIssuedMs) {
  trust::Update update;
  update.root_chain.assign(roots.begin(), roots.end());
  return trust::verify_update(update, trusted, now_ms);
}

ErrorCode refusal(const Bytes& root) {
  const trust::Verdict verdict = walk({root}, trusting(trusted_root()));
  REQUIRE(verdict.error);
  CHECK(verdict.root_chain.empty());
  CHECK_FALSE(verdict.error->message.empty());
  return verdict.error->code;
}

ErrorCode refusal(const trust::Root& root) {
  return refusal(signed_by(root, {1, 11, 12}).encode());
}

}  // namespace

TEST_CASE("root chain: the next root becomes the trusted one, as it came") {
  const Bytes bytes = signed_by(next_root(), {1, 12}).encode();
  trust::Trusted trusted = trusting(trusted_root());
  const trust::Verdict verdict = walk({bytes}, trusted);
  REQUIRE_FALSE(verdict.error);
  REQUIRE(verdict.root_chain.size() == 1);
  CHECK(verdict.root_chain[0].envelope == bytes);
  CHECK_FALSE(verdict.freshness_key_changed);
  trust::advance(trusted, verdict);
  CHECK(trusted.root->version == 4);
  CHECK(trusted.root == verdict.root_chain[0].root);
}

TEST_CASE("root chain: threshold of the old and of the new keys") {
  trust::Root next = next_root();
  const auto with = [&](std::initializer_list<uint8_t> keys) {
    return walk({signed_by(next, keys).encode()}, trusting(trusted_root()));
  };
  SUBCASE("below the threshold of both") { CHECK(with({1}).error->code == ErrorCode::kSignature); }
  SUBCASE("all keys are new: two of the old and all of the new must sign") {
    next.root_keys = samples::public_keys({21, 22});
    CHECK_FALSE(with({1, 11, 21, 22}).error);
    CHECK(with({21, 22}).error->code == ErrorCode::kSignature);
    CHECK(with({1, 11}).error->code == ErrorCode::kSignature);
    CHECK(with({1, 21, 22}).error->code == ErrorCode::kSignature);
    CHECK(with({1, 11, 21}).error->code == ErrorCode::kSignature);
  }
  SUBCASE("a higher threshold counts for the root that sets it") {
    next.root_threshold = 3;
    CHECK(with({1, 11}).error->code == ErrorCode::kSignature);
    CHECK_FALSE(with({1, 11, 12}).error);
  }
  SUBCASE("a lower threshold does not count for the root that sets it") {
    next.root_threshold = 1;
    CHECK(with({1}).error->code == ErrorCode::kSignature);
    CHECK_FALSE(with({1, 11}).error);
  }
  SUBCASE("one key under two key ids is one signer") {
    trust::Envelope envelope = signed_by(next, {1});
    envelope.signatures.push_back({envelope.signatures[0].signature, key(11).public_key().keyid()});
    const trust::Verdict verdict = walk({envelope.encode()}, trusting(trusted_root()));
    CHECK(verdict.error->code == ErrorCode::kSignature);
  }
  SUBCASE("a publisher's or the freshness key is no root key") {
    CHECK(with({1, 2, 3, 7}).error->code == ErrorCode::kSignature);
  }
}

TEST_CASE(
    "root chain: a lane key comes, changes and goes; a root from the future changes nothing") {
  const auto with_lane = [](uint64_t version, std::optional<uint8_t> number) {
    trust::Root out = next_root();
    out.version = version;
    if (number) out.lane_key = key(*number).public_key();
    return signed_by(out, {1, 11}).encode();
  };
  trust::Trusted trusted = trusting(trusted_root());
  const trust::Verdict verdict =
      walk({with_lane(4, 8), with_lane(5, 9), with_lane(6, std::nullopt)}, trusted);
  REQUIRE_FALSE(verdict.error);
  REQUIRE(verdict.root_chain.size() == 3);
  CHECK(verdict.root_chain[0].root->lane_key == key(8).public_key());
  CHECK(verdict.root_chain[1].root->lane_key == key(9).public_key());
  CHECK_FALSE(verdict.root_chain[2].root->lane_key);
  // It signs no freshness: what was heard stays.
  CHECK_FALSE(verdict.freshness_key_changed);

  // As a program from before lane keys does with theirs: what it walked before stays.
  trust::Root future = next_root();
  future.version = 5;
  future.audit_key = key(9).public_key();
  const trust::Verdict cut = walk({with_lane(4, 8), signed_by(future, {1, 11}).encode()}, trusted);
  REQUIRE(cut.error);
  CHECK(cut.error->code == ErrorCode::kStatement);
  REQUIRE(cut.root_chain.size() == 1);
  trust::advance(trusted, cut);
  CHECK(trusted.root->version == 4);
}

TEST_CASE("root chain: replays, gaps, foreign domains and falling epochs are refused") {
  const auto changed = [](const std::function<void(trust::Root&)>& change) {
    trust::Root out = next_root();
    change(out);
    return refusal(out);
  };
  CHECK(refusal(trusted_root()) == ErrorCode::kRollback);
  CHECK(changed([](trust::Root& r) { r.version = 2; }) == ErrorCode::kRollback);
  CHECK(changed([](trust::Root& r) { r.version = 5; }) == ErrorCode::kRootInvalid);
  CHECK(changed([](trust::Root& r) { r.trust_domain = "other.internal"; }) ==
        ErrorCode::kWrongTarget);
  CHECK(changed([](trust::Root& r) { r.epoch = 1; }) == ErrorCode::kRollback);
  CHECK(changed([](trust::Root& r) { r.delegations.push_back(r.delegations[0]); }) ==
        ErrorCode::kRootInvalid);
  CHECK(changed([](trust::Root& r) { r.root_threshold = 4; }) == ErrorCode::kStatement);
  CHECK(refusal("junk") == ErrorCode::kEnvelope);
  CHECK(refusal(signed_by(samples::release(), {1, 11}).encode()) == ErrorCode::kEnvelope);
}

TEST_CASE("root chain: what stood before the bad one is kept") {
  trust::Root fourth = next_root();
  fourth.root_keys = samples::public_keys({21, 22, 23});
  trust::Root fifth = fourth;
  fifth.version = 5;
  fifth.epoch = 9;
  trust::Root sixth = fifth;
  sixth.version = 6;
  sixth.epoch = 8;
  const std::vector<Bytes> chain = {signed_by(fourth, {1, 11, 21, 22}).encode(),
                                    signed_by(fifth, {22, 23}).encode(),
                                    signed_by(sixth, {22, 23}).encode()};
  trust::Trusted trusted = trusting(trusted_root());
  const trust::Verdict verdict = walk(chain, trusted);
  REQUIRE(verdict.error);
  CHECK(verdict.error->code == ErrorCode::kRollback);
  REQUIRE(verdict.root_chain.size() == 2);
  trust::advance(trusted, verdict);
  CHECK(trusted.root->version == 5);
  CHECK(trusted.root->epoch == 9);
  // The old keys are useless now.
  trust::Root forged = fifth;
  forged.version = 6;
  CHECK(walk({signed_by(forged, {1, 11, 12}).encode()}, trusted).error->code ==
        ErrorCode::kSignature);
}

TEST_CASE("root chain: an expired root may be walked over but not stood on") {
  trust::Root fourth = next_root();
  fourth.expires_ms = kIssuedMs + 1000;
  trust::Root fifth = next_root();
  fifth.version = 5;
  const Bytes fourth_bytes = signed_by(fourth, {1, 11}).encode();
  const Bytes fifth_bytes = signed_by(fifth, {1, 11}).encode();
  const Bytes release = signed_by(samples::release(), {2}).encode();
  trust::Update update;
  update.root_chain = {fourth_bytes};
  update.release = release;
  update.release_ledger = kLedger;
  const trust::Trusted trusted = trusting(trusted_root());
  CHECK_FALSE(trust::verify_update(update, trusted, kIssuedMs + 999).error);
  const trust::Verdict late = trust::verify_update(update, trusted, kIssuedMs + 1000);
  REQUIRE(late.error);
  CHECK(late.error->code == ErrorCode::kExpired);
  CHECK(late.root_chain.size() == 1);
  CHECK_FALSE(late.release);
  update.root_chain = {fourth_bytes, fifth_bytes};
  CHECK_FALSE(trust::verify_update(update, trusted, kIssuedMs + 1000).error);
}

TEST_CASE("root chain: a key that the newest root took away publishes no more") {
  trust::Root fourth = next_root();
  fourth.delegations[0].keys = samples::public_keys({3, 4});
  const Bytes root_bytes = signed_by(fourth, {1, 11}).encode();
  const auto offer = [&](uint8_t publisher) {
    const Bytes release = signed_by(samples::release(), {publisher}).encode();
    trust::Update update;
    update.root_chain = {root_bytes};
    update.release = release;
    update.release_ledger = kLedger;
    return trust::verify_update(update, trusting(trusted_root()), kIssuedMs);
  };
  CHECK(offer(2).error->code == ErrorCode::kSignature);
  CHECK_FALSE(offer(3).error);
  CHECK_FALSE(offer(4).error);
}

TEST_CASE("root chain: a higher epoch lets publishers sign above a floor that ran away") {
  trust::Release runaway = samples::release(limits::kVersionMax);
  runaway.epoch = 2;
  trust::Trusted trusted = trusting(trusted_root(), place_of(runaway));
  trust::Release recovery = samples::release(6);
  recovery.epoch = 3;
  const Bytes release = signed_by(recovery, {2}).encode();
  CHECK(samples::verify_alone(release, trusted, kIssuedMs).error().code == ErrorCode::kWrongTarget);
  trust::Root fourth = next_root();
  fourth.epoch = 3;
  trust::advance(trusted, walk({signed_by(fourth, {1, 11}).encode()}, trusted));
  CHECK(samples::verify_alone(release, trusted, kIssuedMs));
}

TEST_CASE("root chain: not more steps at once than the limit") {
  const Bytes bytes = signed_by(next_root(), {1, 11}).encode();
  const trust::Verdict verdict =
      walk(std::vector<Bytes>(limits::kRootStepsMax + 1, bytes), trusting(trusted_root()));
  REQUIRE(verdict.error);
  CHECK(verdict.error->code == ErrorCode::kLimit);
  CHECK(verdict.root_chain.empty());
}
