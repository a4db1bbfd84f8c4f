#include "notp-server/service/service_metrics.hpp"

namespace notp::service {

void add_service_metrics(MetricsRegistry& metrics, const Service& service) {
  metrics.add([&service](MetricFamilies& out) {
    const serve::ServeCounters& counters = service.session_counters();
    const ServiceCounters& work = service.counters();
    out.gauge("notp_sessions", "Connections open now.", counters.sessions);
    out.gauge("notp_connections_waiting", "Connections whose TLS handshake has not begun.",
              counters.waiting);
    out.counter("notp_connections_total", "Connections accepted.", counters.accepted);
    out.counter("notp_handshakes_refused_total", "TLS handshakes that failed.",
                counters.handshakes_refused);
    out.counter("notp_handshakes_displaced_total",
                "Connections that were ended before their session because others needed the place.",
                counters.handshakes_displaced);
    out.counter("notp_handshakes_too_often_total",
                "Connections that were closed because their address makes too many.",
                counters.handshakes_too_often);
    out.counter("notp_sessions_refused_total", "Sessions and rights refused.",
                counters.sessions_refused);
    out.counter("notp_sessions_revoked_total",
                "Open sessions ended because an identity or a right was withdrawn.",
                counters.sessions_revoked);
    out.counter("notp_offers_total", "Releases offered to nodes.", counters.offers);
    if (const serve::ClassTable* classes = service.classes()) {
      out.gauge("notp_freshness_classes", "Classes of readers that share statements now.",
                classes->classes());
      out.counter("notp_freshness_classes_refused_total",
                  "Statements for one reader because there were too many classes.",
                  classes->refused_total());
    }
    out.counter("notp_publishes_total", "Releases published.", work.publishes);
    out.counter("notp_publishes_refused_total", "Publishes refused.", work.publishes_refused);
    out.gauge("notp_worker_queue", "Blocking tasks that wait for their turn.",
              service.work_waiting());
  });
}

}  // namespace notp::service
