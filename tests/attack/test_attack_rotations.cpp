// Sequences of roots and their signatures, by the names of the TUF conformance suite
// (test_updater_key_rotations): a root is valid with the thresholds of the previous keys and of its
// own, whatever other signatures it has.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>
#include <vector>

#include "tests/attack/domain.hpp"
#include "tests/support/registry/model_samples.hpp"

namespace notp::attack {
namespace {

using Numbers = std::vector<uint8_t>;

struct Step {
  Numbers keys;
  uint32_t threshold;
  Numbers signers;
};

struct Rotation {
  std::string_view name;
  std::vector<Step> steps;
  bool accepted = true;  // of the last step; earlier steps always are
};

// Key n of a case is key 100 + n, which is not one of the domain's.
uint8_t numbered(uint8_t n) { return static_cast<uint8_t>(100 + n); }

std::vector<PublicKey> public_keys(const Numbers& numbers) {
  std::vector<PublicKey> out;
  for (const uint8_t number : numbers) out.push_back(key(numbered(number)).public_key());
  return out;
}

Numbers signer_keys(const Numbers& numbers) {
  Numbers out;
  for (const uint8_t number : numbers) out.push_back(numbered(number));
  return out;
}

trust::Root root_of(const Step& step, uint64_t version) {
  trust::Root root;
  root.trust_domain = kDomain;
  root.version = version;
  root.epoch = 1;
  root.issued_ms = kStartMs;
  root.root_keys = public_keys(step.keys);
  root.root_threshold = step.threshold;
  return root;
}

const std::vector<Rotation> kRootRotations = {
    {"1-of-1-key-rotation", {{{1}, 1, {1}}, {{2}, 1, {2, 1}}, {{2}, 1, {2}}}},
    {"1-of-1-key-rotation-unused-signatures",
     {{{1}, 1, {3, 1, 4}}, {{2}, 1, {3, 2, 1, 4}}, {{2}, 1, {3, 2, 4}}}},
    {"3-of-5-sign-with-different-keycombos",
     {{{0, 1, 2, 3, 4}, 3, {0, 2, 4}},
      {{0, 1, 2, 3, 4}, 3, {0, 4, 1}},
      {{0, 1, 2, 3, 4}, 3, {0, 1, 3}},
      {{0, 1, 2, 3, 4}, 3, {0, 1, 3}}}},
    {"3-of-5-one-key-rotated", {{{0, 1, 2, 3, 4}, 3, {0, 2, 4}}, {{0, 1, 3, 4, 5}, 3, {0, 4, 1}}}},
    {"3-of-5-one-key-rotated-with-intermediate-step",
     {{{0, 1, 2, 3, 4}, 3, {0, 2, 4}},
      {{0, 1, 3, 4, 5}, 3, {0, 2, 4, 5}},
      {{0, 1, 3, 4, 5}, 3, {0, 4, 5}}}},
    {"3-of-5-all-keys-rotated-with-intermediate-step",
     {{{0, 1, 2, 3, 4}, 3, {0, 2, 4}},
      {{5, 6, 7, 8, 9}, 3, {0, 2, 4, 5, 6, 7}},
      {{5, 6, 7, 8, 9}, 3, {5, 6, 7}}}},
    {"1-of-3-threshold-increase-to-2-of-3", {{{1, 2, 3}, 1, {1}}, {{1, 2, 3}, 2, {1, 2}}}},
    {"2-of-3-threshold-decrease-to-1-of-3",
     {{{1, 2, 3}, 2, {1, 2}}, {{1, 2, 3}, 1, {1, 2}}, {{1, 2, 3}, 1, {1}}}},
    {"1-of-2-threshold-increase-to-2-of-2", {{{1}, 1, {1}}, {{1, 2}, 2, {1, 2}}}},
    {"1-of-1-key-rotation-fail-not-signed-with-old-key",
     {{{1}, 1, {1}}, {{2}, 1, {2, 3, 4}}},
     false},
    {"1-of-1-key-rotation-fail-not-signed-with-new-key",
     {{{1}, 1, {1}}, {{2}, 1, {1, 3, 4}}},
     false},
    {"3-of-5-one-key-rotate-fails-not-signed-with-3-new-keys",
     {{{0, 1, 2, 3, 4}, 3, {0, 2, 4}}, {{0, 1, 3, 4, 5}, 3, {0, 2, 4}}},
     false},
    {"3-of-5-one-key-rotate-fails-not-signed-with-3-old-keys",
     {{{0, 1, 2, 3, 4}, 3, {0, 2, 4}}, {{0, 1, 3, 4, 5}, 3, {0, 4, 5}}},
     false},
    {"1-of-3-threshold-bump-to-2-of-3-fails-new-threshold-not-reached",
     {{{1, 2, 3}, 1, {1}}, {{1, 2, 3}, 2, {2}}},
     false},
    {"2-of-3-threshold-decr-to-1-of-3-fails-old-threshold-not-reached",
     {{{1, 2, 3}, 2, {1, 2}}, {{1, 2, 3}, 1, {1}}},
     false},
};

TEST_CASE("test_root_rotation") {
  for (const Rotation& rotation : kRootRotations) {
    CAPTURE(rotation.name);
    std::vector<Bytes> envelopes;
    for (size_t i = 0; i < rotation.steps.size(); ++i)
      envelopes.push_back(
          sealed(root_of(rotation.steps[i], i + 1), signer_keys(rotation.steps[i].signers)));
    const auto pinned = trust::verify_pinned_root(envelopes.front(), kDomain);
    REQUIRE(pinned.has_value());
    const trust::Trusted trusted{.root = std::make_shared<const trust::Root>(*pinned),
                                 .freshness_sequence = 0,
                                 .ledgers = {},
                                 .audience = {}};
    trust::Update update;
    update.root_chain.assign(envelopes.begin() + 1, envelopes.end());
    const trust::Verdict verdict = trust::verify_update(update, trusted, kStartMs);
    const size_t good = envelopes.size() - (rotation.accepted ? 1 : 2);
    REQUIRE(verdict.root_chain.size() == good);
    if (good > 0) CHECK(verdict.root_chain.back().envelope == envelopes[good]);
    CHECK(verdict.error.has_value() == !rotation.accepted);
    if (verdict.error) CHECK(verdict.error->code == ErrorCode::kSignature);
  }
}

const std::vector<Rotation> kPublisherRotations = {
    {"1-of-1-key-rotation", {{{2}, 1, {2}}}},
    {"1-of-1-key-rotation-unused-signatures", {{{1}, 1, {3, 1, 4}}}},
    {"1-of-1-key-rotation-fail-not-signed-with-new-key", {{{2}, 1, {1, 3, 4}}}, false},
    {"3-of-5-one-key-signature-wrong-not-signed-with-3-expected-keys",
     {{{0, 1, 3, 4, 5}, 3, {0, 2, 4}}},
     false},
    {"2-of-5-one-key-signature-missing-threshold-not-reached",
     {{{0, 1, 3, 4, 5}, 3, {0, 4}}},
     false},
    {"3-of-5-sign-first-combo", {{{0, 1, 2, 3, 4}, 3, {0, 2, 4}}}},
    {"3-of-5-sign-second-combo", {{{0, 1, 2, 3, 4}, 3, {0, 4, 1}}}},
    {"3-of-5-sign-third-combo", {{{0, 1, 2, 3, 4}, 3, {0, 1, 3}}}},
    {"3-of-5-sign-fourth-combo", {{{0, 1, 2, 3, 4}, 3, {1, 2, 3}}}},
    {"3-of-5-sign-fifth-combo", {{{0, 1, 2, 3, 4}, 3, {2, 3, 4}}}},
};

TEST_CASE("test_non_root_rotations, of a ledger's publishers") {
  const model::ModelContent content = samples::model_of({{"manifest.json", "{}"}});
  for (const Rotation& rotation : kPublisherRotations) {
    CAPTURE(rotation.name);
    const Step& step = rotation.steps.front();
    trust::Root root = root_of({{50}, 1, {50}}, 1);
    root.delegations = {{"*/*", public_keys(step.keys), step.threshold}};
    const trust::Trusted trusted{.root = std::make_shared<const trust::Root>(root),
                                 .freshness_sequence = 0,
                                 .ledgers = {},
                                 .audience = {}};
    const Bytes envelope =
        sealed(release_of(kPayments, 1, {}, content, kStartMs), signer_keys(step.signers));
    trust::Update update;
    update.release = envelope;
    update.release_ledger = kPayments;
    const trust::Verdict verdict = trust::verify_update(update, trusted, kStartMs);
    CHECK(verdict.release.has_value() == rotation.accepted);
    CHECK(verdict.error.has_value() == !rotation.accepted);
    if (verdict.error) CHECK(verdict.error->code == ErrorCode::kSignature);
  }
}

}  // namespace
}  // namespace notp::attack
