// Limits of the client of authorization servers.
#pragma once

#include <cstddef>

#include "common/clock.hpp"

namespace notp::oauth {

inline constexpr size_t kSecretBytesMax = 4 << 10;        // of a file
inline constexpr size_t kTokenAnswerBytesMax = 32 << 10;  // of a token endpoint
inline constexpr size_t kAccessTokenBytesMax = 12 << 10;  // fits a header section
inline constexpr size_t kNonceBytesMax = 512;
inline constexpr size_t kErrorNameBytesMax = 64;  // of a refusal that is shown

inline constexpr TimeMs kTokenCallMs = 5'000;
inline constexpr TimeMs kAssertionLifeMs = 60'000;  // RFC 7523 §3: short, as it is used at once
// A token is replaced so long before its end, or a fifth of its life if that is shorter.
inline constexpr TimeMs kRenewalMs = 30'000;
inline constexpr TimeMs kUnstatedLifeMs = 60'000;  // of a token without expires_in
inline constexpr TimeMs kTokenLifeMsMax = 24LL * 3600 * 1000;
// Calls of one request to a resource: with the kept token, with a nonce, with a new token.
inline constexpr int kResourceCallsMax = 3;

}  // namespace notp::oauth
