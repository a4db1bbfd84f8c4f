// The root chain: each root is signed by the thresholds of the previous keys and of its own.
#include <doctest/doctest.h>

#include <functional>

#include "common/limits.hpp"
#include "protocol/trust/verify.hpp"
#include "tests/support/signed_samples.hpp"

namespace {

using namespace notp;
using samples::key;
using samples::kIssuedMs;
using samples::kLedger;
using samples::place_of;
using samples::signed_by;
using samples::trusting;

// Root 3 of epoch 2: two of the keys 1, 11 and 12 sign the next one.
Root trusted_root() {
  Root out = samples::tracked_root();
  out.version = 3;
  out.epoch = 2;
  out.root_keys = samples::public_keys({1, 11, 12});
  out.root_threshold = 2;
  return out;
}

Root next_root() {
  Root out = trusted_root();
  out.version = 4;
  return out;
}

Verdict walk(const std::vector<Bytes>& roots, const Trusted& trusted, TimeMs now_ms = kIssuedMs) {
  Update update;
  update.root_chain.assign(roots.begin(), roots.end());
  return verify_update(update, trusted, now_ms);
}

ErrorCode refusal(const Bytes& root) {
  const Verdict verdict = walk({root}, trusting(trusted_root()));
  REQUIRE(verdict.error);
  CHECK(verdict.root_chain.empty());
  CHECK_FALSE(verdict.error->message.empty());
  return verdict.error->code;
}

ErrorCode refusal(const Root& root) { return refusal(signed_by(root, {1, 11, 12}).encode()); }

}  // namespace

TEST_CASE("root chain: the next root becomes the trusted one, as it came") {
  const Bytes bytes = signed_by(next_root(), {1, 12}).encode();
  Trusted trusted = trusting(trusted_root());
  const Verdict verdict = walk({bytes}, trusted);
  REQUIRE_FALSE(verdict.error);
  REQUIRE(verdict.root_chain.size() == 1);
  CHECK(verdict.root_chain[0].envelope == bytes);
  CHECK_FALSE(verdict.freshness_key_changed);
  advance(trusted, verdict);
  CHECK(trusted.root->version == 4);
  CHECK(trusted.root == verdict.root_chain[0].root);
}

TEST_CASE("root chain: threshold of the old and of the new keys") {
  Root next = next_root();
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
    Envelope envelope = signed_by(next, {1});
    envelope.signatures.push_back({envelope.signatures[0].signature, key(11).public_key().keyid()});
    const Verdict verdict = walk({envelope.encode()}, trusting(trusted_root()));
    CHECK(verdict.error->code == ErrorCode::kSignature);
  }
  SUBCASE("a publisher's or the freshness key is no root key") {
    CHECK(with({1, 2, 3, 7}).error->code == ErrorCode::kSignature);
  }
}

TEST_CASE("root chain: replays, gaps, foreign domains and falling epochs are refused") {
  const auto changed = [](const std::function<void(Root&)>& change) {
    Root out = next_root();
    change(out);
    return refusal(out);
  };
  CHECK(refusal(trusted_root()) == ErrorCode::kRollback);
  CHECK(changed([](Root& r) { r.version = 2; }) == ErrorCode::kRollback);
  CHECK(changed([](Root& r) { r.version = 5; }) == ErrorCode::kRootInvalid);
  CHECK(changed([](Root& r) { r.trust_domain = "other.internal"; }) == ErrorCode::kWrongTarget);
  CHECK(changed([](Root& r) { r.epoch = 1; }) == ErrorCode::kRollback);
  CHECK(changed([](Root& r) { r.delegations.push_back(r.delegations[0]); }) ==
        ErrorCode::kRootInvalid);
  CHECK(changed([](Root& r) { r.root_threshold = 4; }) == ErrorCode::kStatement);
  CHECK(refusal("junk") == ErrorCode::kEnvelope);
  CHECK(refusal(signed_by(samples::release(), {1, 11}).encode()) == ErrorCode::kEnvelope);
}

