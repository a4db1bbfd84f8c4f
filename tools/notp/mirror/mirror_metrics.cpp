#include "tools/notp/mirror/mirror_metrics.hpp"

#include <array>

namespace notp::cli {
namespace {

constexpr std::array kStates = {MirrorState::kUnknown, MirrorState::kCurrent,
                                MirrorState::kWaiting, MirrorState::kHeld,
                                MirrorState::kRefused, MirrorState::kFailing};

prometheus::Family<prometheus::Counter>& counters(MetricsRegistry& metrics, const char* name,
                                                  const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(*metrics.families());
}

double seconds(TimeMs time_ms) { return static_cast<double>(time_ms) / 1'000; }

void write_gauges(MetricFamilies& out, const std::vector<MirrorReport>& reports) {
  std::vector<MetricSample> states, successes, versions, unreleased;
  for (const auto& [config, status] : reports) {
    const std::vector<std::pair<std::string, std::string>> labels{
        {"mirror", config->name}, {"ledger", config->ledger.text()}};
    for (const MirrorState state : kStates) {
      auto of_state = labels;
      of_state.emplace_back("state", mirror_state_name(state));
      states.push_back({std::move(of_state), status->state == state ? 1.0 : 0.0});
    }
    successes.push_back({labels, seconds(status->success_ms)});
    versions.push_back({labels, static_cast<double>(status->head_version)});
    unreleased.push_back({labels, seconds(status->behind_since_ms)});
  }
  out.gauges("notp_mirror_state", "1 for the state that a mirror is in", states);
  out.gauges("notp_mirror_last_success_timestamp_seconds",
             "When a pass last came to its end; 0: none has", successes);
  out.gauges("notp_mirror_head_version", "Version of the ledger's head; 0: no release", versions);
  out.gauges("notp_mirror_behind_since_timestamp_seconds",
             "Since when upstream has something that is not released; 0: it has not", unreleased);
}

}  // namespace

MirrorMetrics::MirrorMetrics(MetricsRegistry& metrics, Reports reports)
    : releases_(counters(metrics, "notp_mirror_releases_total", "Releases published")),
      proposals_(
          counters(metrics, "notp_mirror_proposals_total", "Releases left pending for signatures")),
      holds_(counters(metrics, "notp_mirror_holds_total",
                      "Tips that were held for a person to look at")),
      refusals_(
          counters(metrics, "notp_mirror_refusals_total", "Tips whose content cannot be released")),
      failures_(counters(metrics, "notp_mirror_failures_total", "Passes that failed")) {
  metrics.add(
      [reports = std::move(reports)](MetricFamilies& out) { write_gauges(out, reports()); });
}

void MirrorMetrics::add(const MirrorConfig& config, const MirrorStatus& before,
                        const MirrorStatus& after) {
  const prometheus::Labels labels{{"mirror", config.name}, {"ledger", config.ledger.text()}};
  const auto count = [&](Counters& family, uint64_t MirrorStatus::* total) {
    prometheus::Counter& counter = family.Add(labels);
    // A status that was lost begins again.
    if (after.*total > before.*total)
      counter.Increment(static_cast<double>(after.*total - before.*total));
  };
  count(releases_, &MirrorStatus::releases);
  count(proposals_, &MirrorStatus::proposals);
  count(holds_, &MirrorStatus::holds);
  count(refusals_, &MirrorStatus::refusals);
  count(failures_, &MirrorStatus::failures);
}

}  // namespace notp::cli
