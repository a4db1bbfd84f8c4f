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
#include "protocol/trust/age.hpp"
#include "protocol/trust/release_ref.hpp"

namespace notp::wire {

inline constexpr uint32_t kProtocolVersion = 1;
inline constexpr size_t kLeafBytes = 8;  // of a file, in inventories

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
  Hash pending_hash;        // zero: none; with version: that pending release, once
  std::vector<Hash> lacks;  // contents that cannot be read any more
};

struct Hello {
  std::vector<uint32_t> versions;
  std::string agent;
  uint64_t root_version = 0;
  uint64_t freshness_sequence = 0;
  std::vector<Want> wants;
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
  std::vector<ReleaseRef> heads;
  std::vector<Refusal> refusals;
};

// The next root of the chain.
struct RootUpdate {
  Bytes envelope;
};

struct FreshnessHead {
  LedgerId ledger;
  uint64_t epoch = 0;
  uint64_t version = 0;
  Hash release_hash;
  std::vector<Hash> withdrawn;
};

// A freshness statement relative to the one before it.
struct FreshnessUpdate {
  uint64_t sequence = 0;
  uint64_t base_sequence = 0;  // 0: none
  TimeMs issued_ms = 0;
  uint64_t lifetime_ms = 0;
  uint64_t root_version = 0;  // 0: that of the base
  std::vector<FreshnessHead> heads;
  std::vector<LedgerId> gone;
  Bytes signature;
};

struct WantMore {
  std::vector<Want> wants;
};

// A base that is a part of a release.
struct PartialBase {
  Hash content_root;
  Bytes without;  // leaves, as partial_base() reads them
};

// Names its ledger, or is short: for a subscription of the session, by its number.
struct Offer {
  uint32_t stream = 0;
  LedgerId ledger;  // zone 0: it is short
  uint64_t version = 0;
  std::optional<Base> base;  // of a short one its reader knows the content root: zero here
  Hash artifact;             // zero: the reader of a short one derives it
  uint64_t size = 0;
  uint64_t offset = 0;
  Hash content_root;
  uint32_t subscription = 0;                // of a short one
  uint64_t behind = 0;                      // of a short one: its base is version - behind; 0: none
  std::optional<PartialBase> partial = {};  // of a short one: never
  uint32_t effort = 0;                      // of artifact_id()

  bool is_short() const { return ledger.zone == 0; }
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

// Names its ledger, or is short, as an Offer.
struct Commit {
  LedgerId ledger;  // zone 0: it is short
  uint64_t version = 0;
  CommitState state = CommitState::kStored;
  uint32_t code = 0;  // wire number of an ErrorCode: with kRejected, or kQuarantined with kActive
  std::string message;
  Hash content_root;  // of what is active now; zero: nothing
  // nullopt: as in the Commit of the ledger before.
  std::optional<FreshnessState> freshness = {};
  uint32_t subscription = 0;  // of a short one

  bool is_short() const { return ledger.zone == 0; }
};

struct InventoryRequest {
  uint32_t subscription = 0;
  bool listed = false;
};

// The fields of notp::Inventory, for a subscription.
struct Inventory {
  uint32_t subscription = 0;
  uint64_t files = 0;
  Bytes list;
  Bytes sketch;
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
  Hash expected_head_hash;  // zero: the ledger must not have a release
  uint64_t size = 0;
  std::string message;
  uint32_t stream = 0;
  bool pending = false;           // with too few signatures: keep it until there are enough
  bool break_dependants = false;  // also when heads that use this ledger no longer compile with it
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
  std::optional<ReleaseRef> head;
  std::string head_publisher;
  TimeMs head_issued_ms = 0;
  std::vector<Finding> findings;
  uint32_t signers = 0;
  uint32_t threshold = 0;              // 0: it is published
  std::vector<Finding> warnings = {};  // with code 0: what a person should look at
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
struct LedgersQuery {
  std::optional<LedgerId> after = {};
};
struct RootsQuery {
  uint64_t after_version = 0;
};
struct PublishRoot {
  Bytes envelope;
};
struct Withdraw {
  LedgerId ledger;
  uint64_t version = 0;
  std::string reason;
};
// A place in the order of what waits: by ledger, then by hash.
struct PendingPlace {
  LedgerId ledger;
  Hash release_hash;
  auto operator<=>(const PendingPlace&) const = default;
};
struct PendingQuery {
  std::optional<LedgerId> ledger = {};
  std::optional<PendingPlace> after = {};
};
struct Cosign {
  LedgerId ledger;
  Hash release_hash;
  Bytes signature;
};
struct DropPending {
  LedgerId ledger;
  Hash release_hash;
};
struct TrustQuery {};
struct NewJoinToken {
  std::string node;
  uint64_t lifetime_ms = 0;
  bool replace = false;
};
struct RenewCertificate {
  Bytes request;
};

struct Query {
  uint64_t request = 0;
  std::variant<HistoryQuery, NodesQuery, LedgersQuery, RootsQuery, PublishRoot, Withdraw,
               PendingQuery, Cosign, DropPending, TrustQuery, NewJoinToken, RenewCertificate>
      what;
};

struct PendingRow {
  LedgerId ledger;
  uint64_t version = 0;
  Hash release_hash;
  std::string publisher;
  std::string message;
  TimeMs received_ms = 0;
  uint32_t signers = 0;
  uint32_t threshold = 0;
  Bytes envelope;
};

struct TrustRow {
  uint64_t root_version = 0;
  std::optional<LedgerId> deny_list;
  uint64_t freshness_interval_ms = 0;
  std::string enroll_address;
};

struct Certificate {
  Bytes certificate;
  Bytes authorities;
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
  std::string withdrawn;  // empty: it is not
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
  FreshnessState freshness = FreshnessState::kUntracked;
  TimeMs vouched_ms = 0;
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
  std::vector<ReleaseRef> ledgers;
  bool more = false;
  std::vector<Bytes> root_chain;
  std::vector<PendingRow> pending;
  std::optional<PublishResult> published;
  std::optional<TrustRow> trust;
  std::string join_token;
  std::optional<Certificate> certificate;
  std::vector<Refusal> damaged;
};

struct Join {
  std::string token;
  Bytes request;
};
struct Joined {
  Certificate certificate;
  std::vector<Bytes> root_chain;
};

using Message = std::variant<Hello, Welcome, Offer, Chunk, Commit, WantMore, Ping, Pong,
                             ErrorMessage, Bye, Publish, PublishResult, Query, Answer, RootUpdate,
                             FreshnessUpdate, Join, Joined, InventoryRequest, Inventory>;

}  // namespace notp::wire
