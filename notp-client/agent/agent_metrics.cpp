#include "notp-client/agent/agent_metrics.hpp"

#include <algorithm>

#include "common/limits.hpp"
#include "common/telemetry/label_values.hpp"

namespace notp::agent {

static_assert(limits::kLedgersPerSessionMax <= kLedgerLabelsMax, "each ledger has its own series");

SourceMetrics::SourceMetrics(prometheus::Registry& registry)
    : state_(prometheus::BuildGauge()
                 .Name("notp_agent_source_state")
                 .Help("Of an issuer whose keys are in a ledger, as the registry says: 1 ok, 2 "
                       "late, 3 failing, 4 suspect.")
                 .Register(registry)),
      good_(prometheus::BuildGauge()
                .Name("notp_agent_source_good_timestamp_seconds")
                .Help("When the registry last fetched the issuer's keys, unix time; 0: never.")
                .Register(registry)) {}

void SourceMetrics::update(const std::vector<wire::IssuerStatus>& sources) {
  std::erase_if(series_, [&](const auto& entry) {
    const bool is_named =
        std::ranges::find(sources, entry.first, &wire::IssuerStatus::name) != sources.end();
    if (is_named) return false;
    state_.Remove(entry.second.state);
    good_.Remove(entry.second.good);
    return true;
  });
  for (const wire::IssuerStatus& issuer : sources) {
    const auto [entry, is_new] = series_.try_emplace(issuer.name);
    Series& series = entry->second;
    if (is_new)
      series = {&state_.Add({{"source", issuer.name}}), &good_.Add({{"source", issuer.name}})};
    series.state->Set(static_cast<double>(issuer.state));
    series.good->Set(static_cast<double>(issuer.good_ms / 1000));
  }
}

AgentMetrics::AgentMetrics(prometheus::Registry& registry)
    : registry_(registry),
      connected_(
          gauge("notp_agent_connected", "1 while a session with the registry is open.").Add({})),
      alarms_(
          gauge("notp_agent_alarms", "Different alarms since the start: see /v1/status.").Add({})),
      log_refused_(gauge("notp_agent_log_refused",
                         "1 while decision records do not reach the registry: see /v1/status.")
                       .Add({})),
      tree_refused_(gauge("notp_agent_registry_tree_refused",
                          "1 while this node refuses the registry's tree of decision logs, or "
                          "acknowledged records get no receipt of it: see /v1/status.")
                        .Add({})),
      stored_(gauge("notp_agent_stored_version", "Newest verified release in the store.")),
      active_(gauge("notp_agent_active_version", "Release that the PDP has confirmed.")),
      rejected_(
          gauge("notp_agent_rejected_version", "Newest release, if the PDP refused it; else 0.")),
      state_(gauge("notp_agent_freshness_state",
                   "Of the active release: 0 untracked, 1 fresh, 2 stale, 3 expired.")),
      age_(gauge(
          "notp_agent_release_age_seconds",
          "Since the last freshness statement that lists the active release; -1: there was none.")),
      root_(gauge("notp_agent_root_version", "Newest root of the chain verified here.").Add({})),
      root_expires_(gauge("notp_agent_root_expires_timestamp_seconds",
                          "When the newest root expires, unix time; 0: never.")
                        .Add({})),
      sequence_(gauge("notp_agent_freshness_sequence", "Of the last freshness statement accepted.")
                    .Add({})),
      sources_(registry) {
  gauge("notp_agent_build_info", "1; the label is the version of the agent.")
      .Add({{"version", NOTP_VERSION}})
      .Set(1);
}

void AgentMetrics::update(const AgentStatus& status) {
  connected_.Set(status.connected ? 1 : 0);
  alarms_.Set(static_cast<double>(status.alarms.size()));
  log_refused_.Set(status.log_refused.empty() ? 0 : 1);
  tree_refused_.Set(status.tree_refused.empty() && status.receipts_overdue.empty() ? 0 : 1);
  root_.Set(static_cast<double>(status.root_version));
  root_expires_.Set(static_cast<double>(status.root_expires_ms / 1000));
  sequence_.Set(static_cast<double>(status.freshness_sequence));
  sources_.update(status.sources);
  for (const LedgerStatus& row : status.ledgers) {
    const prometheus::Labels labels = {{"ledger", row.ledger.text()}};
    stored_.Add(labels).Set(static_cast<double>(row.stored_version));
    active_.Add(labels).Set(static_cast<double>(row.active_version));
    rejected_.Add(labels).Set(static_cast<double>(row.rejected_version));
    state_.Add(labels).Set(static_cast<double>(row.freshness_status.state));
    age_.Add(labels).Set(static_cast<double>(row.freshness_status.age_s(status.as_of_ms)));
  }
}

prometheus::Family<prometheus::Gauge>& AgentMetrics::gauge(const char* name, const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry_);
}

}  // namespace notp::agent
