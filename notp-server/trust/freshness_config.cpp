#include "notp-server/trust/freshness_config.hpp"

namespace notp::trust {

Result<FreshnessOptions> load_freshness(const config::Section& freshness) {
  constexpr TimeMs kSecondMs = 1'000;
  FreshnessOptions out{.private_key = freshness.text_or_empty("private_key"),
                       .interval_ms = freshness.integer("interval_s") * kSecondMs,
                       .lifetime_ms = freshness.integer("lifetime_s") * kSecondMs};
  if (out.interval_ms >= out.lifetime_ms)
    return fail(ErrorCode::kConfig,
                "freshness.lifetime_s must be above freshness.interval_s, or a statement ends "
                "before the next one comes");
  return out;
}

}  // namespace notp::trust
