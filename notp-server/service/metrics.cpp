#include "notp-server/service/metrics.hpp"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <vector>

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
  std::string text() const { return prometheus::TextSerializer().Serialize(families_); }

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

}  // namespace

std::string service_metrics(const ServiceCounters& counters,
                            const ArtifactCache::Counters& artifacts,
                            const FreshnessSigner& freshness, const RootStore& roots,
                            const DenyList* denied, const Enrollment* enrollment,
                            size_t worker_queue) {
  Families out;
  out.gauge("notp_sessions", "Connections open now.", counters.sessions);
  out.counter("notp_connections_total", "Connections accepted.", counters.accepted);
  out.counter("notp_handshakes_refused_total", "TLS handshakes that failed.",
              counters.handshakes_refused);
  out.counter("notp_sessions_refused_total", "Sessions and rights refused.",
              counters.sessions_refused);
  out.counter("notp_sessions_revoked_total",
              "Open sessions ended because an identity or a right was withdrawn.",
              counters.sessions_revoked);
  if (denied != nullptr)
    out.gauge("notp_denied_identities", "Identities on the deny list.", denied->size());
  if (enrollment != nullptr) {
    out.counter("notp_joins_total", "Nodes that joined.", enrollment->joined_total());
    out.counter("notp_joins_refused_total", "Joins refused.", enrollment->refused_total());
    out.counter("notp_certificates_renewed_total", "Certificates renewed by nodes.",
                enrollment->renewed_total());
  }
  out.gauge("notp_root_version", "The newest root that is served.", roots.newest());
  out.counter("notp_freshness_signed_total", "Statements of freshness signed.",
              freshness.signed_total());
  const FreshnessKeyState key = freshness.key_state();
  out.gauge("notp_freshness_key_missing",
            "1 when the root names a freshness key that this registry does not have: nodes age.",
            key == FreshnessKeyState::kMissing || key == FreshnessKeyState::kOther ? 1 : 0);
  out.counter("notp_offers_total", "Releases offered to nodes.", counters.offers);
  out.counter("notp_publishes_total", "Releases published.", counters.publishes);
  out.counter("notp_publishes_refused_total", "Publishes refused.", counters.publishes_refused);
  out.counter("notp_artifact_hits_total", "Artifacts found in the cache.", artifacts.hits);
  out.counter("notp_artifact_misses_total", "Artifacts computed.", artifacts.misses);
  out.gauge("notp_artifact_bytes", "Bytes of artifacts in the cache.", artifacts.bytes);
  out.gauge("notp_worker_queue", "Blocking tasks that wait or run.", worker_queue);
  return out.text();
}

}  // namespace notp
