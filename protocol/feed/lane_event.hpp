// The events of a token lane. protocol/feed/README.md, "Events".
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/bytes.hpp"
#include "protocol/feed/token_id.hpp"

namespace notp::feed {

// The attributes of a living token that a lane may carry. Times are Unix seconds; 0 and empty:
// absent. Only `exp_s` is required.
struct TokenRecord {
  std::string iss, sub, client;
  std::string scope;  // separated by spaces (RFC 6749 §3.3)
  std::vector<std::string> aud;
  int64_t exp_s = 0;
  int64_t iat_s = 0;
  std::string acr;
  std::vector<std::string> amr;
  int64_t auth_time_s = 0;
  std::string sid;
  std::string cnf;  // text of a JSON object (RFC 7800)
  bool operator==(const TokenRecord&) const = default;
};

// In the order of snapshots: revocations come before tokens.
enum class EventKind : uint8_t {
  kMark = 1,     // what was issued to a subject or session up to a time is revoked
  kList = 2,     // a token status list
  kDeleted = 3,  // a token is revoked
  kToken = 4,    // a token lives
};

// A mark with this time revokes whatever its iat is.
inline constexpr int64_t kAnyIssueTime = 253'402'300'799;

// The newest event about one id. Of each kind, the members that its comment names.
struct Event {
  EventKind kind = EventKind::kToken;
  // kToken, kDeleted: token_id(). kMark: mark_key(). kList: the front of SHA-256 of its URI.
  TokenId id;
  int64_t not_before_s = 0;  // kMark: an iat up to it is revoked (RFC 7519 §4.1.6: whole seconds)
  int64_t until_s = 0;       // all but kToken: it may be forgotten then
  TokenRecord record;        // kToken
  uint32_t bits = 0;         // kList: 1, 2, 4 or 8 for each token
  Bytes list;                // kList: ZLIB (RFC 1950), at most kStatusListBytesMax

  static Event token(const TokenId& id, TokenRecord record);
  static Event deleted(const TokenId& id, int64_t until_s);
  static Event mark(const TokenId& key, int64_t not_before_s, int64_t until_s);
  static Event status_list(const TokenId& key, uint32_t bits, Bytes list, int64_t until_s);

  // When it ends by itself: record.exp_s, or until_s.
  int64_t end_s() const { return kind == EventKind::kToken ? record.exp_s : until_s; }
  // kMessage names the member and the rule.
  Result<void> check() const;
  bool operator==(const Event&) const = default;
};

// Kind and id: the order of snapshots.
struct EventKey {
  static constexpr size_t kSize = 1 + TokenId::kSize;
  EventKind kind = EventKind::kMark;
  TokenId id;

  static Result<EventKey> from_bytes(ByteView view);
  Bytes bytes() const;
  auto operator<=>(const EventKey&) const = default;
};
inline EventKey key_of(const Event& event) { return {event.kind, event.id}; }

// The encoding of a record alone, for stores: at most kTokenRecordBytesMax of a checked one.
Bytes encode_record(const TokenRecord& record);
Result<TokenRecord> decode_record(ByteView bytes);

}  // namespace notp::feed
