#include "notp-server/sources/sources_metrics.hpp"

#include <array>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "protocol/wire/source_names.hpp"

namespace notp::sources {
namespace {

using Reports = std::vector<IssuerReport>;

constexpr std::array<wire::IssuerState, 4> kStates = {
    wire::IssuerState::kOk, wire::IssuerState::kLate, wire::IssuerState::kFailing,
    wire::IssuerState::kSuspect};
constexpr std::array<std::pair<FetchOutcome, const char*>, 4> kOutcomes = {
    std::pair{FetchOutcome::kGood, "good"}, std::pair{FetchOutcome::kUnchanged, "unchanged"},
    std::pair{FetchOutcome::kFailed, "failed"}, std::pair{FetchOutcome::kRefused, "refused"}};

std::vector<MetricSample> states(const Reports& reports) {
  std::vector<MetricSample> out;
  for (const IssuerReport& report : reports)
    for (const wire::IssuerState state : kStates)
      out.push_back(
          {{{"source", report.name}, {"state", std::string(wire::source_state_name(state))}},
           report.state == state ? 1.0 : 0.0});
  return out;
}

std::vector<MetricSample> fetches(const Reports& reports) {
  std::vector<MetricSample> out;
  for (const IssuerReport& report : reports)
    for (const auto& [outcome, name] : kOutcomes) {
      const auto found = report.facts.fetches.find(outcome);
      const uint64_t count = found == report.facts.fetches.end() ? 0 : found->second;
      out.push_back({{{"source", report.name}, {"outcome", name}}, static_cast<double>(count)});
    }
  return out;
}

std::vector<MetricSample> of_each(const Reports& reports,
                                  const std::function<double(const IssuerFacts&)>& value) {
  std::vector<MetricSample> out;
  for (const IssuerReport& report : reports)
    out.push_back({{{"source", report.name}}, value(report.facts)});
  return out;
}

}  // namespace

void add_sources_metrics(MetricsRegistry& metrics, const Sources& sources) {
  metrics.add([&sources](MetricFamilies& out) {
    constexpr double kSecondMs = 1'000;
    const Reports reports = sources.reports();
    out.gauges("notp_source_state", "1 for the state that a key source is in, 0 for the others.",
               states(reports));
    out.gauges("notp_source_last_good_timestamp_seconds",
               "Unix time of the last good fetch of a key source; 0: none since the start.",
               of_each(reports, [](const IssuerFacts& facts) {
                 return static_cast<double>(facts.good_ms) / kSecondMs;
               }));
    out.counters(
        "notp_source_fetches_total",
        "Fetches of keys that have ended: good, unchanged, failed (no answer), refused (an "
        "answer that is not taken).",
        fetches(reports));
    out.counters("notp_source_unknown_keys_total",
                 "Reports of nodes that met a token with a key that they do not have.",
                 of_each(reports, [](const IssuerFacts& facts) {
                   return static_cast<double>(facts.unknown_keys);
                 }));
    out.counters("notp_source_releases_total", "Releases made because keys of the source changed.",
                 of_each(reports, [](const IssuerFacts& facts) {
                   return static_cast<double>(facts.releases);
                 }));
  });
}

}  // namespace notp::sources
