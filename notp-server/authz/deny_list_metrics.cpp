#include "notp-server/authz/deny_list_metrics.hpp"

namespace notp::authz {

void add_deny_list_metrics(MetricsRegistry& metrics, const DenyList& denied) {
  metrics.add([&denied](MetricFamilies& out) {
    out.gauge("notp_denied_identities", "Identities on the deny list.", denied.size());
  });
}

}  // namespace notp::authz
