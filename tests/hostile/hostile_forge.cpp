#include "tests/hostile/hostile_forge.hpp"

namespace notp::hostile {
namespace {

using samples::head_of;
using samples::key;
using samples::kLedger;
using samples::place_of;
using samples::public_keys;
using samples::signed_by;

trust::Root trusted_root() {
  trust::Root out = samples::tracked_root();
  out.version = 3;
  out.epoch = 2;
  out.root_keys = public_keys({1, 11, 12});
  out.root_threshold = 2;
  out.delegations = {{"273165098782/payments", public_keys({2, 3, 4}), 2},
                     {"*/orders", public_keys({5}), 1}};
  return out;
}

}  // namespace

trust::Release held_release() {
  trust::Release out = samples::release(5);
  out.epoch = 2;
  return out;
}

trust::Trusted holder() {
  trust::Trusted out = samples::trusting(trusted_root(), place_of(held_release()));
  out.freshness_sequence = 100;
  out.ledgers[kLedger].listed = place_of(good_release());
  return out;
}

trust::Root good_root() {
  trust::Root out = trusted_root();
  out.version = 4;
  return out;
}

trust::Freshness good_freshness() {
  trust::Freshness out = samples::freshness(101, {head_of(good_release())});
  out.root_version = 3;
  out.expires_ms = kNow + 60'000;
  return out;
}

trust::Release good_release() {
  trust::Release out = samples::release(6);
  out.epoch = 2;
  out.previous_hash = place_of(held_release()).release_hash;
  return out;
}

trust::Envelope good(Kind kind) {
  if (kind == Kind::kRoot) return signed_by(good_root(), {1, 11});
  if (kind == Kind::kFreshness) return signed_by(good_freshness(), {7});
  return signed_by(good_release(), {2, 3});
}

std::string name_of(Kind kind) {
  return kind == Kind::kRoot ? "root" : kind == Kind::kFreshness ? "freshness" : "release";
}

std::string_view type_of(Kind kind) {
  return kind == Kind::kRoot        ? trust::kRootType
         : kind == Kind::kFreshness ? trust::kFreshnessType
                                    : trust::kReleaseType;
}

std::string_view check_of(Kind kind, std::string_view of_root, std::string_view of_freshness,
                          std::string_view of_release) {
  return kind == Kind::kRoot ? of_root : kind == Kind::kFreshness ? of_freshness : of_release;
}

std::string_view envelope_check(Kind kind) {
  return check_of(kind, "root.envelope", "freshness.envelope", "release.envelope");
}
std::string_view statement_check(Kind kind) {
  return check_of(kind, "root.statement", "freshness.statement", "release.statement");
}
std::string_view signature_check(Kind kind) {
  return check_of(kind, "root.threshold_old", "freshness.signature", "release.threshold");
}

std::vector<uint8_t> signers(Kind kind) {
  if (kind == Kind::kRoot) return {1, 11};
  if (kind == Kind::kFreshness) return {7};
  return {2, 3};
}

trust::Envelope unsigned_envelope(Kind kind) {
  trust::Envelope out = good(kind);
  out.signatures.clear();
  return out;
}

trust::Envelope signed_with(trust::Envelope envelope, const std::vector<uint8_t>& keys) {
  for (const uint8_t number : keys) trust::sign_envelope(envelope, key(number));
  return envelope;
}

Bytes signed_payload(Kind kind, Bytes payload) {
  return signed_with({std::move(payload), std::string(type_of(kind)), {}}, signers(kind)).encode();
}

Bytes changed_root(const ChangeRoot& change, Keys keys) {
  trust::Root root = good_root();
  change(root);
  return signed_by(root, keys).encode();
}
Bytes changed_freshness(const ChangeFreshness& change) {
  trust::Freshness freshness = good_freshness();
  change(freshness);
  return signed_by(freshness, {7}).encode();
}
Bytes changed_release(const ChangeRelease& change, Keys keys) {
  trust::Release release = good_release();
  change(release);
  return signed_by(release, keys).encode();
}

}  // namespace notp::hostile
