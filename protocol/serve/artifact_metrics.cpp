#include "protocol/serve/artifact_metrics.hpp"

#include <utility>

namespace notp::serve {

void add_artifact_metrics(MetricsRegistry& metrics, const ArtifactCache& cache,
                          std::function<uint64_t()> joined) {
  metrics.add([&cache, joined = std::move(joined)](MetricFamilies& out) {
    const ArtifactCache::Counters artifacts = cache.counters();
    out.counter("notp_artifact_hits_total", "Artifacts found in the cache.", artifacts.hits);
    out.counter("notp_artifact_misses_total", "Artifacts computed.", artifacts.misses);
    out.counter("notp_artifact_joined_total",
                "Artifacts that were waited for while they were computed for another session.",
                artifacts.joined + joined());
    out.counter("notp_artifact_evicted_total", "Artifacts that left the cache for lack of room.",
                artifacts.evicted);
    out.counter(
        "notp_artifact_superseded_total",
        "Artifacts of earlier releases that left the cache because no session asked for them.",
        artifacts.superseded);
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
  });
}

}  // namespace notp::serve
