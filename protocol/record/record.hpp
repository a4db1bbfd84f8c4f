// One record of a log (schemas/record.proto), and its one encoding.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/clock.hpp"
#include "common/crypto/digest.hpp"
#include "protocol/record/log_id.hpp"
#include "protocol/trust/release_ref.hpp"

namespace notp::record {

// The numbers of all enums are those of schemas/record.proto.
enum class Kind : uint8_t {
  kDecision = 0,
  kActive = 1,
  kRunStart = 2,
  kRunEnd = 3,
  kGap = 4,
  kDropped = 5,
};
enum class Api : uint8_t {
  kData = 0,
  kPlainData = 1,
  kDefault = 2,
  kAuthzen = 3,
  kHealth = 4,
  kOpa = 5,
};
enum class Outcome : uint8_t {
  kNone = 0,
  kAllow = 1,
  kDeny = 2,
  kOther = 3,
  kUndefined = 4,
  kError = 5,
};
inline constexpr size_t kOutcomes = 6;
// "allow", "deny", "other", "undefined", "error"; "" for kNone.
std::string_view outcome_name(Outcome outcome);
std::optional<Outcome> parse_outcome(std::string_view name);

// What a result says: true and false; an object's boolean `allow`, `allowed` or `decision`, the
// first that it has; else kOther, also for a text that is not JSON. nullopt: undefined.
Outcome outcome_of(const std::optional<Bytes>& result);

struct Failure {
  std::string code, message;
  Bytes errors;  // JSON array of OPA's errors; empty: none
  bool operator==(const Failure&) const = default;
};

inline constexpr size_t kCommitmentSaltBytes = 16;
struct Commitment {
  std::string pointer;
  Bytes salt;  // kCommitmentSaltBytes
  Bytes hmac;  // 32 bytes: HMAC-SHA-256(salt, JSON text of the value)
  bool operator==(const Commitment&) const = default;
};

enum class WithheldReason : uint8_t { kMaskFailed = 1, kOversized = 2 };
struct Withheld {
  WithheldReason reason = WithheldReason::kMaskFailed;
  std::string message;
  std::optional<Hash> input_hash, result_hash;  // of the JSON texts; nullopt: there was none
  bool operator==(const Withheld&) const = default;
};

struct Pep {
  std::optional<uint32_t> uid, gid, pid;
  std::string identity, token, address;
  bool operator==(const Pep&) const = default;
};

struct Times {
  uint64_t evaluation_us = 0, handler_us = 0;
  Bytes all;  // JSON; empty: not asked for
  bool operator==(const Times&) const = default;
};

struct Lane {
  std::string name;
  uint64_t revision = 0;
  std::string state;
  bool operator==(const Lane&) const = default;
};

struct TxnToken {
  std::string pointer;
  Hash hash;
  std::string txn, sub, req_wl;
  bool operator==(const TxnToken&) const = default;
};
inline constexpr size_t kTxnTokensMax = 16;

// The content of a decision. Members are described in schemas/record.proto.
struct DecisionContent {
  int64_t eval_time_ns = 0;
  Api api = Api::kData;
  std::string path, query, ledger;
  Outcome outcome = Outcome::kNone;
  std::optional<Bytes> input, result;
  std::optional<Failure> error;
  Bytes nd_builtin_cache;
  std::vector<std::string> erased, masked;
  std::vector<Commitment> commitments;
  std::optional<Withheld> withheld;
  Bytes mapped_result, intermediate_results, rule_labels, custom;
  std::string decision_id, batch_decision_id, trace_id, span_id;
  uint64_t req_id = 0;
  Bytes request_context;
  std::string requested_by;
  Pep pep;
  Times times;
  std::optional<Lane> lane;
  std::vector<TxnToken> txn_tokens;  // at most kTxnTokensMax
  bool operator==(const DecisionContent&) const = default;
};

struct ActiveRelease {
  trust::ReleaseRef ref;
  std::string freshness;
  bool operator==(const ActiveRelease&) const = default;
};
struct ActiveSet {
  std::vector<ActiveRelease> releases;  // ascending by ledger, each once
  std::string engine, engine_version, revision;
  Bytes system;  // JSON of data.system.notp
  bool operator==(const ActiveSet&) const = default;
};

struct RunStart {
  std::string program;
  int64_t boot_ns = 0;
  std::string boot_id;
  bool operator==(const RunStart&) const = default;
};
struct RunEnd {
  std::string reason;
  bool operator==(const RunEnd&) const = default;
};

enum class GapReason : uint8_t {
  kPowerLoss = 1,
  kDamaged = 2,
  kFull = 3,
  kSource = 4,
  kNewLog = 5,
};
// "power_loss", "damaged", "full", "source", "new_log".
std::string_view gap_reason_name(GapReason reason);
struct Gap {
  GapReason reason = GapReason::kPowerLoss;
  uint64_t count = 0;
  bool at_most = false;
  std::string source, message;
  bool operator==(const Gap&) const = default;
};

struct DroppedCount {
  std::string path;
  Outcome outcome = Outcome::kNone;
  std::string rule;
  uint64_t count = 0;
  bool operator==(const DroppedCount&) const = default;
};
struct Dropped {
  std::vector<DroppedCount> counts;  // ascending by (path, outcome, rule), each once
  bool operator==(const Dropped&) const = default;
};

using Content = std::variant<DecisionContent, ActiveSet, RunStart, RunEnd, Gap, Dropped>;

// What only the log knows, because it follows from the order of records.
struct Place {
  Position position = 0;
  uint32_t run = 0;
  Position active = 0;  // 0: none
  bool operator==(const Place&) const = default;
};

struct Record {
  Place place;
  int64_t time_ns = 0;
  Content content;
  Kind kind() const { return static_cast<Kind>(content.index()); }
  bool operator==(const Record&) const = default;
};

// The encoding is put together from two parts, because a record's place is known only under the
// log's lock: append_place() ‖ encode_content(). A text that is not UTF-8 is written as
// printable() shows it, since no reader would take the record otherwise.
Bytes encode_content(int64_t time_ns, const Content& content);
// Appends to `out`. At most kPlaceBytesMax bytes.
void append_place(Bytes& out, Kind kind, const Place& place);
inline constexpr size_t kPlaceBytesMax = 32;
Bytes encode(const Record& record);

// kMessage: not a record, not in its one encoding, or with a field that this program does not know.
// JSON in it is not read: whoever does takes it for hostile.
Result<Record> decode(ByteView bytes);

// Reads kind and place alone: the first bytes of a record. kMessage.
struct RecordStart {
  Kind kind = Kind::kDecision;
  Place place;
};
Result<RecordStart> decode_start(ByteView bytes);

}  // namespace notp::record
