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

inline const LedgerId kLedger{273165098782, "payments"};

inline ReleaseRef head() { return {kLedger, 3, 42, hash_of(0xa1), hash_of(0xa2)}; }

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
                      FreshnessState::kStale, 1750000000004}}};
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
          {LedgerId{273165098782, "refunds"}},
          Bytes(64, 's')};
}

inline Certificate certificate() { return {"certificates", "authorities"}; }

inline TrustRow trust_row() { return {8, kLedger, 30000, "registry.internal:7445"}; }

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
  commit.freshness = FreshnessState::kUntracked;
  commit.subscription = 3;
  return commit;
}

// In the order of Message's alternatives; Request and Response with each of their contents. Then
// the short forms.
inline std::vector<Message> all() {
  static constexpr std::string_view kContent = "chunk of content";
  return {
      Hello{{1}, "notp-client 0.1.0", 7, 99, {want()}},
      Welcome{1,
              "notp-server 0.1.0",
              "core-platform.internal",
              8,
              {head()},
              {Refusal{kLedger, ErrorCode::kDenied, "not granted"}}},
      offer(),
      Chunk{5, kContent},
      Commit{kLedger, 42, CommitState::kRejected, 50, "rego_parse_error", hash_of(0xe1),
             FreshnessState::kFresh},
      WantMore{{want()}},
      Ping{11},
      Pong{12},
      ErrorMessage{ErrorCode::kOverloaded, "try later", 1500},
      Bye{"restart", 2500},
      Publish{77, kLedger, Base{42, hash_of(0xf1)}, 43, hash_of(0xf2), 4096, "tighten limits", 2,
              true},
      publish_result(),
      Request{1, HistoryRequest{kLedger, 42, 10}},
      Request{2, NodesRequest{"spiffe://core-platform.internal/node/edge-17", 20}},
      Request{3, LedgersRequest{}},
      Request{4, RootsRequest{7}},
      Request{5, PublishRoot{"root 9"}},
      Request{6, Withdraw{kLedger, 42, "wrong limits"}},
      Request{7, PendingRequest{kLedger}},
      Request{8, Cosign{kLedger, hash_of(0xc3), Bytes(64, 's')}},
      Request{9, DropPending{kLedger, hash_of(0xc3)}},
      Request{10, TrustRequest{}},
      Request{11, NewJoinToken{"edge-17", 3600000}},
      Request{12, RenewCertificate{"request"}},
      Request{13, LedgersRequest{kLedger}},
      Request{14, PendingRequest{std::nullopt, PendingPlace{kLedger, hash_of(0xc3)}}},
      failed(HistoryPage{{history_row()}, true}),
      failed(NodesPage{{node_row()}, true}),
      failed(LedgersPage{{head()}, {}, true}),
      failed(RootsPage{{"root 8", "root 9"}, true}),
      failed(PendingPage{{pending_row()}, true}),
      Response{2, 0, {}, publish_result()},
      Response{3, 0, {}, trust_row()},
      Response{4, 0, {}, IssuedToken{"token"}},
      Response{5, 0, {}, certificate()},
      RootUpdate{"root 8"},
      freshness_update(),
      Join{"token", "request"},
      Joined{certificate(), {"root 7", "root 8"}},
      InventoryRequest{3, true},
      Inventory{3, 2, "leaf oneleaf two", {}},
      Inventory{3, 30000, {}, "sketch"},
      short_offer(),
      short_commit(),
  };
}

}  // namespace notp::wire::samples
