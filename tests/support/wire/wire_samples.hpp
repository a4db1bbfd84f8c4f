// One message of each kind with every field set, shared by the codec's tests and fuzzers.
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

struct Sample {
  Message message;
  std::string_view frame;  // the whole of it, in hexadecimal: these bytes never change
};

// In the order of Message's alternatives; Request and Response with each of their contents. Then
// the short forms.
inline std::vector<Sample> table() {
  static constexpr std::string_view kContent = "chunk of content";
  return {
      {Hello{{1}, "notp-client 0.1.0", 7, 99, {want()}},
       "01b4020a010112116e6f74702d636c69656e7420302e312e30180720632a97020a11089ebea2cff907120870"
       "61796d656e7473122408291220b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1"
       "b11a2408281220b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b21a24082612"
       "20b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b322260a20b4b4b4b4b4b4b4"
       "b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b410808010282a30013a20b5b5b5b5b5b5b5b5b5"
       "b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b54220b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6"
       "b6b6b6b6b6b6b6b6b6b6b6b6b64220b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7"
       "b7b7b7"},
      {Welcome{1,
               "notp-server 0.1.0",
               "core-platform.internal",
               8,
               {head()},
               {Refusal{kLedger, ErrorCode::kDenied, "not granted"}}},
       "02b001080112116e6f74702d73657276657220302e312e301a16636f72652d706c6174666f726d2e696e7465"
       "726e616c2008325b0a11089ebea2cff90712087061796d656e7473102a1a20a1a1a1a1a1a1a1a1a1a1a1a1a1"
       "a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a12220a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2"
       "a2a2a2a2a2a2a2a2a228033a220a11089ebea2cff90712087061796d656e7473100d1a0b6e6f74206772616e"
       "746564"},
      {offer(),
       "03b60108051211089ebea2cff90712087061796d656e7473182a222408291220d1d1d1d1d1d1d1d1d1d1d1d1"
       "d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d12a20d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2"
       "d2d2d2d2d2d2d2d2d2d230e807380a4220d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3"
       "d3d3d3d3d35a2c0a20d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d412086c"
       "656166206f6e656001"},
      {Chunk{5, kContent}, "0411056368756e6b206f6620636f6e74656e74"},
      {Commit{kLedger, 42, CommitState::kRejected, 50, "rego_parse_error", hash_of(0xe1),
              trust::FreshnessState::kFresh},
       "054f0a11089ebea2cff90712087061796d656e7473102a180320322a107265676f5f70617273655f6572726f"
       "723220e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e13801"},
      {WantMore{{want()}},
       "069a020a97020a11089ebea2cff90712087061796d656e7473122408291220b1b1b1b1b1b1b1b1b1b1b1b1b1"
       "b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b11a2408281220b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2"
       "b2b2b2b2b2b2b2b2b2b2b2b2b21a2408261220b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3"
       "b3b3b3b3b3b3b322260a20b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b410"
       "808010282a30013a20b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b54220b6"
       "b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b64220b7b7b7b7b7b7b7b7b7b7b7"
       "b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7"},
      {Ping{11}, "0702080b"},
      {Pong{12}, "0802080c"},
      {ErrorMessage{ErrorCode::kOverloaded, "try later", 1500},
       "091008041209747279206c6174657218dc0b"},
      {Bye{"restart", 2500}, "0a0c0a077265737461727410c413"},
      {publish(),
       "1076084d1211089ebea2cff90712087061796d656e74731a24082a1220f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1"
       "f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1202b2a20f2f2f2f2f2f2f2f2f2f2f2f2f2f2f2f2f2f2f2f2f2f2f2"
       "f2f2f2f2f2f2f2f2f23080203a0e7469676874656e206c696d69747340024801"},
      {publish_result(),
       "11a402084d102b1a201111111111111111111111111111111111111111111111111111111111111111222830"
       "313233343536373839616263646566303132333435363738396162636465663031323334353637280b320e74"
       "68652068656164206d6f7665643a5b0a11089ebea2cff90712087061796d656e7473102a1a20a1a1a1a1a1a1"
       "a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a12220a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2"
       "a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a22803422c7370696666653a2f2f636f72652d706c6174666f726d2e69"
       "6e7465726e616c2f7075626c69736865722f63694883b883a1f732522a0a08612f622e7265676f100c1a0a72"
       "65676f2e70617273652210756e657870656374656420746f6b656e58016002"},
      {Request{1, HistoryRequest{kLedger, 42, 10}},
       "121b080112170a11089ebea2cff90712087061796d656e7473102a180a"},
      {Request{2, NodesRequest{"spiffe://core-platform.internal/node/edge-17", 20}},
       "123408021a300a2c7370696666653a2f2f636f72652d706c6174666f726d2e696e7465726e616c2f6e6f6465"
       "2f656467652d31371014"},
      {Request{3, LedgersRequest{}}, "120408032200"},
      {Request{4, RootsRequest{7}}, "120608042a020807"},
      {Request{5, PublishRoot{"root 9"}}, "120c080532080a06726f6f742039"},
      {Request{6, Withdraw{kLedger, 42, "wrong limits"}},
       "122708063a230a11089ebea2cff90712087061796d656e7473102a1a0c77726f6e67206c696d697473"},
      {Request{7, PendingRequest{kLedger}}, "1217080742130a11089ebea2cff90712087061796d656e7473"},
      {Request{8, Cosign{kLedger, hash_of(0xc3), Bytes(64, 's')}},
       "127b08084a770a11089ebea2cff90712087061796d656e74731220c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3"
       "c3c3c3c3c3c3c3c3c3c3c3c3c3c3c31a40737373737373737373737373737373737373737373737373737373"
       "73737373737373737373737373737373737373737373737373737373737373737373737373"},
      {Request{9, DropPending{kLedger, hash_of(0xc3)}},
       "1239080952350a11089ebea2cff90712087061796d656e74731220c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3"
       "c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3"},
      {Request{10, TrustRequest{}}, "1204080a5a00"},
      {Request{11, NewJoinToken{"edge-17", 3600000}}, "1212080b620e0a07656467652d31371080dddb01"},
      {Request{12, RenewCertificate{"request"}}, "120d080c6a090a0772657175657374"},
      {Request{13, LedgersRequest{kLedger}}, "1217080d22130a11089ebea2cff90712087061796d656e7473"},
      {Request{14, PendingRequest{std::nullopt, PendingPlace{kLedger, hash_of(0xc3)}}},
       "1239080e42351211089ebea2cff90712087061796d656e74731a20c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3"
       "c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3"},
      {Request{15, DecisionsRequest{decision_filter(), "cursor", 50, true}},
       "12d801080f72d3010ac4010880b883a1f73210c087a8a1f7321a267370696666653a2f2f636f72652d706c"
       "6174666f726d2e696e7465726e616c2f6e6f64652f2a22153237333136353039383738322f7061796d656e"
       "74732a0c2f617574687a2f616c6c6f7730023a20a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1"
       "a1a1a1a1a1a1a1a1a14205616c696365420234324a0e6f76657220746865206c696d697452243130313131"
       "3231332d313431352d383030312d383030302d3030303030303030303430305a0200041206637572736f72"
       "18322001"},
      {Request{16, DecisionCountsRequest{{.since_ms = 1750000000000}, "cursor"}},
       "121508107a110a070880b883a1f7321206637572736f72"},
      {Request{17, LogsRequest{"spiffe://core-platform.internal/node/edge-17", log_id()}},
       "124508118201400a2c7370696666653a2f2f636f72652d706c6174666f726d2e696e7465726e616c2f6e6f"
       "64652f656467652d31371210101112131415161718191a1b1c1d1e1f"},
      {Request{18, SegmentRequest{log_id(), 1030, 524288}},
       "121e08128a01190a10101112131415161718191a1b1c1d1e1f10860818808020"},
      {failed(HistoryPage{{history_row()}, true}),
       "1397020801100a1a096e6f7420666f756e64228302082a1220c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1"
       "c1c1c1c1c1c1c1c1c1c1c1c1c11a20c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2"
       "c2c2c2222c7370696666653a2f2f636f72652d706c6174666f726d2e696e7465726e616c2f7075626c697368"
       "65722f63692a0e7469676874656e206c696d6974733080b883a1f732388080c048408c104a28303132333435"
       "363738396162636465663031323334353637383961626364656630313233343536375208656e76656c6f7065"
       "5a3a7370696666653a2f2f636f72652d706c6174666f726d2e696e7465726e616c2f7075626c69736865722f"
       "63693a2077726f6e67206c696d6974733801"},
      {failed(NodesPage{{node_row()}, true}),
       "1394010801100a1a096e6f7420666f756e642a80010a2c7370696666653a2f2f636f72652d706c6174666f72"
       "6d2e696e7465726e616c2f6e6f64652f656467652d313712116e6f74702d636c69656e7420302e312e301801"
       "2081b883a1f7322a340a11089ebea2cff90712087061796d656e7473102a1802202a28323205776f72647338"
       "82b883a1f732402b48025084b883a1f7323801"},
      {failed(LedgersPage{{head()}, {}, true}),
       "136e0801100a1a096e6f7420666f756e64325b0a11089ebea2cff90712087061796d656e7473102a1a20a1a1"
       "a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a12220a2a2a2a2a2a2a2a2a2a2a2a2"
       "a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a228033801"},
      {failed(RootsPage{{"root 8", "root 9"}, true}),
       "13210801100a1a096e6f7420666f756e6438014206726f6f7420384206726f6f742039"},
      {failed(PendingPage{{pending_row()}, true}),
       "139e010801100a1a096e6f7420666f756e6438014a8a010a11089ebea2cff90712087061796d656e7473102b"
       "1a20c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3222c7370696666653a2f"
       "2f636f72652d706c6174666f726d2e696e7465726e616c2f7075626c69736865722f63692a0e746967687465"
       "6e206c696d6974733085b883a1f732380140024a08656e76656c6f7065"},
      {Response{2, 0, {}, publish_result()},
       "13a902080252a402084d102b1a20111111111111111111111111111111111111111111111111111111111111"
       "1111222830313233343536373839616263646566303132333435363738396162636465663031323334353637"
       "280b320e7468652068656164206d6f7665643a5b0a11089ebea2cff90712087061796d656e7473102a1a20a1"
       "a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a12220a2a2a2a2a2a2a2a2a2a2a2"
       "a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a22803422c7370696666653a2f2f636f72652d706c617466"
       "6f726d2e696e7465726e616c2f7075626c69736865722f63694883b883a1f732522a0a08612f622e7265676f"
       "100c1a0a7265676f2e70617273652210756e657870656374656420746f6b656e58016002"},
      {Response{3, 0, {}, trust_row()},
       "133508035a3108081211089ebea2cff90712087061796d656e747318b0ea01221672656769737472792e696e"
       "7465726e616c3a37343435"},
      {Response{4, 0, {}, IssuedToken{"token"}}, "130908046205746f6b656e"},
      {Response{5, 0, {}, certificate()},
       "131f08056a1b0a0c636572746966696361746573120b617574686f726974696573"},
      {failed(DecisionsPage{decision_rows(), true, "cursor", 70000}),
       "13c0010801100a1a096e6f7420666f756e6438017a5a0a2c7370696666653a2f2f636f72652d706c617466"
       "6f726d2e696e7465726e616c2f6e6f64652f656467652d31371210101112131415161718191a1b1c1d1e1f"
       "1a067265636f7264220d616374697665207265636f72642886087a430a2c7370696666653a2f2f636f7265"
       "2d706c6174666f726d2e696e7465726e616c2f6e6f64652f656467652d3137121010111213141516171819"
       "1a1b1c1d1e1f288508820106637572736f72a001f0a204"},
      {failed(DecisionCountsPage{
           {{"/authz/allow", "273165098782/payments", record::Outcome::kDeny, 1234}},
           true,
           "cursor"}),
       "13470801100a1a096e6f7420666f756e6438018a012a0a0c2f617574687a2f616c6c6f7712153237333136"
       "353039383738322f7061796d656e7473180220d209aa0106637572736f72"},
      {failed(LogsPage{{log_row()}, true}),
       "13c0010801100a1a096e6f7420666f756e6438019201ab010a2c7370696666653a2f2f636f72652d706c61"
       "74666f726d2e696e7465726e616c2f6e6f64652f656467652d31371210101112131415161718191a1b1c1d"
       "1e1f188010222021212121212121212121212121212121212121212121212121212121212121212a0c616e"
       "6e6f756e63656d656e743081b883a1f7323882b883a1f732422608381080081a0c616e6f7468657220726f"
       "6f742083b883a1f7322a0a636865636b706f696e744803"},
      {Response{6, 0, {}, segment_part()},
       "137b08069a01760a4a0a10101112131415161718191a1b1c1d1e1f10800818800428b09f1a322022222222"
       "222222222222222222222222222222222222222222222222222222223a0a636865636b706f696e7410f0a2"
       "041a1b746865206669727374206279746573206f662074686520626f647920012884b883a1f732"},
      {RootUpdate{"root 8"}, "0b080a06726f6f742038"},
      {freshness_update(),
       "0ce401086410631886b883a1f73220a0f7362808327d0a11089ebea2cff90712087061796d656e7473100318"
       "2a2220a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a12a2041414141414141"
       "414141414141414141414141414141414141414141414141412a204242424242424242424242424242424242"
       "4242424242424242424242424242423a10089ebea2cff9071207726566756e64734240737373737373737373"
       "7373737373737373737373737373737373737373737373737373737373737373737373737373737373737373"
       "7373737373737373737373"},
      {Join{"token", "request"}, "14100a05746f6b656e120772657175657374"},
      {Joined{certificate(), {"root 7", "root 8"}},
       "152d0a1b0a0c636572746966696361746573120b617574686f7269746965731206726f6f7420371206726f6f"
       "742038"},
      {InventoryRequest{3, true}, "0d0408031001"},
      {Inventory{3, 2, "leaf oneleaf two", {}}, "0e16080310021a106c656166206f6e656c6561662074776f"},
      {Inventory{3, 30000, {}, "sketch"}, "0e0e080310b0ea012206736b65746368"},
      {LogGrant{log_id(), 1024, 1 << 20, true, 56, "two records at position 1024"},
       "803b0a10101112131415161718191a1b1c1d1e1f1080081880804020012838321c74776f207265636f7264"
       "7320617420706f736974696f6e2031303234"},
      {LogAnnouncement{"announcement"}, "810e0a0c616e6e6f756e63656d656e74"},
      {segment(),
       "82500a10101112131415161718191a1b1c1d1e1f10800818800420f0a20428b09f1a322022222222222222"
       "222222222222222222222222222222222222222222222222223a0a636865636b706f696e744003"},
      {pruned_segment(),
       "828c010a10101112131415161718191a1b1c1d1e1f108208180328c4133220222222222222222222222222"
       "22222222222222222222222222222222222222223a0a636865636b706f696e744a20232323232323232323"
       "23232323232323232323232323232323232323232323234a20242424242424242424242424242424242424"
       "2424242424242424242424242424"},
      {Hello{{1}, "notp-client 0.1.0", 7, 99, {}, log_offer()},
       "01530a010112116e6f74702d636c69656e7420302e312e301807206332370a10101112131415161718191a"
       "1b1c1d1e1f1080101a202121212121212121212121212121212121212121212121212121212121212121"},
      {segment_of_many(),
       "82540a10101112131415161718191a1b1c1d1e1f10800818800420f0a20428b09f1a322022222222222222"
       "222222222222222222222222222222222222222222222222223a0a636865636b706f696e74400350e0d403"},
      {Hello{{1}, "notp-client 0.1.0", 7, 99, {}, late_log_offer()},
       "01570a010112116e6f74702d636c69656e7420302e312e3018072063323b0a10101112131415161718191a"
       "1b1c1d1e1f1080101a20212121212121212121212121212121212121212121212121212121212121212120b0"
       "ea01"},
      {Response{5, 0, {}, NodesPage{{node_row_with_lag()}, false}},
       "13390805"
       "2a350a2c7370696666653a2f2f636f72652d706c6174666f726d2e696e7465726e616c2f6e6f64652f"
       "656467652d31373085b883a1f732"},
      {short_offer(),
       "032f0806182a2a20d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d430e80738"
       "0a48035002"},
      {short_commit(), "0508102a180238004003"},
      {HeldRequest{kLedger, 41, 2}, "93170a11089ebea2cff90712087061796d656e747310291802"},
      {Held{kLedger, {"release 42", "release 43"}, {"root 3"}, "statement"},
       "943e0a11089ebea2cff90712087061796d656e7473120a72656c65617365203432120a72656c6561736520"
       "34331a06726f6f742033220973746174656d656e74"},
      {ReturnRequest{7, kLedger, 42, hash_of(0xe1), 41},
       "953b08071211089ebea2cff90712087061796d656e7473182a2220e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1"
       "e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e12829"},
      {Return{7, Base{41, hash_of(0xe2)}, 175, 3, 0, {}},
       "962d0807122408291220e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e218"
       "af012003"},
      {Return{7, std::nullopt, 0, 0, 10, "v42 is not held any more"},
       "961e0807280a3218763432206973206e6f742068656c6420616e79206d6f7265"},
      {Request{19, RecoveryRequest{kLedger}},
       "121808139201130a11089ebea2cff90712087061796d656e7473"},
      {Request{20, Recover{true, true}}, "120908149a010408011001"},
      {Request{21, StatusRequest{kLedger, 100}},
       "121a0815a201150a11089ebea2cff90712087061796d656e74731064"},
      {Response{7, 0, {}, recovery_status()},
       "1381010807b2017c0885b883a1f7321086b883a1f73218022003280430013a2c7370696666653a2f2f636f"
       "72652d706c6174666f726d2e696e7465726e616c2f6e6f64652f656467652d313740014a340a11089ebea2"
       "cff90712087061796d656e74731029182f2002280230013a037634334210656467652d313720686173206c"
       "656674"},
      {Response{8, 0, {}, registry_status()},
       "13560808ba01510887b883a1f7321088b883a1f73218032004280530f02e3807400848a846500a580b600c"
       "680d72290a11089ebea2cff90712087061796d656e7473102a1889b883a1f7322006280330013801400148"
       "fa01"},
      {traced(publish()),
       "109101084d1211089ebea2cff90712087061796d656e74731a24082a1220f1f1f1f1f1f1f1f1f1f1f1f1f1f1"
       "f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1202b2a20f2f2f2f2f2f2f2f2f2f2f2f2f2f2f2f2f2f2f2f2f2f2"
       "f2f2f2f2f2f2f2f2f2f23080203a0e7469676874656e206c696d697473400248015a19616263646566676869"
       "6a6b6c6d6e6f70818283848586878801"},
      {traced(offer()),
       "03d10108051211089ebea2cff90712087061796d656e7473182a222408291220d1d1d1d1d1d1d1d1d1d1d1d1"
       "d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d12a20d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2"
       "d2d2d2d2d2d2d2d2d2d230e807380a4220d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3"
       "d3d3d3d3d35a2c0a20d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d412086c"
       "656166206f6e6560016a196162636465666768696a6b6c6d6e6f70818283848586878801"},
      {traced(short_offer()),
       "034a0806182a2a20d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d430e80738"
       "0a480350026a196162636465666768696a6b6c6d6e6f70818283848586878801"},
  };
}

inline std::vector<Message> all() {
  std::vector<Message> out;
  for (Sample& sample : table()) out.push_back(std::move(sample.message));
  return out;
}

}  // namespace notp::wire::samples
