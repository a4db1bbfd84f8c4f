// The agent's own Prometheus metrics; other components register theirs.
#pragma once

#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include <map>
#include <string>

#include "notp-client/agent/core/agent_status.hpp"

namespace notp::agent {

// What the registry says of the sources of keys. An issuer that it does not name any more has no
// series.
class SourceMetrics {
 public:
  explicit SourceMetrics(prometheus::Registry& registry);
  void update(const std::vector<wire::IssuerStatus>& sources);

 private:
  struct Series {
    prometheus::Gauge* state = nullptr;
    prometheus::Gauge* good = nullptr;
  };
  prometheus::Family<prometheus::Gauge>& state_;
  prometheus::Family<prometheus::Gauge>& good_;
  std::map<std::string, Series> series_;  // by name
};

// One thread at a time.
class AgentMetrics {
 public:
  explicit AgentMetrics(prometheus::Registry& registry);
  void update(const AgentStatus& status);

 private:
  prometheus::Family<prometheus::Gauge>& gauge(const char* name, const char* help);

  prometheus::Registry& registry_;
  prometheus::Gauge& connected_;
  prometheus::Gauge& alarms_;
  prometheus::Gauge& log_refused_;
  prometheus::Gauge& tree_refused_;
  prometheus::Family<prometheus::Gauge>& stored_;
  prometheus::Family<prometheus::Gauge>& active_;
  prometheus::Family<prometheus::Gauge>& rejected_;
  prometheus::Family<prometheus::Gauge>& state_;
  prometheus::Family<prometheus::Gauge>& age_;
  prometheus::Gauge& root_;
  prometheus::Gauge& root_expires_;
  prometheus::Gauge& sequence_;
  SourceMetrics sources_;
};

}  // namespace notp::agent
