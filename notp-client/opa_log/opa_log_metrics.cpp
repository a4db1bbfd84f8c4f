#include "notp-client/opa_log/opa_log_metrics.hpp"

#include "common/telemetry/followed_counter.hpp"

namespace notp::opa_log {

OpaLogMetrics::OpaLogMetrics(prometheus::Registry& registry)
    : recorded_(counter(registry, "notp_agent_opa_events_recorded_total",
                        "Events of OPA's decision log that were recorded.")),
      duplicates_(
          counter(registry, "notp_agent_opa_events_duplicates_total",
                  "Events of OPA's decision log that came again and were recorded before.")),
      damaged_(counter(registry, "notp_agent_opa_events_damaged_total",
                       "Lines and elements of OPA's decision log that are no events.")),
      dropped_(counter(registry, "notp_agent_opa_events_dropped_total",
                       "Events of OPA's decision log that a rule left out of the records.")),
      missing_(counter(registry, "notp_agent_source_missing_total",
                       "Decisions that OPA answered and did not log, as gap records say.")) {}

void OpaLogMetrics::update(const IntakeStatus& status) {
  follow(recorded_, status.recorded);
  follow(duplicates_, status.duplicates);
  follow(damaged_, status.damaged);
  follow(dropped_, status.dropped);
  follow(missing_, status.missing);
}

}  // namespace notp::opa_log
