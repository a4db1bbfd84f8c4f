// The agent's own Prometheus metrics; other components register theirs.
#pragma once

#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include "notp-client/agent/core/agent_status.hpp"

namespace notp::agent {

// Thread-safe.
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
};

}  // namespace notp::agent
