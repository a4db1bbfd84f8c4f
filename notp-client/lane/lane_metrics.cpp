#include "notp-client/lane/lane_metrics.hpp"

#include "common/clock.hpp"

namespace notp::lane {
namespace {

prometheus::Gauge& gauge(prometheus::Registry& registry, const std::string& lane, const char* name,
                         const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add({{"lane", lane}});
}

prometheus::Counter& counter(prometheus::Registry& registry, const std::string& lane,
                             const char* name, const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry).Add({{"lane", lane}});
}

// As the help says.
double number_of(std::string_view state) {
  constexpr std::string_view kStates[] = {"unknown", "live",        "lagging",
                                          "stale",   "unsupported", "denied"};
  for (size_t i = 0; i < std::size(kStates); ++i)
    if (kStates[i] == state) return static_cast<double>(i);
  return 0;
}

}  // namespace

void LaneMetrics::Total::advance(uint64_t total) {
  if (total > seen) counter.Increment(static_cast<double>(total - seen));
  seen = total;
}

LaneMetrics::LaneMetrics(prometheus::Registry& registry, const std::string& lane)
    : revision_(gauge(registry, lane, "notp_agent_lane_revision",
                      "Up to which nothing of the lane is missing here; 0: never complete.")),
      acknowledged_(gauge(registry, lane, "notp_agent_lane_acknowledged_revision",
                          "That is durable and decided with, as this node has reported.")),
      state_(gauge(registry, lane, "notp_agent_lane_state",
                   "0 unknown, 1 live, 2 lagging, 3 stale, 4 unsupported by the registry, 5 "
                   "denied.")),
      heard_(gauge(registry, lane, "notp_agent_lane_heard_timestamp_seconds",
                   "Time of the registry's newest statement, unix time; 0: there was none.")),
      tokens_(gauge(registry, lane, "notp_agent_lane_tokens", "Living tokens that are held.")),
      tombstones_(
          gauge(registry, lane, "notp_agent_lane_deleted", "Deleted tokens that are held.")),
      marks_(gauge(registry, lane, "notp_agent_lane_marks",
                   "Revoked subjects, sessions and the like.")),
      lists_(gauge(registry, lane, "notp_agent_lane_lists", "Token status lists.")),
      memory_(gauge(registry, lane, "notp_agent_lane_memory_bytes",
                    "Of the table, which the workers of the PDP share.")),
      held_(gauge(registry, lane, "notp_agent_lane_answers",
                  "Of the registry to asks, that still count.")),
      events_{counter(registry, lane, "notp_agent_lane_events_total", "Events that were taken.")},
      statements_{counter(registry, lane, "notp_agent_lane_statements_total",
                          "Statements of the registry.")},
      refused_{counter(registry, lane, "notp_agent_lane_statements_refused_total",
                       "Of these, that failed their checks.")},
      asked_{counter(registry, lane, "notp_agent_lane_asks_total",
                     "Tokens for which the registry was asked.")},
      unanswered_{counter(registry, lane, "notp_agent_lane_asks_unanswered_total",
                          "Asks without an answer, or that were not made.")} {}

void LaneMetrics::update(const LaneStatus& status) {
  revision_.Set(static_cast<double>(status.readout.revision));
  acknowledged_.Set(static_cast<double>(status.acknowledged));
  state_.Set(number_of(status.state(status.readout.boot_ms)));
  heard_.Set(static_cast<double>(status.readout.heard_ms) / 1000);
  tokens_.Set(static_cast<double>(status.tokens));
  tombstones_.Set(static_cast<double>(status.tombstones));
  marks_.Set(static_cast<double>(status.marks));
  lists_.Set(static_cast<double>(status.lists));
  memory_.Set(static_cast<double>(status.memory_bytes));
  held_.Set(static_cast<double>(status.held));
  events_.advance(status.events);
  statements_.advance(status.statements);
  refused_.advance(status.refused);
  asked_.advance(status.asked);
  unanswered_.advance(status.unanswered);
}

}  // namespace notp::lane
