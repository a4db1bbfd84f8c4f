#include "notp-server/fleet/fleet_metrics.hpp"

#include <prometheus/histogram.h>

#include <algorithm>
#include <memory>
#include <string>

#include "common/telemetry/label_values.hpp"

namespace notp::fleet {
namespace {

constexpr double kMsPerSecond = 1'000;
// Versions of a ledger that are told apart: the newest, and those just before it.
constexpr uint64_t kVersionsShown = 3;

double age_s(TimeMs since_ms, TimeMs now_ms) {
  return since_ms == 0 ? 0 : std::max(0.0, static_cast<double>(now_ms - since_ms) / kMsPerSecond);
}

void add_nodes(MetricFamilies& out, const Census& census) {
  std::vector<MetricSample> nodes;
  for (size_t i = 0; i < kNodeStateNames.size(); ++i)
    nodes.push_back(
        {{{"state", std::string(kNodeStateNames[i])}}, static_cast<double>(census.nodes[i])});
  out.gauges("notp_nodes",
             "Nodes by state: active, waiting for their PDP, rejected a release, distrusting this "
             "registry, or away.",
             nodes);
  const TimeMs now_ms = read_clock().wall_ms;
  out.gauges("notp_freshness_age_seconds",
             "Age of the oldest attestation of an active release, of nodes with a session and of "
             "those without; 0: none was ever attested.",
             {{{{"state", "connected"}}, age_s(census.connected_vouched_ms, now_ms)},
              {{{"state", "away"}}, age_s(census.away_vouched_ms, now_ms)}});
}

// The newest versions one by one, also those that no node has; the others together.
void add_versions(std::vector<MetricSample>& out, const std::string& ledger, uint64_t head,
                  const std::map<uint64_t, uint64_t>& active) {
  const uint64_t oldest = head - std::min(head, kVersionsShown) + 1;
  const auto add = [&](std::string version, uint64_t nodes) {
    out.push_back(
        {{{"ledger", ledger}, {"version", std::move(version)}}, static_cast<double>(nodes)});
  };
  uint64_t older = 0, newer = 0;
  for (const auto& [version, nodes] : active) {
    if (version < oldest) older += nodes;
    if (version > head) newer += nodes;
  }
  for (uint64_t version = head; version >= oldest; --version) {
    const auto found = active.find(version);
    add(std::to_string(version), found == active.end() ? 0 : found->second);
  }
  add("older", older);
  add("newer", newer);
}

void add_releases(MetricFamilies& out, const Census& census, const Heads& heads,
                  LabelValues& ledgers) {
  static const std::map<uint64_t, uint64_t> kNone;
  std::vector<MetricSample> newest, active;
  uint64_t others = 0;
  bool has_others = false;
  for (const auto& [ledger, head] : heads) {
    const auto found = census.ledgers.find(ledger);
    const auto& versions = found == census.ledgers.end() ? kNone : found->second.active;
    if (const std::string name = ledger.text(); ledgers.is_own(name)) {
      newest.push_back({{{"ledger", name}}, static_cast<double>(head)});
      add_versions(active, name, head, versions);
      continue;
    }
    has_others = true;
    for (const auto& [version, nodes] : versions) others += nodes;
  }
  const std::string other(kOtherLabel);
  if (has_others)
    active.push_back({{{"ledger", other}, {"version", other}}, static_cast<double>(others)});
  out.gauges("notp_release_head_version", "The newest release of the ledger.", newest);
  out.gauges("notp_release_active",
             "Nodes that decide with the release: the newest three of a ledger, and all that are "
             "older or newer.",
             active);
}

}  // namespace

void add_fleet_metrics(MetricsRegistry& metrics, Fleet& fleet, std::function<Heads()> heads) {
  auto& seconds =
      prometheus::BuildHistogram()
          .Name("notp_activation_seconds")
          .Help(
              "From the publish, or from the node's session if that began later, to the node's "
              "report that it decides with the release.")
          .Register(*metrics.families())
          .Add({}, prometheus::Histogram::BucketBoundaries{0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
                                                           60, 300, 1'800});
  // The fleet writes its last reports after the last scrape.
  fleet.measure([&seconds, owner = metrics.families()](TimeMs took_ms) {
    seconds.Observe(static_cast<double>(took_ms) / kMsPerSecond);
  });
  metrics.add([&fleet, heads = std::move(heads),
               ledgers = std::make_shared<LabelValues>()](MetricFamilies& out) {
    const auto census = fleet.measures().census();
    if (!census) return;  // the first count is not done
    add_nodes(out, *census);
    add_releases(out, *census, heads(), *ledgers);
  });
}

}  // namespace notp::fleet
