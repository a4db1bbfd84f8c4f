#include "notp-server/audit_tree/tree_metrics.hpp"

#include <algorithm>

namespace notp::audit {

void add_tree_metrics(MetricsRegistry& metrics, const RegistryTree& tree) {
  metrics.add([&tree](MetricFamilies& out) {
    out.gauge("notp_audit_tree_size", "Sealed entries of the registry's tree.", tree.log().size());
    const TimeMs since_ms = tree.log().unwitnessed_since_ms();
    out.gauge("notp_audit_unwitnessed_seconds",
              "Time since which entries of the registry's tree are under no checkpoint that a node "
              "or a witness has cosigned; 0: there are none.",
              since_ms == 0 ? 0
                            : static_cast<uint64_t>(
                                  std::max<TimeMs>(0, (read_clock().wall_ms - since_ms) / 1'000)));
    out.counter("notp_audit_witness_refusals_total",
                "Answers of nodes that refuse the registry's tree: it contradicts what they keep.",
                tree.receipt_counters().refusals);
  });
}

}  // namespace notp::audit
