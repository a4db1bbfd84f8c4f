// Well-formed statements and deterministic keys; a test changes the parts that it is about.
#pragma once

#include <initializer_list>

#include "protocol/trust/verify.hpp"

namespace notp::samples {

inline constexpr std::string_view kDomain = "core-platform.internal";
inline constexpr TimeMs kIssuedMs = 1'700'000'000'000;
inline const model::LedgerId kLedger{273165098782, "payments"};
inline const std::string kNode = "spiffe://core-platform.internal/node/edge-1";

inline PrivateKey key(uint8_t number) {
  std::array<uint8_t, 32> seed{};
  seed.fill(number);
  return PrivateKey::from_seed(seed);
}

inline std::vector<PublicKey> public_keys(std::initializer_list<uint8_t> numbers) {
  std::vector<PublicKey> out;
  for (const uint8_t number : numbers) out.push_back(key(number).public_key());
  return out;
}

inline trust::Release release(uint64_t version = 1) {
  trust::Release out;
  out.trust_domain = kDomain;
  out.ledger = kLedger;
  out.epoch = 1;
  out.version = version;
  if (version > 1) out.previous_hash = sha256("previous");
  out.content_root = sha256("content");
  out.total_bytes = 1000;
  out.file_count = 3;
  out.data_roots = {"iam/payments", "payments"};
  out.issued_ms = kIssuedMs;
  out.fresh_s = 60;
  out.hard_s = 3600;
  return out;
}

// Key 1 is the root's; keys 2 and 3 may publish everything, each alone.
inline trust::Root root() {
  trust::Root out;
  out.trust_domain = kDomain;
  out.version = 1;
  out.epoch = 1;
  out.issued_ms = kIssuedMs;
  out.root_keys = public_keys({1});
  out.delegations = {{"*/*", public_keys({2, 3}), 1}};
  return out;
}

// The same, with key 7 as the freshness key.
inline trust::Root tracked_root() {
  trust::Root out = root();
  out.freshness_keys = {key(7).public_key()};
  return out;
}

inline trust::Floor place_of(const trust::Release& release) {
  return {release.epoch, release.version, trust::release_hash(release.encode())};
}

inline trust::FreshHead head_of(const trust::Release& release) {
  const trust::Floor place = place_of(release);
  return {release.ledger, place.epoch, place.version, place.release_hash, {}};
}

// For kNode: these are the heads; issued at kIssuedMs and valid for a minute.
inline trust::Freshness freshness(uint64_t sequence, std::vector<trust::FreshHead> heads) {
  trust::Freshness out;
  out.trust_domain = kDomain;
  out.audience = kNode;
  out.sequence = sequence;
  out.root_version = 1;
  out.issued_ms = kIssuedMs;
  out.expires_ms = kIssuedMs + 60'000;
  out.heads = std::move(heads);
  return out;
}

inline trust::ClassId class_id(uint8_t number = 1) {
  trust::ClassId out;
  out.bytes.fill(number);
  return out;
}

// The same for a class.
inline trust::Freshness class_freshness(uint64_t sequence, std::vector<trust::FreshHead> heads,
                                        const trust::ClassId& id = class_id()) {
  trust::Freshness out = freshness(sequence, std::move(heads));
  out.audience.clear();
  out.class_id = id;
  return out;
}

// Of kNode, for an hour from kIssuedMs on.
inline trust::Assignment assignment(uint64_t sequence, const trust::ClassId& id = class_id()) {
  return {std::string(kDomain), kNode, id, sequence, 1, kIssuedMs, kIssuedMs + 3'600'000};
}

// The trusted state of kNode when it holds `floor` of kLedger.
inline trust::Trusted trusting(trust::Root root, const trust::Floor& floor = {}) {
  trust::Trusted out;
  out.root = std::make_shared<const trust::Root>(std::move(root));
  out.audience = kNode;
  if (floor != trust::Floor{}) out.ledgers[kLedger].floor = floor;
  return out;
}

// verify_release() of a release of kLedger.
inline Result<trust::VerifiedRelease> verify_alone(const trust::ReleaseEnvelope& envelope,
                                                   const trust::Trusted& trusted, TimeMs now_ms,
                                                   const model::LedgerId& ledger = kLedger) {
  return trust::verify_release(envelope, ledger, trusted, now_ms);
}

template <typename Statement>
trust::Envelope signed_by(const Statement& statement, std::initializer_list<uint8_t> keys) {
  trust::Envelope out = trust::envelope_of(statement);
  for (const uint8_t number : keys) trust::sign_envelope(out, key(number));
  return out;
}

}  // namespace notp::samples
