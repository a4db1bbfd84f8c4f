// The registry's counters as Prometheus collects them.
#pragma once

#include <prometheus/collectable.h>

#include <functional>
#include <utility>
#include <vector>

#include "notp-server/registry/snapshot_memory.hpp"
#include "notp-server/service/service.hpp"

namespace notp {

struct ServiceMetricsParts {
  const Service& service;
  const ArtifactCache& artifacts;
  std::function<SnapshotMemory::Counters()> snapshots;
  const FreshnessSigner& freshness;
  const RootStore& roots;
  const DenyList* denied = nullptr;        // may be null
  const Enrollment* enrollment = nullptr;  // the same
};

// The parts must outlive it. Thread-safe.
class ServiceMetrics : public prometheus::Collectable {
 public:
  explicit ServiceMetrics(ServiceMetricsParts parts) : parts_(std::move(parts)) {}

  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  const ServiceMetricsParts parts_;
};

}  // namespace notp
