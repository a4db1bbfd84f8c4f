#include "notp-server/lane/lane_metrics.hpp"

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace notp::lane {
namespace {

using Reports = std::vector<LaneReport>;
using Labels = std::vector<std::pair<std::string, std::string>>;

std::vector<MetricSample> of_each(const Reports& reports,
                                  const std::function<uint64_t(const LaneReport&)>& value) {
  std::vector<MetricSample> out;
  for (const LaneReport& report : reports)
    out.push_back({{{"lane", report.name}}, static_cast<double>(value(report))});
  return out;
}

std::vector<MetricSample> rows(const Reports& reports) {
  std::vector<MetricSample> out;
  for (const LaneReport& report : reports)
    for (const auto& [kind, count] :
         {std::pair{"token", report.store.tokens}, std::pair{"deleted", report.store.deleted},
          std::pair{"mark", report.store.marks}, std::pair{"list", report.store.lists}})
      out.push_back({Labels{{"lane", report.name}, {"kind", kind}}, static_cast<double>(count)});
  return out;
}

std::vector<MetricSample> by_source(const Reports& reports, uint64_t SourceCounts::* value) {
  std::vector<MetricSample> out;
  for (const LaneReport& report : reports)
    for (const auto& [source, counts] : report.sources)
      out.push_back(
          {Labels{{"lane", report.name}, {"source", source}}, static_cast<double>(counts.*value)});
  return out;
}

std::vector<MetricSample> nodes(const Reports& reports) {
  std::vector<MetricSample> out;
  for (const LaneReport& report : reports) {
    const ReaderCounts& readers = report.readers;
    for (const auto& [state, count] :
         {std::pair{"live", readers.live}, std::pair{"lagging", readers.lagging},
          std::pair{"stale", readers.stale},
          std::pair{"unknown", readers.nodes - readers.reported}})
      out.push_back({Labels{{"lane", report.name}, {"state", state}}, static_cast<double>(count)});
  }
  return out;
}

std::vector<MetricSample> source_states(const Lanes& lanes) {
  std::vector<MetricSample> out;
  for (const auto& [lane, source] : lanes.sources())
    for (const auto& [state, name] :
         {std::pair{SourceState::State::kOk, "ok"}, std::pair{SourceState::State::kLate, "late"},
          std::pair{SourceState::State::kFailing, "failing"}})
      out.push_back({Labels{{"lane", lane}, {"source", source.name}, {"state", name}},
                     source.state == state ? 1.0 : 0.0});
  return out;
}

std::vector<MetricSample> source_events(const Lanes& lanes) {
  constexpr double kSecondMs = 1'000;
  std::vector<MetricSample> out;
  for (const auto& [lane, source] : lanes.sources())
    out.push_back({Labels{{"lane", lane}, {"source", source.name}},
                   static_cast<double>(source.last_event_ms) / kSecondMs});
  return out;
}

prometheus::Histogram& fan_out_seconds(prometheus::Registry& registry) {
  return prometheus::BuildHistogram()
      .Name("notp_lane_fan_out_seconds")
      .Help("Time from the arrival of events until they are durable and on their way to sessions.")
      .Register(registry)
      .Add({}, prometheus::Histogram::BucketBoundaries{0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2,
                                                       0.5, 1, 5});
}

}  // namespace

FanOutMetrics::FanOutMetrics(prometheus::Registry& registry)
    : seconds_(fan_out_seconds(registry)) {}

void add_lane_metrics(MetricsRegistry& metrics, const Lanes& lanes) {
  metrics.add([&lanes](MetricFamilies& out) {
    const Reports reports = lanes.reports();
    out.gauges("notp_lane_revision", "Newest revision of a token lane.",
               of_each(reports, [](const LaneReport& report) { return report.store.head; }));
    out.gauges("notp_lane_rows",
               "What a token lane keeps: tokens that live, deleted ones, marks, status lists.",
               rows(reports));
    out.gauges("notp_lane_tokens_max", "Tokens that a lane keeps at most; more are refused.",
               of_each(reports, [](const LaneReport& report) { return report.tokens_max; }));
    out.gauges("notp_lane_bytes", "Size of the database of a token lane.",
               of_each(reports, [](const LaneReport& report) { return report.bytes; }));
    out.gauges("notp_lane_store_failing",
               "1 while the database of a token lane cannot be written or read.",
               of_each(reports, [](const LaneReport& report) {
                 return static_cast<uint64_t>(!report.fault.empty());
               }));
    out.counters("notp_lane_events_total", "Events that sources have sent to a token lane.",
                 by_source(reports, &SourceCounts::events));
    out.counters("notp_lane_events_refused_total",
                 "Events that a token lane has refused: they break a rule, or it is full.",
                 by_source(reports, &SourceCounts::refused));
    out.gauges("notp_lane_nodes",
               "Connected nodes that follow a token lane, by what they last said of its age.",
               nodes(reports));
    out.gauges("notp_lane_nodes_slow",
               "Connected nodes that read a token lane too slowly, and wait for what they missed.",
               of_each(reports, [](const LaneReport& report) { return report.readers.too_slow; }));
    out.gauges(
        "notp_lane_applied_revision_min",
        "The least revision that a connected node has applied; 0: not all have said.",
        of_each(reports, [](const LaneReport& report) { return report.readers.applied_min; }));
    out.gauges("notp_lane_source_state",
               "1 for the state that a source of a token lane is in, 0 for the others.",
               source_states(lanes));
    out.gauges("notp_lane_source_last_event_timestamp_seconds",
               "Unix time of the last event of a source of a token lane; 0: none since the start.",
               source_events(lanes));
  });
}

}  // namespace notp::lane
