// What a registry signs with the root's lane key, and a node verifies whoever carried it.
// protocol/feed/README.md, "Statements".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/clock.hpp"
#include "common/crypto/signature.hpp"
#include "protocol/feed/lane_event.hpp"

namespace notp::feed {

enum class StatementType : uint8_t { kBatch = 1, kSnapshot = 2, kAnswer = 3 };

// As it is sent. The signature is over the body as it stands here, so that nothing is inflated
// before it is verified.
struct SealedStatement {
  StatementType type = StatementType::kBatch;
  bool compressed = false;  // zstd (RFC 8878)
  Bytes body;
  Bytes signature;  // Ed25519 over pre_authentication_encoding() of the type, 64 bytes
  bool operator==(const SealedStatement&) const = default;
};

// Compresses what becomes smaller by it, and signs.
SealedStatement seal(StatementType type, Bytes body, const PrivateKey& key);
// Returns the body. kSignature, and kLimit when it inflates to more than kLaneInflatedBytesMax.
Result<Bytes> open(const SealedStatement& statement, const PublicKey& key);

struct LaneTerms {
  uint64_t hard_s = 900;  // an older lane is stale
  bool serves = false;    // a stale lane still answers; false: every lookup is undefined
  uint64_t life_s = 0;    // the longest life of a token
  bool operator==(const LaneTerms&) const = default;
};

// What every statement says.
struct LaneHeader {
  std::string trust_domain;
  std::string lane;
  TokenId instance;    // of this history: revisions of different instances do not compare
  uint64_t grant = 0;  // which events, tokens and attributes; never 0
  TimeMs time_ms = 0;  // Unix time of the signature
  uint64_t head = 0;   // the newest revision then
  LaneTerms terms;
  bool operator==(const LaneHeader&) const = default;
};

// Every event of the grant in (from, to], the newest one of each id. Without events, a heartbeat.
struct Batch {
  LaneHeader header;
  uint64_t from = 0, to = 0;
  std::vector<Event> events;

  Bytes encode() const;
  // kMessage: not what encode() writes, or beyond a limit.
  static Result<Batch> decode(ByteView body);
  bool operator==(const Batch&) const = default;
};

// All rows of the grant in (after, last], each as it was at `as_of` or later; what has an id in
// this range and is not among them is gone.
struct Snapshot {
  LaneHeader header;
  uint64_t as_of = 0;             // events above it follow in batches
  std::optional<EventKey> after;  // nullopt: from the start
  std::optional<EventKey> last;   // nullopt: up to the end
  std::vector<Event> rows;        // ascending by key

  Bytes encode() const;
  static Result<Snapshot> decode(ByteView body);
  bool operator==(const Snapshot&) const = default;
};

// The state of one token, for a node that asked.
struct Answer {
  LaneHeader header;
  uint64_t revision = 0;
  TokenId id;
  std::optional<Event> event;  // kToken or kDeleted; nullopt: unknown

  Bytes encode() const;
  static Result<Answer> decode(ByteView body);
  bool operator==(const Answer&) const = default;
};

}  // namespace notp::feed
