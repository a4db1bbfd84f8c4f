#include "notp-client/pdp/engine_metrics.hpp"

namespace notp::pdp {

EngineMetrics::EngineMetrics(prometheus::Registry& registry)
    : up_(prometheus::BuildGauge()
              .Name("notp_agent_engine_up")
              .Help("1 while a worker of the policy engine decides.")
              .Register(registry)
              .Add({})),
      questions_(
          prometheus::BuildGauge()
              .Name("notp_agent_engine_questions")
              .Help("Questions to the policy engine by state; paths for suspect, quarantined.")
              .Register(registry)),
      workers_(
          prometheus::BuildCounter()
              .Name("notp_agent_engine_events_total")
              .Help("Workers of the policy engine: starts, kills, deaths, takeovers; questions "
                    "asked again: repeats.")
              .Register(registry)) {}

void EngineMetrics::update(const rego::EngineStatus& status) {
  up_.Set(status.serving ? 1 : 0);
  const auto set = [&](const char* state, uint64_t value) {
    questions_.Add({{"state", state}}).Set(static_cast<double>(value));
  };
  set("in_flight", status.in_flight);
  set("waiting", status.waiting);
  set("suspect", status.suspects);
  set("quarantined", status.quarantined);
  const MutexLock lock(mutex_);
  count("start", &rego::EngineStatus::starts, status);
  count("kill", &rego::EngineStatus::kills, status);
  count("death", &rego::EngineStatus::deaths, status);
  count("takeover", &rego::EngineStatus::takeovers, status);
  count("repeat", &rego::EngineStatus::repeats, status);
}

void EngineMetrics::count(const char* event, uint64_t rego::EngineStatus::* total,
                          const rego::EngineStatus& status) {
  if (status.*total < counted_.*total) return;  // an older reading, by another thread
  workers_.Add({{"event", event}}).Increment(static_cast<double>(status.*total - counted_.*total));
  counted_.*total = status.*total;
}

}  // namespace notp::pdp
