// One message of every kind with every field set, shared by the codec's tests and fuzzers.
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

inline const LedgerId kLedger{273165098782, "payments"};

inline Head head() { return {kLedger, 42, hash_of(0xa1), hash_of(0xa2), 3}; }

inline Want want() {
  Want want;
  want.ledger = kLedger;
  want.base = Base{41, hash_of(0xb1)};
  want.older = {Base{40, hash_of(0xb2)}, Base{38, hash_of(0xb3)}};
  want.resume = ResumeToken{hash_of(0xb4), 262144};
  want.version = 42;
  want.heads_only = true;
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
          "envelope"};
}

inline NodeRow node_row() {
  return {"spiffe://core-platform.internal/node/edge-17",
          "notp-client 0.1.0",
          true,
          1750000000001,
          {NodeLedger{kLedger, 42, CommitState::kActive, 42, 50, "words", 1750000000002, 43}}};
}

// In the order of Message's alternatives; Query three times.
inline std::vector<Message> all() {
  static constexpr std::string_view kContent = "chunk of content";
  return {
      Hello{{1}, "notp-client 0.1.0", 7, 99, {want()}},
      Welcome{1,
              "notp-server 0.1.0",
              "core-platform.internal",
              8,
              "root",
              {head()},
              {Refusal{kLedger, ErrorCode::kDenied, "not granted"}}},
      Offer{5, kLedger, 42, Base{41, hash_of(0xd1)}, hash_of(0xd2), 1000, 10, hash_of(0xd3)},
      Chunk{5, kContent},
      Commit{kLedger, 42, CommitState::kRejected, 50, "rego_parse_error", hash_of(0xe1)},
      WantMore{{want()}},
      Ping{11},
      Pong{12},
      ErrorMessage{ErrorCode::kOverloaded, "try later", 1500},
      Bye{"restart", 2500},
      Publish{77, kLedger, Base{42, hash_of(0xf1)}, 43, hash_of(0xf2), 4096, "tighten limits", 2},
      PublishResult{77,
                    43,
                    hash_of(0x11),
                    "0123456789abcdef0123456789abcdef01234567",
                    11,
                    "the head moved",
                    head(),
                    "spiffe://core-platform.internal/publisher/ci",
                    1750000000003,
                    {Finding{"a/b.rego", 12, "rego.parse", "unexpected token"}}},
      Query{1, HistoryQuery{kLedger, 42, 10}},
      Query{2, NodesQuery{"spiffe://core-platform.internal/node/edge-17", 20}},
      Query{3, LedgersQuery{}},
      Answer{1, 10, "not found", {history_row()}, {node_row()}, {head()}, true},
  };
}

}  // namespace notp::wire::samples
