// Limits of the inputs of token lanes, beside those of notp-server/lane/lane_limits.hpp,
// protocol/feed/feed_limits.hpp and common/jose/jose_limits.hpp. A source can reach each of them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/clock.hpp"

namespace notp::lane_inputs {

// --- listener
inline constexpr uint16_t kListenPort = 7445;
inline constexpr size_t kListenConnectionsMax = 256;
inline constexpr size_t kPushesMax = 256;       // requests of one source that wait for a commit
inline constexpr int64_t kRetryAfterS = 1;      // of a 429
inline constexpr int64_t kKeyRetryAfterS = 10;  // of a 503 for a key that is not known yet
inline constexpr TimeMs kCommitMs = 10'000;     // a request waits so long for a commit

inline constexpr size_t kAuthorizationBytesMax = 4 << 10;  // of a file

// --- own form
inline constexpr size_t kEventsBodyBytesMax = 1 << 20;
inline constexpr size_t kEventLinesMax = 4'096;         // of one request
inline constexpr size_t kEventLineBytesMax = 24 << 10;  // a token of 16 KiB and its attributes
inline constexpr size_t kTokenBytesMax = 16 << 10;      // a token that is hashed
inline constexpr size_t kSubjectBytesMax = 512;         // iss, sub, sid, jti, txn

// --- security event tokens
inline constexpr size_t kSetBytesMax = 64 << 10;
inline constexpr size_t kJtiBytesMax = 224;  // with what precedes it, within kSourceKeyBytesMax
inline constexpr size_t kEventTypeBytesMax = 256;
inline constexpr size_t kAliasesMax = 8;  // of one subject
inline constexpr size_t kStateBytesMax = 64;
// A revocation of longer ago than tokens live says nothing.
inline constexpr TimeMs kSetAgeMsMax = 30LL * 24 * 3600 * 1000;
// A key of a known issuer may be new: events with it are asked for again during this time.
inline constexpr TimeMs kUnknownKeyMs = 60'000;
inline constexpr size_t kUnknownKeysMax = 32;  // that are waited for

// --- poll (RFC 8936)
inline constexpr int64_t kPollEventsMax = 100;           // maxEvents
inline constexpr size_t kPollAnswerBytesMax = 8U << 20;  // kPollEventsMax ordinary events, and more
inline constexpr TimeMs kPollIntervalMs = 1'000;
inline constexpr int64_t kPollJitterPercent = 20;
inline constexpr TimeMs kPollCallMs = 30'000;  // an answer that is held, as a long poll
inline constexpr TimeMs kPollRetryMs = 1'000;  // after a failure: doubled up to the next
inline constexpr TimeMs kPollRetryMsMax = 60'000;
inline constexpr size_t kPollSetsMax = 4 * kPollEventsMax;  // of one answer
inline constexpr size_t kPollReportsMax = 512;              // of one request, of either kind

// --- streams (SSF)
inline constexpr size_t kUrlBytesMax = 2'048;
inline constexpr size_t kStreamAnswerBytesMax = 256 << 10;
inline constexpr TimeMs kStreamCallMs = 10'000;
inline constexpr TimeMs kStreamCheckMs = 60'000;            // between two looks at its status
inline constexpr TimeMs kVerificationMs = 30'000;           // for a verification event to arrive
inline constexpr TimeMs kVerifyAgainMs = 10LL * 60 * 1000;  // after a good verification
inline constexpr size_t kStreamIdBytesMax = 256;
inline constexpr size_t kStreamEventsMax = 64;  // about one stream, that wait
inline constexpr size_t kTellsBytesMax = 512;
inline constexpr size_t kStreamsMax = 64;  // that a transmitter shows

// --- states
inline constexpr TimeMs kFailingMs = 5LL * 60 * 1000;  // failures in a row for so long
inline constexpr size_t kRefusalNamesMax = 32;         // counted by name; others together

}  // namespace notp::lane_inputs
