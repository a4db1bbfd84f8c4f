// One of each thing that messages are made of, with every field set.
#pragma once

#include <string_view>
#include <vector>

#include "protocol/wire/frame.hpp"

namespace notp::wire::samples {

inline Hash hash_of(uint8_t fill) {
  Hash hash;
  hash.bytes.fill(fill);
  return hash;
}

inline const model::LedgerId kLedger{273165098782, "payments"};

inline trust::ReleaseRef head() { return {kLedger, 3, 42, hash_of(0xa1), hash_of(0xa2)}; }

inline Offer offer() {
  Offer offer;
  offer.stream = 5;
  offer.ledger = kLedger;
  offer.version = 42;
  offer.base = Base{41, hash_of(0xd1)};
  offer.artifact = hash_of(0xd2);
  offer.size = 1000;
  offer.offset = 10;
  offer.content_root = hash_of(0xd3);
  offer.partial = PartialBase{hash_of(0xd4), "leaf one"};
  offer.encoding_tier = 1;
  return offer;
}

inline Want want() {
  Want want;
  want.ledger = kLedger;
  want.base = Base{41, hash_of(0xb1)};
  want.older = {Base{40, hash_of(0xb2)}, Base{38, hash_of(0xb3)}};
  want.resume = ResumeToken{hash_of(0xb4), 262144};
  want.version = 42;
  want.heads_only = true;
  want.pending_hash = hash_of(0xb5);
  want.missing_blobs = {hash_of(0xb6), hash_of(0xb7)};
  return want;
}

inline HistoryRow history_row() {
  return {42,
          hash_of(0xc1),
          hash_of(0xc2),
          "spiffe://core-platform.internal/publisher/ci",
          "tighten limits",
          1750000000000,
          152043520,
          2060,
          "0123456789abcdef0123456789abcdef01234567",
          "envelope",
          "spiffe://core-platform.internal/publisher/ci: wrong limits"};
}

inline NodeRow node_row() {
  return {"spiffe://core-platform.internal/node/edge-17",
          "notp-client 0.1.0",
          true,
          1750000000001,
          {NodeLedger{kLedger, 42, CommitState::kActive, 42, 50, "words", 1750000000002, 43,
                      trust::FreshnessState::kStale, 1750000000004}}};
}

// A node whose records are partly missing at the registry.
inline NodeRow node_row_with_lag() {
  return {"spiffe://core-platform.internal/node/edge-17", {}, false, 0, {}, 1750000000005};
}

inline PublishResult publish_result() {
  return {77,
          43,
          hash_of(0x11),
          "0123456789abcdef0123456789abcdef01234567",
          11,
          "the head moved",
          head(),
          "spiffe://core-platform.internal/publisher/ci",
          1750000000003,
          {Finding{"a/b.rego", 12, "rego.parse", "unexpected token"}},
          1,
          2};
}

inline PendingRow pending_row() {
  return {kLedger,
          43,
          hash_of(0xc3),
          "spiffe://core-platform.internal/publisher/ci",
          "tighten limits",
          1750000000005,
          1,
          2,
          "envelope"};
}

inline FreshnessUpdate freshness_update() {
  return {100,
          99,
          1750000000006,
          900000,
          8,
          {FreshnessHead{kLedger, 3, 42, hash_of(0xa1), {hash_of(0x41), hash_of(0x42)}}},
          {model::LedgerId{273165098782, "refunds"}},
          Bytes(64, 's')};
}

inline FreshnessUpdate class_update() {
  FreshnessUpdate out{.sequence = 100,
                      .issued_ms = 1750000000006,
                      .lifetime_ms = 900000,
                      .root_version = 8,
                      .heads = {},
                      .gone = {},
                      .signature = Bytes(64, 's'),
                      .of_class = true};
  return out;
}

inline Certificate certificate() { return {"certificates", "authorities"}; }

inline TrustRow trust_row() { return {8, kLedger, 30000, "registry.internal:7445"}; }

inline record::LogId log_id() {
  record::LogId log;
  for (size_t i = 0; i < record::LogId::kSize; ++i) log.bytes[i] = static_cast<uint8_t>(0x10 + i);
  return log;
}

inline LogOffer log_offer() { return {log_id(), 2048, hash_of(0x21)}; }

inline record::SegmentHead segment_head() {
  return {log_id(), 1024, 512, 430000, Bytes(32, '\x22'), "checkpoint"};
}

inline RecoveryStatus recovery_status() {
  return {.restored_ms = 1750000000005,
          .backup_ms = 1750000000006,
          .root_version = 2,
          .newest_root = 3,
          .nodes = 4,
          .silent = 1,
          .silent_nodes = {"spiffe://core-platform.internal/node/edge-17"},
          .is_running = true,
          .rows = {{kLedger, 41, 47, 2, RecoveryState::kFetching, 1, "v43", "edge-17 has left"}}};
}

inline RegistryStatus registry_status() {
  return {.started_ms = 1750000000007,
          .now_ms = 1750000000008,
          .sessions = 3,
          .publishes = 4,
          .offers = 5,
          .sent_bytes = 6000,
          .activations = 7,
          .rejections = 8,
          .records = 9000,
          .lag_ms = 10,
          .nodes = 11,
          .connected = 12,
          .stale = 13,
          .ledgers = {{kLedger, 42, 1750000000009, 6, 3, 1, 1, 1, 250}}};
}

inline Segment segment() { return {segment_head(), 70000, 3, {}}; }

// The node has dropped its body. Its records make up the subtrees [1026, 1028) and [1028, 1029).
inline Segment pruned_segment() {
  Segment segment{segment_head(), 0, 0, {hash_of(0x23), hash_of(0x24)}};
  segment.head.first = 1026;
  segment.head.count = 3;
  segment.head.content_bytes = 2500;
  return segment;
}

// From a node that has more than it sends.
inline LogOffer late_log_offer() { return {log_id(), 2048, hash_of(0x21), 30'000}; }
inline Segment segment_of_many() { return {segment_head(), 70000, 3, {}, 60'000}; }

inline DecisionFilter decision_filter() {
  return {1750000000000,
          1750000600000,
          "spiffe://core-platform.internal/node/*",
          "273165098782/payments",
          "/authz/allow",
          record::Outcome::kDeny,
          hash_of(0xa1),
          {"alice", "42"},
          "over the limit",
          "10111213-1415-8001-8000-000000000400",
          {record::Kind::kDecision, record::Kind::kGap}};
}

inline std::vector<DecisionRow> decision_rows() {
  const std::string node = "spiffe://core-platform.internal/node/edge-17";
  return {{node, log_id(), 1030, "record", "active record"}, {node, log_id(), 1029, {}, {}}};
}

inline LogRow log_row() {
  return {"spiffe://core-platform.internal/node/edge-17",
          log_id(),
          2048,
          hash_of(0x21),
          "announcement",
          1750000000001,
          1750000000002,
          {LogFault{ErrorCode::kLogFork, 1024, "another root", 1750000000003, "checkpoint"}},
          3};
}

inline SegmentPart segment_part() {
  return {segment_head(), {}, 70000, "the first bytes of the body", true, 1750000000004};
}

// When the content has rows, every field of a Response can be set.
inline Response failed(auto content) { return {1, 10, "not found", std::move(content)}; }

// An Offer for a subscription, by its number.
inline Offer short_offer() {
  Offer offer;
  offer.stream = 6;
  offer.version = 42;
  offer.artifact = hash_of(0xd4);
  offer.size = 1000;
  offer.offset = 10;
  offer.subscription = 3;
  offer.base_distance = 2;
  return offer;
}

inline Commit short_commit() {
  Commit commit;
  commit.version = 42;
  commit.state = CommitState::kActive;
  commit.freshness = trust::FreshnessState::kUntracked;
  commit.subscription = 3;
  return commit;
}

inline TraceContext trace_context() {
  TraceContext trace;
  for (size_t i = 0; i < trace.trace.size(); ++i) trace.trace[i] = static_cast<uint8_t>(0x61 + i);
  for (size_t i = 0; i < trace.span.size(); ++i) trace.span[i] = static_cast<uint8_t>(0x81 + i);
  trace.is_sampled = true;
  return trace;
}

// A Publish or an Offer of a publish that is traced.
template <typename T>
T traced(T message) {
  message.trace = trace_context();
  return message;
}

inline Publish publish() {
  return {77, kLedger, Base{42, hash_of(0xf1)}, 43, hash_of(0xf2), 4096, "tighten limits", 2, true};
}

// --- the registry's tree

inline record::LogId tree_id() {
  record::LogId tree;
  for (size_t i = 0; i < record::LogId::kSize; ++i) tree.bytes[i] = static_cast<uint8_t>(0x50 + i);
  return tree;
}

// From a node that keeps a checkpoint of the registry's tree.
inline LogOffer offer_with_tree() {
  return {log_id(), 2048, hash_of(0x21), 30'000, tree_id(), 70'000};
}

// Of a segment whose body the node had dropped.
inline LogReceipt log_receipt() {
  return {
      log_id(),        2048,           70'001,        "checkpoint", {hash_of(0x25), hash_of(0x26)},
      {hash_of(0x27)}, "announcement", 1750000000005, 1024};
}

inline LogWitness log_witness() {
  return {log_id(), 70'002, 1750000010, Bytes(64, 's'), 0, {}, {}};
}

inline LogWitness refused_witness() {
  return {log_id(), 0, 0, {}, 59, "the tree shrank", "the checkpoint that is kept"};
}

inline TreePart tree_part() {
  return {"announcement", "checkpoint", 70'002, 70'000, {"entry one", "entry two"}};
}

inline RecordProof record_proof() {
  return {1024,
          "frontier",
          70'001,
          {hash_of(0x25), hash_of(0x26)},
          "checkpoint",
          "announcement of the tree",
          "entry",
          "announcement of the log",
          {{"spiffe://core-platform.internal/node/edge-18", "announcement"}}};
}

// --- holds and erasure

inline Hold hold() {
  return {"case-7",
          {.node = "spiffe://core-platform.internal/node/*", .values = {"alice"}},
          "a court wants them",
          "spiffe://core-platform.internal/admin/ada",
          1750000000010,
          1750000000011,
          70'003};
}

inline IssuerStatus issuer_status(std::string name, IssuerState state = IssuerState::kLate) {
  return {std::move(name), "https://login.internal", kLedger, state, 1750000000012};
}

inline SourceRow source_row() {
  return {issuer_status("login"),        1750000000013,  1750000000014, 10, "404", 43, 12, 3,
          "https://login.internal/keys", {"2026-05", ""}};
}

inline feed::TokenId token_id_of(uint8_t fill) {
  feed::TokenId id;
  id.bytes.fill(fill);
  return id;
}

inline LaneSubscribe lane_subscribe() {
  return {"login", LaneMode::kAsk, LanePosition{token_id_of(0x0a), 3, 40}, true,
          feed::EventKey{feed::EventKind::kDeleted, token_id_of(0x0b)}};
}

inline LaneState lane_state() {
  return {.lane = "login", .instance = token_id_of(0x0a), .grant = 3, .head = 42, .too_slow = true};
}

inline LaneStatement lane_statement() {
  return {{feed::StatementType::kSnapshot, true, "a body", Bytes(64, 's')}};
}

inline LaneRow lane_row() {
  return {"login",
          token_id_of(0x0a),
          42,
          1'000,
          20,
          3,
          1,
          65'536,
          100'000,
          5,
          2,
          40,
          1'200,
          7,
          {{"idp", "ssf", IssuerState::kLate, 1750000000015, 1750000000016, 900, 6,
            "logout; not: revoked tokens", "timed out"}}};
}

inline RevokeTokens mark_request() {
  return {"login", std::nullopt,
          MarkTarget{feed::MarkKind::kSession, "https://login.internal", "session-7", 1750000000},
          0};
}

inline Erased erased() { return {12, 3, 2, 1, true, "cursor"}; }

}  // namespace notp::wire::samples
