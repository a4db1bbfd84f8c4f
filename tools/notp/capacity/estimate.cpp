#include "tools/notp/capacity/estimate.hpp"

#include <algorithm>
#include <numeric>

#include "common/limits.hpp"

namespace notp::cli {
namespace {

constexpr double kUs = 1e-6;
constexpr double kHourS = 3'600, kDayS = 86'400;
constexpr double kSnapshotMemory = static_cast<double>(limits::kSnapshotMemoryBytes);
constexpr double kArtifactCache = static_cast<double>(limits::kArtifactCacheBytes);
// A mean over less time says little.
constexpr TimeMs kMeanMs = 60'000;

}  // namespace

double Work::reached() const {
  return ledgers <= 0 ? 0 : std::min(nodes, nodes * ledgers_per_node / ledgers);
}

double Need::sum() const {
  return std::accumulate(terms.begin(), terms.end(), 0.0,
                         [](double sum, const Term& term) { return sum + term.value; });
}

Work work_of(const wire::RegistryStatus& status, Work otherwise) {
  Work out = otherwise;
  out.nodes = static_cast<double>(status.nodes);
  out.ledgers = static_cast<double>(status.ledgers.size());
  uint64_t reports = 0;
  for (const wire::LedgerStatus& row : status.ledgers) reports += row.nodes;
  if (status.nodes != 0 && reports != 0)
    out.ledgers_per_node = static_cast<double>(reports) / out.nodes;
  if (status.offers != 0)
    out.delta_bytes = static_cast<double>(status.sent_bytes) / static_cast<double>(status.offers);
  const TimeMs up_ms = status.now_ms - status.started_ms;
  if (up_ms < kMeanMs) return out;
  const double up_s = static_cast<double>(up_ms) / 1000;
  out.publishes_per_hour = static_cast<double>(status.publishes) / up_s * kHourS;
  if (status.nodes != 0)
    out.decisions_per_second = static_cast<double>(status.records) / up_s / out.nodes;
  return out;
}

std::vector<Need> registry_needs(const Work& work, const Coefficients& costs) {
  const double pushes = work.reached() * work.publishes_per_hour / kHourS;
  const double renewals = work.nodes / work.freshness_interval_s;
  const double records = work.nodes * work.decisions_per_second;
  const double size = work.record_bytes / costs["measured_record_bytes"];
  const double models = work.ledgers * work.model_bytes;
  const double push_bytes = work.delta_bytes + costs["push_bytes"];
  return {{"processor",
           "all the time",
           Unit::kCores,
           {{"pushes", "reached * publishes_per_hour / 3600 * push_us",
             pushes * costs["push_us"] * kUs},
            {"freshness", "nodes / freshness_interval_s * renew_us",
             renewals * costs["renew_us"] * kUs},
            {"records", "nodes * decisions_per_second * ingest_us * size",
             records * costs["ingest_us"] * size * kUs}}},
          {"return_of_all",
           "after a restart, when all nodes come at once",
           Unit::kCoreSeconds,
           {{"connections", "nodes * connect_us", work.nodes * costs["connect_us"] * kUs}}},
          {"memory",
           "resident, without the kernel's buffers",
           Unit::kBytes,
           {{"program", "registry_bytes", costs["registry_bytes"]},
            {"sessions", "nodes * session_bytes", work.nodes * costs["session_bytes"]},
            {"models", "ledgers * model_bytes, at most snapshot_memory_bytes",
             std::min(models, kSnapshotMemory)},
            {"artifacts", "ledgers * model_bytes, at most artifact_cache_bytes",
             std::min(models, kArtifactCache)}}},
          {"descriptors",
           "of the process (LimitNOFILE)",
           Unit::kCount,
           {{"sessions", "nodes", work.nodes},
            {"others", "registry_descriptors", costs["registry_descriptors"]}}},
          {"disk_models",
           "of the ledgers, at most: Git compresses",
           Unit::kBytes,
           {{"models", "ledgers * model_bytes", models}}},
          {"disk_a_day",
           "more each day",
           Unit::kBytes,
           {{"records", "nodes * decisions_per_second * 86400 * record_stored_bytes * size",
             records * kDayS * costs["record_stored_bytes"] * size},
            {"releases", "publishes_per_hour * 24 * delta_bytes",
             work.publishes_per_hour * 24 * work.delta_bytes}}},
          {"sent_at_publish",
           "by one release, at once",
           Unit::kBytes,
           {{"pushes", "reached * (delta_bytes + push_bytes)", work.reached() * push_bytes}}},
          {"sent",
           "all the time",
           Unit::kBytesPerSecond,
           {{"pushes", "reached * publishes_per_hour / 3600 * (delta_bytes + push_bytes)",
             pushes * push_bytes},
            {"freshness", "nodes / freshness_interval_s * renew_bytes",
             renewals * costs["renew_bytes"]}}},
          {"received",
           "all the time",
           Unit::kBytesPerSecond,
           {{"records", "nodes * decisions_per_second * record_wire_bytes * size",
             records * costs["record_wire_bytes"] * size}}}};
}

std::vector<Need> node_needs(const Work& work, const Coefficients& costs) {
  const double size = work.record_bytes / costs["measured_record_bytes"];
  const double models = work.ledgers_per_node * work.model_bytes;
  const double releases =
      work.nodes <= 0 ? 0 : work.reached() / work.nodes * work.publishes_per_hour / kHourS;
  return {
      {"processor",
       "all the time",
       Unit::kCores,
       {{"decisions", "decisions_per_second * decide_us",
         work.decisions_per_second * costs["decide_us"] * kUs},
        {"records", "decisions_per_second * spool_us * size",
         work.decisions_per_second * costs["spool_us"] * size * kUs}}},
      {"memory",
       "of the agent with its embedded PDP",
       Unit::kBytes,
       {{"programs", "agent_bytes", costs["agent_bytes"]},
        {"models", "ledgers_per_node * model_bytes * model_factor", models * costs["model_factor"]},
        {"a change", "model_bytes * change_factor", work.model_bytes * costs["change_factor"]}}},
      {"descriptors",
       "and one for each connection of an application",
       Unit::kCount,
       {{"agent", "node_descriptors", costs["node_descriptors"]}}},
      {"disk_models",
       "of the ledgers, at most",
       Unit::kBytes,
       {{"models", "ledgers_per_node * model_bytes", models}}},
      {"disk_a_day",
       "of records, while the registry does not take them",
       Unit::kBytes,
       {{"records", "decisions_per_second * 86400 * record_spooled_bytes * size",
         work.decisions_per_second * kDayS * costs["record_spooled_bytes"] * size}}},
      {"received",
       "all the time",
       Unit::kBytesPerSecond,
       {{"releases", "reached / nodes * publishes_per_hour / 3600 * (delta_bytes + push_bytes)",
         releases * (work.delta_bytes + costs["push_bytes"])},
        {"freshness", "renew_bytes / freshness_interval_s",
         costs["renew_bytes"] / work.freshness_interval_s}}},
      {"sent",
       "all the time",
       Unit::kBytesPerSecond,
       {{"records", "decisions_per_second * record_wire_bytes * size",
         work.decisions_per_second * costs["record_wire_bytes"] * size}}}};
}

}  // namespace notp::cli
