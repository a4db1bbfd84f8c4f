#include "notp-server/recovery/recovery_metrics.hpp"

#include <numeric>

namespace notp::recovery {

void add_recovery_metrics(MetricsRegistry& metrics, const Recovery& recovery) {
  metrics.add([&recovery](MetricFamilies& out) {
    const Recovery::Facts facts = recovery.facts();
    out.gauge("notp_lost_releases",
              "Releases that nodes have and this registry lacks: nothing can be published to their "
              "ledgers, and no freshness is signed for the readers.",
              std::accumulate(facts.losses.lost.begin(), facts.losses.lost.end(), uint64_t{0},
                              [](uint64_t sum, const auto& lost) { return sum + lost.second; }));
    out.gauge("notp_registry_restored",
              "1 after a restore, until an administrator has run 'notp registry recover'.",
              facts.losses.is_restored ? 1 : 0);
    out.gauge("notp_forked_ledgers",
              "Ledgers of which nodes have another history than this registry.",
              facts.losses.forked.size());
    out.counter("notp_recovered_releases_total", "Releases that nodes gave back.",
                facts.recovered_total);
  });
}

}  // namespace notp::recovery