TEST_CASE("root chain: what stood before the bad one is kept") {
  Root fourth = next_root();
  fourth.root_keys = samples::public_keys({21, 22, 23});
  Root fifth = fourth;
  fifth.version = 5;
  fifth.epoch = 9;
  Root sixth = fifth;
  sixth.version = 6;
  sixth.epoch = 8;
  const std::vector<Bytes> chain = {signed_by(fourth, {1, 11, 21, 22}).encode(),
                                    signed_by(fifth, {22, 23}).encode(),
                                    signed_by(sixth, {22, 23}).encode()};
  Trusted trusted = trusting(trusted_root());
  const Verdict verdict = walk(chain, trusted);
  REQUIRE(verdict.error);
  CHECK(verdict.error->code == ErrorCode::kRollback);
  REQUIRE(verdict.root_chain.size() == 2);
  advance(trusted, verdict);
  CHECK(trusted.root->version == 5);
  CHECK(trusted.root->epoch == 9);
  // The old keys are useless now.
  Root forged = fifth;
  forged.version = 6;
  CHECK(walk({signed_by(forged, {1, 11, 12}).encode()}, trusted).error->code ==
        ErrorCode::kSignature);
}

TEST_CASE("root chain: an expired root may be walked over but not stood on") {
  Root fourth = next_root();
  fourth.expires_ms = kIssuedMs + 1000;
  Root fifth = next_root();
  fifth.version = 5;
  const Bytes fourth_bytes = signed_by(fourth, {1, 11}).encode();
  const Bytes fifth_bytes = signed_by(fifth, {1, 11}).encode();
  const Bytes release = signed_by(samples::release(), {2}).encode();
  Update update;
  update.root_chain = {fourth_bytes};
  update.release = release;
  update.release_ledger = kLedger;
  const Trusted trusted = trusting(trusted_root());
  CHECK_FALSE(verify_update(update, trusted, kIssuedMs + 999).error);
  const Verdict late = verify_update(update, trusted, kIssuedMs + 1000);
  REQUIRE(late.error);
  CHECK(late.error->code == ErrorCode::kExpired);
  CHECK(late.root_chain.size() == 1);
  CHECK_FALSE(late.release);
  update.root_chain = {fourth_bytes, fifth_bytes};
  CHECK_FALSE(verify_update(update, trusted, kIssuedMs + 1000).error);
}

TEST_CASE("root chain: a key that the newest root took away publishes no more") {
  Root fourth = next_root();
  fourth.delegations[0].keys = samples::public_keys({3, 4});
  const Bytes root_bytes = signed_by(fourth, {1, 11}).encode();
  const auto offer = [&](uint8_t publisher) {
    const Bytes release = signed_by(samples::release(), {publisher}).encode();
    Update update;
    update.root_chain = {root_bytes};
    update.release = release;
    update.release_ledger = kLedger;
    return verify_update(update, trusting(trusted_root()), kIssuedMs);
  };
  CHECK(offer(2).error->code == ErrorCode::kSignature);
  CHECK_FALSE(offer(3).error);
  CHECK_FALSE(offer(4).error);
}

TEST_CASE("root chain: a higher epoch lets publishers sign above a floor that ran away") {
  Release runaway = samples::release(limits::kVersionMax);
  runaway.epoch = 2;
  Trusted trusted = trusting(trusted_root(), place_of(runaway));
  Release recovery = samples::release(6);
  recovery.epoch = 3;
  const Bytes release = signed_by(recovery, {2}).encode();
  CHECK(samples::verify_alone(release, trusted, kIssuedMs).error().code == ErrorCode::kWrongTarget);
  Root fourth = next_root();
  fourth.epoch = 3;
  advance(trusted, walk({signed_by(fourth, {1, 11}).encode()}, trusted));
  CHECK(samples::verify_alone(release, trusted, kIssuedMs));
}

TEST_CASE("root chain: not more steps at once than the limit") {
  const Bytes bytes = signed_by(next_root(), {1, 11}).encode();
  const Verdict verdict =
      walk(std::vector<Bytes>(limits::kRootStepsMax + 1, bytes), trusting(trusted_root()));
  REQUIRE(verdict.error);
  CHECK(verdict.error->code == ErrorCode::kLimit);
  CHECK(verdict.root_chain.empty());
}
