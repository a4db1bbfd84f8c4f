// The registry's statements about what is the newest: freshness, for one reader or for a class of
// readers, and the assignment that says which class a reader is in. All are signed by one of the
// root's freshness_keys. They have one encoding, as all statements: see statements.hpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.hpp"
#include "common/crypto/digest.hpp"
#include "protocol/model/ledger.hpp"
#include "protocol/trust/class_id.hpp"
#include "protocol/trust/envelope.hpp"

namespace notp::limits {

// Longest life of an assignment, and what a registry gives one.
inline constexpr int64_t kAssignmentLifetimeMsMax = 7LL * 24 * 3600 * 1000;
inline constexpr int64_t kAssignmentLifetimeMs = 24LL * 3600 * 1000;

}  // namespace notp::limits

namespace notp::trust {

inline constexpr std::string_view kFreshnessType = "application/vnd.notp.freshness.v1";
inline constexpr std::string_view kClassFreshnessType = "application/vnd.notp.freshness.v2";
inline constexpr std::string_view kAssignmentType = "application/vnd.notp.assignment.v1";

// One ledger in a freshness statement. Version 0: it has no release yet, and epoch, release and
// withdrawn are empty.
struct FreshHead {
  model::LedgerId ledger;
  uint64_t epoch = 0;
  uint64_t version = 0;
  Hash release_hash;
  std::vector<Hash> withdrawn;  // release hashes, ascending, at most kWithdrawnMax
  bool operator==(const FreshHead&) const = default;
};

// Schema: schemas/model.proto, Freshness (freshness.v1, for one reader) or ClassFreshness
// (freshness.v2, for a class).
struct Freshness {
  std::string trust_domain;
  std::string audience;   // an identity's URI; empty exactly when class_id is set
  uint64_t sequence = 0;  // 1 to kVersionMax
  uint64_t root_version = 0;
  TimeMs issued_ms = 0;
  TimeMs expires_ms = 0;            // always set, at most kFreshnessLifetimeMsMax after issued_ms
  std::vector<FreshHead> heads;     // ascending by ledger, each once, at most kLedgersPerSessionMax
  std::optional<ClassId> class_id;  // set: freshness.v2

  std::string_view payload_type() const { return class_id ? kClassFreshnessType : kFreshnessType; }
  Bytes encode() const;
  // Reads freshness.v1. kStatement names the field that is missing, out of range or not in
  // canonical form.
  static Result<Freshness> decode(ByteView payload);
  // The same for the envelope's type, which is kFreshnessType or kClassFreshnessType.
  static Result<Freshness> decode(const Envelope& envelope);
  bool operator==(const Freshness&) const = default;
};

// Schema: schemas/model.proto, Assignment. Until it expires, statements for its class are for this
// reader.
struct Assignment {
  std::string trust_domain;
  std::string audience;  // an identity's URI
  ClassId class_id;
  uint64_t sequence = 0;  // 1 to kVersionMax; grows with every assignment of one reader
  uint64_t root_version = 0;
  TimeMs issued_ms = 0;
  TimeMs expires_ms = 0;  // always set, at most kAssignmentLifetimeMsMax after issued_ms

  Bytes encode() const;
  // kStatement, as Freshness::decode().
  static Result<Assignment> decode(ByteView payload);
  bool operator==(const Assignment&) const = default;
};

// Decodes the envelope of a freshness statement of either type. kEnvelope: as decode_envelope().
Result<Envelope> decode_freshness_envelope(ByteView bytes);

// An unsigned envelope around the statement.
Envelope envelope_of(const Freshness& freshness);
Envelope envelope_of(const Assignment& assignment);

}  // namespace notp::trust
