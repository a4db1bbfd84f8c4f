#include "tests/sim/sim_trust.hpp"

#include <array>

#include "common/assert.hpp"
#include "tests/sim/world_signatures.hpp"

namespace notp::sim {
namespace {

constexpr size_t kRootKeys = 3;
constexpr uint32_t kRootThreshold = 2;

std::array<uint8_t, 32> random_seed(SeededRandom& random) {
  std::array<uint8_t, 32> seed;
  for (uint8_t& byte : seed) byte = static_cast<uint8_t>(random.next_u64());
  return seed;
}

}  // namespace

SimTrust::SimTrust(SeededRandom& random)
    : random_(random), foreign_key_(new_key()), foreign_publisher_(new_key()) {
  publishers_.push_back(new_key());
  add_freshness_key();
  Link first;
  first.root = trust::Root{.trust_domain = std::string(kTrustDomain),
                           .version = 1,
                           .epoch = 1,
                           .issued_ms = 1,
                           .expires_ms = 0,
                           .root_keys = {},
                           .root_threshold = kRootThreshold,
                           .delegations = {{"*/*", {publishers_[0].public_key()}, 1}},
                           .freshness_keys = freshness_public_keys_};
  for (size_t i = 0; i < kRootKeys; ++i) {
    first.signers.push_back(root_keys_.size());
    root_keys_.push_back(new_key());
    first.root.root_keys.push_back(root_keys_.back().public_key());
  }
  append(std::move(first));
}

PrivateKey SimTrust::new_key() { return PrivateKey::from_seed(random_seed(random_)); }

void SimTrust::add_freshness_key() {
  freshness_keys_.push_back(new_key());
  freshness_public_keys_.push_back(freshness_keys_.back().public_key());
}

SimTrust::Link SimTrust::next(TimeMs now_ms) const {
  Link link = roots_.back();
  ++link.root.version;
  link.root.issued_ms = now_ms;
  return link;
}

void SimTrust::append(Link link) {
  trust::Envelope envelope = trust::envelope_of(link.root);
  for (uint32_t i = 0; i < kRootThreshold; ++i) {
    sign(envelope, root_keys_[link.signers[i]]);
    if (!roots_.empty()) sign(envelope, root_keys_[roots_.back().signers[i]]);
  }
  link.envelope = envelope.encode();
  roots_.push_back(std::move(link));
}

// Replaces one key, or all at once.
void SimTrust::rotate_root_keys(TimeMs now_ms) {
  Link link = next(now_ms);
  const size_t replaced = random_.below(2) == 0 ? 1 : kRootKeys;
  for (size_t i = 0; i < replaced; ++i) {
    link.signers[i] = root_keys_.size();
    root_keys_.push_back(new_key());
    link.root.root_keys[i] = root_keys_.back().public_key();
  }
  append(std::move(link));
}

void SimTrust::rotate_publisher(TimeMs now_ms) {
  Link link = next(now_ms);
  link.publisher = publishers_.size();
  publishers_.push_back(new_key());
  link.root.delegations[0].keys = {publishers_.back().public_key()};
  append(std::move(link));
}

void SimTrust::rotate_freshness_key(TimeMs now_ms) {
  Link link = next(now_ms);
  link.freshness = freshness_keys_.size();
  add_freshness_key();
  link.root.freshness_keys = {freshness_public_keys_.back()};
  append(std::move(link));
}

void SimTrust::raise_epoch(TimeMs now_ms) {
  Link link = next(now_ms);
  ++link.root.epoch;
  append(std::move(link));
}

bool SimTrust::authorises(uint64_t root_version, size_t publisher, uint64_t epoch) const {
  const Link& link = roots_[root_version - 1];
  return link.publisher == publisher && epoch <= link.root.epoch;
}

bool SimTrust::ever_authorised(uint64_t root_version, size_t publisher, uint64_t epoch) const {
  for (uint64_t version = 1; version <= root_version; ++version)
    if (authorises(version, publisher, epoch)) return true;
  return false;
}

uint64_t SimTrust::version_of(ByteView envelope) const {
  for (uint64_t version = 1; version <= newest(); ++version)
    if (roots_[version - 1].envelope == envelope) return version;
  return 0;
}

void SimTrust::sign_release(trust::Envelope& envelope, size_t publisher) const {
  sign(envelope, publisher == kNobody ? foreign_publisher_ : publishers_[publisher]);
}

Bytes SimTrust::sign_freshness(const trust::Freshness& freshness, size_t key) const {
  return sign_statement(
      freshness_keys_[key], freshness_public_keys_[key],
      trust::pre_authentication_encoding(freshness.payload_type(), freshness.encode()));
}

Bytes SimTrust::sign_assignment(const trust::Assignment& assignment, size_t key) const {
  trust::Envelope envelope = trust::envelope_of(assignment);
  envelope.signatures.push_back(
      {sign_statement(freshness_keys_[key], freshness_public_keys_[key],
                      trust::pre_authentication_encoding(envelope.payload_type, envelope.payload)),
       {}});
  return envelope.encode();
}

Bytes SimTrust::forged_root(uint64_t version, size_t stolen) const {
  NOTP_ASSERT(stolen < kRootThreshold, "with a threshold of keys it is no forgery");
  const Link& genuine = roots_[version - 1];
  trust::Root root = genuine.root;
  ++root.version;
  root.root_keys = {foreign_key_.public_key()};
  root.root_threshold = 1;
  root.delegations[0].keys = {foreign_publisher_.public_key()};
  trust::Envelope envelope = trust::envelope_of(root);
  sign(envelope, foreign_key_);
  for (size_t i = 0; i < stolen; ++i) sign(envelope, root_keys_[genuine.signers[i]]);
  return envelope.encode();
}

}  // namespace notp::sim
