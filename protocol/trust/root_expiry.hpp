// Classifies how near the expiry of a root is, for logs, health, metrics and people. To
// verification a root has expired or has not.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "protocol/trust/statements.hpp"

namespace notp::trust {

// Time before the expiry of a root, milliseconds, from which on it is warned of and counts as an
// error of operation. The next root needs people with offline keys, who are not available every
// day.
inline constexpr TimeMs kRootExpirySoonMs = 30LL * 24 * 3600 * 1000;
inline constexpr TimeMs kRootExpiryUrgentMs = 7LL * 24 * 3600 * 1000;

enum class RootExpiry : uint8_t { kFar, kSoon, kUrgent, kExpired };

// "far", "soon", "urgent", "expired": for logs, health and documents.
std::string_view root_expiry_name(RootExpiry expiry);

// `expires_ms` as in Root; 0: it never expires, and stays far.
RootExpiry root_expiry(TimeMs expires_ms, TimeMs now_ms);
// Returns the instant at which root_expiry() changes; kNever: it does not.
TimeMs next_root_expiry_ms(TimeMs expires_ms, TimeMs now_ms);
// Describes the expiry, its consequences and the remedy, for a person; empty while it is far.
std::string root_expiry_text(const Root& root, TimeMs now_ms);

}  // namespace notp::trust
