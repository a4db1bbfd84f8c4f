// How near the end of a root is: for logs, health, metrics and people. To verification a root has
// expired or has not.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "protocol/trust/statements.hpp"

namespace notp {

// Before the end of a root, milliseconds: from here on it is warned of, and from here on it is an
// error of operation. The next root needs people with offline keys, who are not there every day.
inline constexpr TimeMs kRootExpirySoonMs = 30LL * 24 * 3600 * 1000;
inline constexpr TimeMs kRootExpiryUrgentMs = 7LL * 24 * 3600 * 1000;

enum class RootExpiry : uint8_t { kFar, kSoon, kUrgent, kExpired };

// "far", "soon", "urgent", "expired": for logs, health and documents.
std::string_view root_expiry_name(RootExpiry expiry);

// `expires_ms` as in Root; 0: it never expires, and is far for ever.
RootExpiry root_expiry(TimeMs expires_ms, TimeMs now_ms);
// The instant at which root_expiry() becomes another one; kNever: none.
TimeMs next_root_expiry_ms(TimeMs expires_ms, TimeMs now_ms);
// When it ends, what that means and what to do, for a person; empty while it is far.
std::string root_expiry_text(const Root& root, TimeMs now_ms);

}  // namespace notp
