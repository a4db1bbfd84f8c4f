// Metrics of the mirrors, for Prometheus.
#pragma once

#include <prometheus/counter.h>

#include <functional>
#include <string>
#include <vector>

#include "common/telemetry/metrics_registry.hpp"
#include "tools/notp/mirror/mirror_config.hpp"
#include "tools/notp/mirror/mirror_status.hpp"

namespace notp::cli {

struct MirrorReport {
  const MirrorConfig* config;
  const MirrorStatus* status;
};

// One thread, which also answers scrapes.
class MirrorMetrics {
 public:
  using Reports = std::function<std::vector<MirrorReport>()>;

  // `reports` is called at each scrape.
  MirrorMetrics(MetricsRegistry& metrics, Reports reports);
  // Counts what a pass added to the totals of a status; the first call of a mirror compares with an
  // empty one.
  void add(const MirrorConfig& config, const MirrorStatus& before, const MirrorStatus& after);

 private:
  using Counters = prometheus::Family<prometheus::Counter>;

  Counters& releases_;
  Counters& proposals_;
  Counters& holds_;
  Counters& refusals_;
  Counters& failures_;
};

}  // namespace notp::cli
