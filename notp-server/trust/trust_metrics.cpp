#include "notp-server/trust/trust_metrics.hpp"

namespace notp::trust {

void add_trust_metrics(MetricsRegistry& metrics, const RootStore& roots,
                       const FreshnessSigner& freshness) {
  metrics.add([&roots, &freshness](MetricFamilies& out) {
    const auto root = roots.current();
    out.gauge("notp_root_version", "The newest root that is served.", root->version);
    out.gauge("notp_root_expires_timestamp_seconds",
              "When the newest root expires, unix time; 0: never.",
              static_cast<uint64_t>(root->expires_ms / 1000));
    out.counter("notp_freshness_signed_total", "Statements of freshness signed.",
                freshness.signed_total());
    out.counter("notp_freshness_class_signed_total",
                "Statements of freshness signed that a class of readers shares.",
                freshness.class_signed_total());
    out.counter("notp_freshness_assignments_total", "Assignments of a reader to a class signed.",
                freshness.assigned_total());
    const FreshnessKeyState key = freshness.key_state();
    out.gauge("notp_freshness_key_missing",
              "1 when the root names a freshness key that this registry does not have: nodes age.",
              key == FreshnessKeyState::kMissing || key == FreshnessKeyState::kOther ? 1 : 0);
  });
}

}  // namespace notp::trust
