// The statements that travel in envelopes: root, release and freshness.
//
// A statement has one encoding: fields by ascending number, each at most once, defaults left out,
// numbers in their shortest form. Anything else is refused, unknown fields included: a signed
// statement is wholly understood or not honoured, because the field that is skipped could be the
// one that restricts it. A new field therefore needs a new statement type.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/clock.hpp"
#include "common/signature.hpp"
#include "protocol/model/ledger.hpp"
#include "protocol/trust/envelope.hpp"

namespace notp {

inline constexpr std::string_view kReleaseType = "application/vnd.notp.release.v1";
inline constexpr std::string_view kRootType = "application/vnd.notp.root.v1";
inline constexpr std::string_view kFreshnessType = "application/vnd.notp.freshness.v1";

enum class OnHard : uint8_t { kDeny = 1, kServe = 2 };

// Schema: schemas/model.proto, Release. All fields are checked by decode().
struct Release {
  std::string trust_domain;
  LedgerId ledger;
  uint64_t epoch = 0;
  uint64_t version = 0;
  Hash previous;  // zero at version 1
  Hash content_root;
  uint64_t total_bytes = 0;
  uint64_t file_count = 0;
  std::vector<std::string> roots;
  TimeMs issued_ms = 0;
  TimeMs expires_ms = 0;  // 0: no expiry of its own
  uint64_t fresh_s = 0;
  uint64_t hard_s = 0;
  OnHard on_hard = OnHard::kDeny;

  Bytes encode() const;
  // kStatement naming the field that is missing, out of range or not in canonical form.
  static Result<Release> decode(ByteView payload);
};

struct Delegation {
  std::string pattern;
  std::vector<PublicKey> keys;
  uint32_t threshold = 1;
};

// Schema: schemas/model.proto, Root.
struct Root {
  std::string trust_domain;
  uint64_t version = 0;
  uint64_t epoch = 0;
  TimeMs issued_ms = 0;
  TimeMs expires_ms = 0;  // 0: no expiry
  std::vector<PublicKey> root_keys;
  uint32_t root_threshold = 1;
  std::vector<Delegation> delegations;
  std::optional<PublicKey> freshness_key;  // nullopt: nobody vouches for freshness in this domain

  Bytes encode() const;
  // kStatement. Keys are distinct within a list and a threshold is 1 to their number. The freshness
  // key is neither a root key nor anybody's publishing key: it lives online.
  static Result<Root> decode(ByteView payload);
  // The delegation that covers the ledger: the first one in order that matches; nullptr when none
  // does.
  const Delegation* delegation_for(const LedgerId& ledger) const;
};

// One ledger in a freshness statement. Version 0: it has no release yet, and epoch, release and
// withdrawn are empty.
struct FreshHead {
  LedgerId ledger;
  uint64_t epoch = 0;
  uint64_t version = 0;
  Hash release;
  std::vector<Hash> withdrawn;  // release hashes, ascending, at most kWithdrawnMax
  bool operator==(const FreshHead&) const = default;
};

// Schema: schemas/model.proto, Freshness.
struct Freshness {
  std::string trust_domain;
  std::string audience;   // an identity's URI
  uint64_t sequence = 0;  // 1 to kVersionMax
  uint64_t root_version = 0;
  TimeMs issued_ms = 0;
  TimeMs expires_ms = 0;         // always set, at most kFreshnessLifetimeMsMax after issued_ms
  std::vector<FreshHead> heads;  // ascending by ledger, each once, at most kLedgersPerSessionMax

  Bytes encode() const;
  // kStatement naming the field that is missing, out of range or not in canonical form.
  static Result<Freshness> decode(ByteView payload);
};

// H("notp.release.v1\0" ‖ payload): the identity of a release, whoever signed it.
Hash release_hash(ByteView payload);

// An unsigned envelope around the statement.
Envelope envelope_of(const Release& release);
Envelope envelope_of(const Root& root);
Envelope envelope_of(const Freshness& freshness);

}  // namespace notp
