// A trust domain with all keys of its ceremony, its honest history, and a thief who holds some of
// the keys. The thief's statements carry the signatures of exactly those.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "protocol/model/tree.hpp"
#include "protocol/trust/verify.hpp"

namespace notp::attack {

inline constexpr std::string_view kDomain = "core-platform.internal";
inline constexpr std::string_view kAttackedNode = "spiffe://core-platform.internal/node/victim";
inline constexpr std::string_view kNeighbour = "spiffe://core-platform.internal/node/neighbour";
inline const model::LedgerId kPayments{100'000'000'000, "payments"};
inline const model::LedgerId kGateway{100'000'000'000, "gateway"};
inline const model::LedgerId kLab{100'000'000'001,
                                  "lab"};  // published by another team, with a key of its own

inline constexpr TimeMs kStartMs = 1'790'000'000'000;  // start of the attack
inline constexpr uint64_t kFreshS = 300, kHardS = 86'400;

// Keys of the attacker, besides control of the network and the registry with its TLS key.
enum class Stolen : uint8_t {
  kNothing,
  kFreshnessKey,
  kOnePublisher,  // of two whose signatures a release needs
  kOneRoot,       // of two whose signatures a root needs
  kAllBelow,      // the freshness key, one publisher and one root key
  kPublishers,    // a threshold of publishers: may sign releases, by design
};
std::string_view name_of(Stolen stolen);

struct SignedRelease {
  trust::Release release;
  Hash hash;
  Bytes envelope;
  model::ModelContent content;
};

// Key numbers of the ceremony; the thief's own key is not in any statement of the domain.
namespace keys {
inline constexpr uint8_t kRoot1 = 1, kRoot2 = 2, kRoot3 = 3, kRoot4 = 4;
inline constexpr uint8_t kPublisher1 = 11, kPublisher2 = 12, kPublisher3 = 13, kPublisher4 = 15;
inline constexpr uint8_t kLabPublisher = 14;
inline constexpr uint8_t kFreshness = 21, kNextFreshness = 22;
inline constexpr uint8_t kThief = 90;
}  // namespace keys

PrivateKey key(uint8_t number);

// Signs `statement` with the numbered keys and returns the envelope's bytes.
template <typename Statement>
Bytes sealed(const Statement& statement, const std::vector<uint8_t>& key_numbers) {
  trust::Envelope envelope = trust::envelope_of(statement);
  for (const uint8_t number : key_numbers) trust::sign_envelope(envelope, key(number));
  return envelope.encode();
}

// The honest side: statements that an attacker can have recorded.
class Domain {
 public:
  Domain();

  // Root 1 is the one that nodes pinned; root 2 is the newest. Two of three root keys, two of three
  // publisher keys for the zone, one freshness key.
  const trust::Root& root(uint64_t version) const { return roots_.at(version); }
  const Bytes& root_envelope(uint64_t version) const { return root_envelopes_.at(version); }
  // Root 3 as an honest ceremony makes it, not yet signed.
  trust::Root next_root() const;

  // Versions 1 to 3 of payments and gateway, 1 of lab.
  const SignedRelease& release(const model::LedgerId& ledger, uint64_t version) const;
  // A statement of the registry for `audience` with the given heads.
  trust::Freshness freshness(std::string_view audience, uint64_t sequence, TimeMs issued_ms,
                             const std::map<model::LedgerId, uint64_t>& versions) const;

 private:
  std::map<uint64_t, trust::Root> roots_;
  std::map<uint64_t, Bytes> root_envelopes_;
  std::map<model::LedgerId, std::vector<SignedRelease>> releases_;
};

// The text of a manifest with these data roots. `more`: further members; `partitions`: the members
// of its partitions.
std::string manifest(const std::vector<std::string>& roots, std::string_view more = "",
                     std::string_view partitions = R"("/":{"runtime":"rego"})");
// A release with this content, not yet signed: callers seal it.
trust::Release release_of(const model::LedgerId& ledger, uint64_t version, const Hash& previous,
                          const model::ModelContent& content, TimeMs issued_ms);
SignedRelease seal(trust::Release release, model::ModelContent content,
                   const std::vector<uint8_t>& key_numbers);

// The attacker's side.
class Thief {
 public:
  explicit Thief(Stolen stolen) : stolen_(stolen) {}

  Stolen stolen() const { return stolen_; }
  // The keys with which it signs such statements: its own and the stolen ones.
  std::vector<uint8_t> root_keys() const;
  std::vector<uint8_t> publisher_keys() const;
  std::vector<uint8_t> freshness_keys() const;

  Bytes seal_root(const trust::Root& root) const { return sealed(root, root_keys()); }
  Bytes seal_freshness(const trust::Freshness& freshness) const {
    return sealed(freshness, freshness_keys());
  }
  // The attacker's content as this version of the ledger.
  SignedRelease evil_release(const model::LedgerId& ledger, uint64_t version,
                             const Hash& previous) const;

 private:
  const Stolen stolen_;
};

}  // namespace notp::attack
