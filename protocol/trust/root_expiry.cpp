#include "protocol/trust/root_expiry.hpp"

#include <fmt/format.h>

namespace notp::trust {
namespace {

constexpr TimeMs kHourMs = 3600 * 1000;
constexpr TimeMs kDayMs = 24 * kHourMs;

std::string counted(TimeMs count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

// Formats whole days, and hours when there are few.
std::string span(TimeMs ms) {
  if (ms >= 2 * kDayMs) return counted(ms / kDayMs, "day");
  return ms >= kHourMs ? counted(ms / kHourMs, "hour") : "less than an hour";
}

}  // namespace

std::string_view root_expiry_name(RootExpiry expiry) {
  switch (expiry) {
    case RootExpiry::kFar:
      return "far";
    case RootExpiry::kSoon:
      return "soon";
    case RootExpiry::kUrgent:
      return "urgent";
    case RootExpiry::kExpired:
      return "expired";
  }
  return "unknown";
}

RootExpiry root_expiry(TimeMs expires_ms, TimeMs now_ms) {
  if (expires_ms == 0) return RootExpiry::kFar;
  if (now_ms >= expires_ms) return RootExpiry::kExpired;
  const TimeMs left_ms = expires_ms - now_ms;
  if (left_ms <= kRootExpiryUrgentMs) return RootExpiry::kUrgent;
  return left_ms <= kRootExpirySoonMs ? RootExpiry::kSoon : RootExpiry::kFar;
}

TimeMs next_root_expiry_ms(TimeMs expires_ms, TimeMs now_ms) {
  if (expires_ms == 0) return kNever;
  for (const TimeMs before_ms : {kRootExpirySoonMs, kRootExpiryUrgentMs, TimeMs{0}})
    if (now_ms < expires_ms - before_ms) return expires_ms - before_ms;
  return kNever;
}

std::string root_expiry_text(const Root& root, TimeMs now_ms) {
  const RootExpiry expiry = root_expiry(root.expires_ms, now_ms);
  if (expiry == RootExpiry::kFar) return {};
  constexpr std::string_view kWayOut =
      "the holders of the root keys make the next root: 'notp root set-expiry', 'notp root sign', "
      "'notp root publish'";
  if (expiry == RootExpiry::kExpired)
    return fmt::format(
        "root {} of {} expired {} ago ({}): nodes accept nothing new, and what they decide with "
        "ages by its publisher's terms; {}",
        root.version, root.trust_domain, span(now_ms - root.expires_ms), utc_time(root.expires_ms),
        kWayOut);
  return fmt::format(
      "root {} of {} expires in {} ({}); from then on nodes accept nothing new; before that {}",
      root.version, root.trust_domain, span(root.expires_ms - now_ms), utc_time(root.expires_ms),
      kWayOut);
}

}  // namespace notp::trust
