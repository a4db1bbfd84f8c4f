// Limits of the sources that are asked or listened to. A peer can reach each of them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/clock.hpp"
#include "protocol/feed/feed_limits.hpp"

namespace notp::lane_inputs {

// --- introspection (RFC 7662)
inline constexpr size_t kIntrospectionBytesMax = 64 << 10;  // of an answer
inline constexpr TimeMs kIntrospectionMs = 5'000;           // one call, an access token included
inline constexpr size_t kIntrospectionCallsMax = 4;         // at once, of one source
// RFC 9701: an answer is signed for one question.
inline constexpr TimeMs kSignedAnswerAgeMsMax = 60'000;

// --- status lists (draft-ietf-oauth-status-list)
inline constexpr size_t kStatusListUrisMax = 64;    // of one source
inline constexpr size_t kStatusUriBytesMax = 1024;  // one of them
// Base64url twice, for `lst` and for the token, and the rest of the token.
inline constexpr size_t kStatusTokenBytesMax = limits::kStatusListBytesMax / 9 * 16 + (16 << 10);
inline constexpr TimeMs kStatusFetchMs = 10'000;
inline constexpr TimeMs kStatusTtlMsMin = 30'000;
inline constexpr TimeMs kStatusTtlMsMax = 300'000;
inline constexpr TimeMs kStatusTtlMs = kStatusTtlMsMax;  // of a list without ttl
inline constexpr int64_t kStatusJitterPercent = 10;      // a fetch is earlier by up to this
// From a failure to the next try: doubled up to the latter.
inline constexpr TimeMs kStatusRetryMs = 5'000;
inline constexpr TimeMs kStatusRetryMsMax = 60'000;

// --- streams of token messages (websocket, redis, postgresql)
inline constexpr size_t kStreamMessageBytesMax = 20 << 10;  // one message; holds a whole token
inline constexpr size_t kTokenTypeBytesMax = 64;
inline constexpr size_t kChannelBytesMax = 63;          // PostgreSQL's NAMEDATALEN - 1
inline constexpr size_t kStreamWaitingMax = 10'000;     // adds that wait for their attributes
inline constexpr size_t kStreamUntakenMax = 20'000;     // events that the lane has not taken yet
inline constexpr size_t kStreamDeletesMax = 100'000;    // the same, when one more is a delete
inline constexpr size_t kStreamBatchMax = 256;          // events of one take
inline constexpr int kResolveTriesMax = 5;              // for the attributes of one token
inline constexpr size_t kTokenBookMax = 1'000'000;      // tokens, whatever the configuration says
inline constexpr size_t kTokenBookBytesMax = 64 << 20;  // of their texts
inline constexpr TimeMs kSweepMs = 300'000;             // from the beginning of one to the next
inline constexpr TimeMs kSweepRetryMs = 30'000;         // after one that did not ask for all
inline constexpr TimeMs kReconnectMs = 500;             // doubled up to the latter
inline constexpr TimeMs kReconnectMsMax = 30'000;
inline constexpr TimeMs kTakeRetryMs = 500;         // after an intake that took nothing
inline constexpr TimeMs kStreamFailingMs = 60'000;  // without a connection, or an answer
inline constexpr TimeMs kStreamConnectMs = 10'000;  // until it is subscribed
inline constexpr TimeMs kStreamQuietMs = 20'000;    // then the peer is asked whether it is there
inline constexpr TimeMs kStreamDeadMs = 20'000;     // an answer to that question takes at most this

}  // namespace notp::lane_inputs
