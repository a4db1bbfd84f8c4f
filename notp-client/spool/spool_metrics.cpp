#include "notp-client/spool/spool_metrics.hpp"

#include <algorithm>
#include <map>
#include <string_view>

#include "common/telemetry/followed_counter.hpp"
#include "notp-client/spool/drop_counts.hpp"

namespace notp::spool {
namespace {

constexpr double kMsPerSecond = 1e3, kUsPerSecond = 1e6;

// Who left decisions out. The rule itself is a path of decisions, which is no label.
const char* reason_of(std::string_view rule) {
  if (rule == kOtherDrops) return "other";
  return rule == "data.system.log.drop" ? "policy" : "manifest";
}

prometheus::Gauge& gauge(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add({});
}

}  // namespace

SpoolMetrics::SpoolMetrics(prometheus::Registry& registry)
    : recorded_(counter(registry, "notp_agent_decisions_recorded_total",
                        "Decisions whose record was written to the log.")),
      unrecorded_(counter(registry, "notp_agent_decisions_unrecorded_total",
                          "Decisions that were given without a record: a gap record counts them.")),
      dropped_(counter_family(
          registry, "notp_agent_decisions_dropped_total",
          "Decisions that a rule left out of the log: of the policy, of a manifest, or "
          "of those that are counted together.")),
      gaps_(counter_family(registry, "notp_agent_gap_records_total",
                           "Records in the log that say that others are missing, by reason.")),
      bytes_(gauge(registry, "notp_agent_spool_bytes",
                   "Sealed records that the registry has not acknowledged, and the ring.")),
      records_(gauge(registry, "notp_agent_spool_records",
                     "Records that the registry has not acknowledged.")),
      oldest_seconds_(gauge(registry, "notp_agent_spool_oldest_seconds",
                            "Age of the oldest record that the registry has not acknowledged; 0: "
                            "there is none.")),
      sync_seconds_(gauge(registry, "notp_agent_spool_sync_seconds",
                          "Mean time that a sync of the ring took since the start.")),
      full_(gauge(registry, "notp_agent_spool_full",
                  "1 while a decision that must be recorded would be refused.")),
      open_(gauge(registry, "notp_agent_spool_open",
                  "0 while no log is open, because the disk takes nothing.")) {}

void SpoolMetrics::update(const SpoolStatus& status, TimeMs wall_ms) {
  follow(recorded_, status.recorded);
  follow(unrecorded_, status.lost);
  // Named from the start: a rate sees no first increase of a series that did not exist.
  std::map<std::string, uint64_t> dropped = {{"manifest", 0}, {"policy", 0}};
  for (const auto& [rule, count] : status.dropped_by_rule) dropped[reason_of(rule)] += count;
  for (const auto& [reason, count] : dropped) follow(dropped_.Add({{"reason", reason}}), count);
  for (const auto& [reason, count] : status.gaps) follow(gaps_.Add({{"reason", reason}}), count);
  bytes_.Set(static_cast<double>(status.spool_bytes + status.ring_bytes));
  records_.Set(static_cast<double>(status.next - status.acknowledged));
  oldest_seconds_.Set(
      status.oldest_ms == 0
          ? 0
          : std::max(0.0, static_cast<double>(wall_ms - status.oldest_ms) / kMsPerSecond));
  sync_seconds_.Set(status.syncs == 0 ? 0
                                      : static_cast<double>(status.sync_us) / kUsPerSecond /
                                            static_cast<double>(status.syncs));
  open_.Set(status.is_open ? 1 : 0);
  full_.Set(status.is_full || status.is_failing ? 1 : 0);
}

}  // namespace notp::spool
