// The messages of NOTP as plain structs. schemas/notp.proto defines their encoding; only
// encode.cpp and decode.cpp see the generated classes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/clock.hpp"
#include "common/digest.hpp"
#include "protocol/model/ledger.hpp"

namespace notp::wire {

inline constexpr uint32_t kProtocolVersion = 1;

struct Base {
  uint64_t version = 0;
  Hash content_root;
  auto operator<=>(const Base&) const = default;
};

struct ResumeToken {
  Hash artifact;
  uint64_t offset = 0;
};

struct Want {
  LedgerId ledger;
  std::optional<Base> base;
  std::vector<Base> older;
  std::optional<ResumeToken> resume;
  uint64_t version = 0;
  bool heads_only = false;
};

struct Hello {
  std::vector<uint32_t> versions;
  std::string agent;
  uint64_t root_version = 0;
  uint64_t freshness_sequence = 0;
  std::vector<Want> wants;
};

struct Head {
  LedgerId ledger;
  uint64_t version = 0;
  Hash release_hash;
  Hash content_root;
  uint64_t epoch = 0;
};

struct Refusal {
  LedgerId ledger;
  ErrorCode code = ErrorCode::kDenied;
  std::string message;
};

struct Welcome {
  uint32_t version = kProtocolVersion;
  std::string server;
  std::string trust_domain;
  uint64_t root_version = 0;
  Bytes root_envelope;
  std::vector<Head> heads;
  std::vector<Refusal> refusals;
};

struct WantMore {
  std::vector<Want> wants;
};

struct Offer {
  uint32_t stream = 0;
  LedgerId ledger;
  uint64_t version = 0;
  std::optional<Base> base;
  Hash artifact;
  uint64_t size = 0;
  uint64_t offset = 0;
  Hash content_root;
};

// Raw payload: stream (varint) ‖ bytes. Chunks of one stream follow each other without gaps.
struct Chunk {
  uint32_t stream = 0;
  ByteView bytes;  // into the parser's buffer, valid until its next call
};

enum class CommitState : uint8_t { kStored = 1, kActive = 2, kRejected = 3 };

// "stored", "active", "rejected": for logs and tables.
constexpr std::string_view commit_state_name(CommitState state) {
  switch (state) {
    case CommitState::kStored:
      return "stored";
    case CommitState::kActive:
      return "active";
    case CommitState::kRejected:
      return "rejected";
  }
  return "unknown";
}

struct Commit {
  LedgerId ledger;
  uint64_t version = 0;
  CommitState state = CommitState::kStored;
  uint32_t code = 0;  // wire number of an ErrorCode, with kRejected
  std::string message;
  Hash content_root;  // of what is active now; zero: nothing
};

struct Ping {
  uint64_t nonce = 0;
};
struct Pong {
  uint64_t nonce = 0;
};

struct ErrorMessage {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;
  uint32_t retry_after_ms = 0;
};

struct Bye {
  std::string reason;
  uint32_t retry_after_ms = 0;
};

struct Publish {
  uint64_t request = 0;
  LedgerId ledger;
  std::optional<Base> base;
  uint64_t version = 0;
  Hash expected_head;  // zero: the ledger must not have a release
  uint64_t size = 0;
  std::string message;
  uint32_t stream = 0;
};

struct Finding {
  std::string path;
  uint32_t line = 0;
  std::string rule;
  std::string message;
};

struct PublishResult {
  uint64_t request = 0;
  uint64_t version = 0;
  Hash release_hash;
  std::string commit;
  uint32_t code = 0;  // 0: published; else the wire number of an ErrorCode
  std::string message;
  std::optional<Head> head;
  std::string head_publisher;
  TimeMs head_issued_ms = 0;
  std::vector<Finding> findings;
};

struct HistoryQuery {
  LedgerId ledger;
  uint64_t below_version = 0;
  uint32_t rows_max = 0;
};
struct NodesQuery {
  std::string after;
  uint32_t rows_max = 0;
};
struct LedgersQuery {};

struct Query {
  uint64_t request = 0;
  std::variant<HistoryQuery, NodesQuery, LedgersQuery> what;
};

struct HistoryRow {
  uint64_t version = 0;
  Hash release_hash;
  Hash content_root;
  std::string publisher;
  std::string message;
  TimeMs issued_ms = 0;
  uint64_t total_bytes = 0;
  uint64_t file_count = 0;
  std::string commit;
  Bytes envelope;
};

struct NodeLedger {
  LedgerId ledger;
  uint64_t version = 0;
  CommitState state = CommitState::kStored;
  uint64_t active_version = 0;
  uint32_t code = 0;
  std::string message;
  TimeMs since_ms = 0;
  uint64_t head_version = 0;
};

struct NodeRow {
  std::string identity;
  std::string agent;
  bool connected = false;
  TimeMs seen_ms = 0;
  std::vector<NodeLedger> ledgers;
};

struct Answer {
  uint64_t request = 0;
  uint32_t code = 0;
  std::string message;
  std::vector<HistoryRow> history;
  std::vector<NodeRow> nodes;
  std::vector<Head> ledgers;
  bool more = false;
};

using Message = std::variant<Hello, Welcome, Offer, Chunk, Commit, WantMore, Ping, Pong,
                             ErrorMessage, Bye, Publish, PublishResult, Query, Answer>;

}  // namespace notp::wire
