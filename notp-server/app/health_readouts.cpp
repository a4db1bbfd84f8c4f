#include "notp-server/app/health_readouts.hpp"

#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

#include "common/log.hpp"
#include "protocol/wire/source_names.hpp"

namespace notp::server {

std::function<admin_http::RecoveryHealth()> recovery_health(const recovery::Recovery& recovery) {
  return [&recovery] {
    const recovery::Recovery::Facts facts = recovery.facts();
    admin_http::RecoveryHealth out{.is_restored = facts.losses.is_restored,
                                   .is_running = facts.is_running,
                                   .is_root_lost = facts.losses.has_lost_root};
    for (const auto& [ledger, releases] : facts.losses.lost)
      out.lost_ledgers.push_back(ledger.text());
    for (const model::LedgerId& ledger : facts.losses.forked)
      out.forked_ledgers.push_back(ledger.text());
    return out;
  };
}

admin_http::SourcesHealth sources_health(const sources::Sources* sources) {
  if (sources == nullptr) return nullptr;
  return [sources] {
    std::vector<std::pair<std::string, std::string>> out;
    for (const wire::IssuerStatus& issuer : sources->issuers()->issuers)
      out.emplace_back(issuer.name, wire::source_state_name(issuer.state));
    return out;
  };
}

admin_http::SourcesHealth lanes_health(const lane::Lanes* lanes) {
  if (lanes == nullptr) return nullptr;
  return [lanes] {
    std::vector<std::pair<std::string, std::string>> out;
    for (const lane::LaneReport& lane : lanes->reports())
      out.emplace_back(lane.name, !lane.fault.empty()                    ? "failing"
                                  : lane.store.tokens >= lane.tokens_max ? "full"
                                                                         : "ok");
    for (const auto& [lane, source] : lanes->sources())
      out.emplace_back(fmt::format("{}/{}", lane, source.name),
                       source.state == lane::SourceState::State::kOk     ? "ok"
                       : source.state == lane::SourceState::State::kLate ? "late"
                                                                         : "failing");
    return out;
  };
}

fleet::Heads newest_releases(const registry::Registry& registry) {
  fleet::Heads out;
  for (const model::LedgerId& ledger : registry.ledgers())
    if (const auto head = registry.head(ledger)) out.emplace_back(ledger, head->ref.version);
  return out;
}

void add_program_metrics(MetricsRegistry& metrics) {
  metrics.add([](MetricFamilies& out) {
    out.gauges("notp_build_info", "1; the label is the version of the registry.",
               {{{{"version", NOTP_VERSION}}, 1}});
    out.counter("notp_log_lines_dropped_total",
                "Lines of the log that were dropped, because standard error was not read.",
                log::dropped_lines());
  });
}

}  // namespace notp::server
