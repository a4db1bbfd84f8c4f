#include "notp-server/service/metrics.hpp"

#include <prometheus/metric_family.h>

#include <utility>

namespace notp {
namespace {

class Families {
 public:
  void counter(const char* name, const char* help, uint64_t value) {
    add(name, help, prometheus::MetricType::Counter).counter.value = static_cast<double>(value);
  }
  void gauge(const char* name, const char* help, uint64_t value) {
    add(name, help, prometheus::MetricType::Gauge).gauge.value = static_cast<double>(value);
  }
  std::vector<prometheus::MetricFamily> take() { return std::move(families_); }

 private:
  prometheus::ClientMetric& add(const char* name, const char* help, prometheus::MetricType type) {
    prometheus::MetricFamily family;
    family.name = name;
    family.help = help;
    family.type = type;
    family.metric.emplace_back();
    families_.push_back(std::move(family));
    return families_.back().metric.back();
  }

  std::vector<prometheus::MetricFamily> families_;
};

void add_artifacts(Families& out, const ArtifactCache::Counters& artifacts, uint64_t joined) {
  out.counter("notp_artifact_hits_total", "Artifacts found in the cache.", artifacts.hits);
  out.counter("notp_artifact_misses_total", "Artifacts computed.", artifacts.misses);
  out.counter("notp_artifact_joined_total",
              "Artifacts that were waited for while they were computed for another session.",
              artifacts.joined + joined);
  out.counter("notp_artifact_evicted_total", "Artifacts that left the cache for lack of room.",
              artifacts.evicted);
  out.gauge("notp_artifact_bytes", "Bytes of artifacts in the cache.", artifacts.bytes);
  out.counter("notp_artifact_recompressed_total",
              "Artifacts computed again in the background, and found smaller.",
              artifacts.recompressed);
  out.counter("notp_artifact_recompressed_in_vain_total",
              "Artifacts computed again in the background, and not found smaller.",
              artifacts.recompressed_in_vain);
  out.counter("notp_artifact_recompress_abandoned_total",
              "Artifacts that were to be computed again and left the cache, were superseded, or "
              "had their releases leave the memory, before.",
              artifacts.recompress_abandoned);
  out.counter("notp_artifact_saved_bytes_total",
              "Bytes by which artifacts that were handed out were smaller than first computed.",
              artifacts.saved_bytes);
}

void add_snapshots(Families& out, const SnapshotMemory::Counters& snapshots) {
  out.gauge("notp_snapshot_bytes", "Bytes of releases in memory.", snapshots.bytes);
  out.gauge("notp_snapshots", "Releases in memory with their content.", snapshots.snapshots);
  out.gauge("notp_snapshot_trees", "Releases in memory by their tree.", snapshots.trees);
  out.counter("notp_snapshots_evicted_total", "Releases that left the memory for lack of room.",
              snapshots.evicted);
  out.counter("notp_snapshot_loads_total", "Releases read from Git.", snapshots.loads);
}

}  // namespace

std::vector<prometheus::MetricFamily> ServiceMetrics::Collect() const {
  const ServeCounters& counters = parts_.service.session_counters();
  const ServiceCounters& work = parts_.service.counters();
  Families out;
  out.gauge("notp_sessions", "Connections open now.", counters.sessions);
  out.counter("notp_connections_total", "Connections accepted.", counters.accepted);
  out.counter("notp_handshakes_refused_total", "TLS handshakes that failed.",
              counters.handshakes_refused);
  out.counter("notp_handshakes_displaced_total",
              "TLS handshakes that were ended because newer ones needed their place.",
              counters.handshakes_displaced);
  out.counter("notp_handshakes_too_often_total",
              "Connections that were closed because their address makes too many.",
              counters.handshakes_too_often);
  out.counter("notp_sessions_refused_total", "Sessions and rights refused.",
              counters.sessions_refused);
  out.counter("notp_sessions_revoked_total",
              "Open sessions ended because an identity or a right was withdrawn.",
              counters.sessions_revoked);
  if (parts_.denied != nullptr)
    out.gauge("notp_denied_identities", "Identities on the deny list.", parts_.denied->size());
  if (parts_.enrollment != nullptr) {
    out.counter("notp_joins_total", "Nodes that joined.", parts_.enrollment->joined_total());
    out.counter("notp_joins_refused_total", "Joins refused.", parts_.enrollment->refused_total());
    out.counter("notp_certificates_renewed_total", "Certificates renewed by nodes.",
                parts_.enrollment->renewed_total());
  }
  const auto root = parts_.roots.current();
  out.gauge("notp_root_version", "The newest root that is served.", root->version);
  out.gauge("notp_root_expires_timestamp_seconds",
            "When the newest root expires, unix time; 0: never.",
            static_cast<uint64_t>(root->expires_ms / 1000));
  out.counter("notp_freshness_signed_total", "Statements of freshness signed.",
              parts_.freshness.signed_total());
  const FreshnessKeyState key = parts_.freshness.key_state();
  out.gauge("notp_freshness_key_missing",
            "1 when the root names a freshness key that this registry does not have: nodes age.",
            key == FreshnessKeyState::kMissing || key == FreshnessKeyState::kOther ? 1 : 0);
  out.counter("notp_offers_total", "Releases offered to nodes.", counters.offers);
  out.counter("notp_publishes_total", "Releases published.", work.publishes);
  out.counter("notp_publishes_refused_total", "Publishes refused.", work.publishes_refused);
  add_artifacts(out, parts_.artifacts.counters(), parts_.service.artifacts_joined());
  add_snapshots(out, parts_.snapshots());
  out.gauge("notp_worker_queue", "Blocking tasks that wait for their turn.",
            parts_.service.work_waiting());
  return out.take();
}

}  // namespace notp
