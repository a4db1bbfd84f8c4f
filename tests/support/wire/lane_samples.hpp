// A lane with one token of each state, and the statements about it.
#pragma once

#include <array>
#include <string>

#include "protocol/feed/lane_statement.hpp"

namespace notp::samples {

inline const PrivateKey& lane_key() {
  static const PrivateKey key = [] {
    std::array<uint8_t, 32> seed{};
    seed.fill(0x05);
    return PrivateKey::from_seed(seed);
  }();
  return key;
}

inline constexpr std::string_view kToken = "2YotnFZFEjr1zCsicMWpAA";  // of RFC 6749 §5.1
inline constexpr std::string_view kTokenIssuer = "https://login.internal";
inline constexpr std::string_view kSubject = "ada";
inline constexpr TimeMs kLaneTimeMs = 1'782'867'660'000;
inline constexpr int64_t kLaneTimeS = kLaneTimeMs / 1'000;

inline feed::TokenId lane_instance() {
  feed::TokenId id;
  id.bytes.fill(0x0a);
  return id;
}

inline feed::LaneHeader lane_header(uint64_t head) {
  return {.trust_domain = "core-platform.internal",
          .lane = "login",
          .instance = lane_instance(),
          .grant = 1,
          .time_ms = kLaneTimeMs,
          .head = head,
          .terms = {.hard_s = 900, .serves = false, .life_s = 3'600}};
}

inline feed::TokenRecord token_record() {
  return {.iss = std::string(kTokenIssuer),
          .sub = std::string(kSubject),
          .client = "shop",
          .scope = "orders:read orders:write",
          .aud = {"https://api.internal"},
          .exp_s = kLaneTimeS + 3'600,
          .iat_s = kLaneTimeS,
          .acr = {},
          .amr = {},
          .auth_time_s = 0,
          .sid = {},
          .cnf = {}};
}

inline feed::Event live_token() {
  return feed::Event::token(feed::token_id(kToken), token_record());
}
inline feed::Event deleted_token() {
  return feed::Event::deleted(feed::token_id("tGzv3JOkF0XG5Qx2TlKWIA"), kLaneTimeS + 3'660);
}
inline feed::Event subject_mark() {
  return feed::Event::mark(feed::mark_key(feed::MarkKind::kSubject, kTokenIssuer, kSubject),
                           kLaneTimeS - 60, kLaneTimeS + 3'600);
}
inline feed::Event status_list() {
  // Of draft-ietf-oauth-status-list, "Status List Byte Array": one bit for each of 16 tokens.
  return feed::Event::status_list(feed::token_id("https://login.internal/statuslists/1"), 1,
                                  Bytes("\x78\xda\xdb\xb9\x18\x00\x02\x17\x01\x5d", 10),
                                  kLaneTimeS + 300);
}

inline feed::Batch lane_batch() {
  return {
      .header = lane_header(42), .from = 40, .to = 42, .events = {subject_mark(), deleted_token()}};
}

inline feed::Batch heartbeat() {
  return {.header = lane_header(42), .from = 42, .to = 42, .events = {}};
}

inline feed::Snapshot lane_snapshot() {
  return {.header = lane_header(42),
          .as_of = 40,
          .after = feed::key_of(deleted_token()),
          .last = std::nullopt,
          .rows = {live_token()}};
}

inline feed::Answer unknown_token() {
  return {.header = lane_header(42),
          .revision = 42,
          .id = feed::token_id("a token that nobody knows"),
          .event = std::nullopt};
}

}  // namespace notp::samples
