// The lines that "systemctl status" shows, and what an agent's status says of key sources.
#include <doctest/doctest.h>
#include <prometheus/text_serializer.h>

#include "notp-client/agent/agent_metrics.hpp"
#include "notp-client/app/status_document.hpp"
#include "notp-client/app/status_line.hpp"
#include "notp-server/app/status_line.hpp"

namespace notp {
namespace {

constexpr TimeMs kNoon = 1'782'907'200'000;  // 2026-07-01T12:00:00Z

agent::LedgerStatus ledger(uint64_t active, trust::FreshnessState state) {
  return {.ledger = *model::LedgerId::parse("100000000000/shop"),
          .stored_version = 3,
          .active_version = active,
          .freshness_status = {.state = state}};
}

std::string lines_of(const prometheus::Registry& registry, std::string_view name) {
  std::string out;
  for (const auto& family : registry.Collect())
    if (family.name == name) out += prometheus::TextSerializer().Serialize({family});
  return out;
}

TEST_CASE("an agent's status and metrics say what is known of key sources, and nothing else") {
  prometheus::Registry registry;
  agent::AgentMetrics metrics(registry);
  agent::AgentStatus status;
  metrics.update(status);
  CHECK_FALSE(client::status_document(status, {}, {}).contains("sources"));
  status.sources = {{"login", "https://login.internal",
                     *model::LedgerId::parse("100000000000/keys"), wire::IssuerState::kFailing,
                     kNoon}};
  metrics.update(status);
  CHECK(client::status_document(status, {}, {}).at("sources") ==
        json::parse(R"([{"name": "login", "issuer": "https://login.internal",
                         "ledger": "100000000000/keys", "state": "failing",
                         "good_ms": 1782907200000}])"));
  const auto state = [&] { return lines_of(registry, "notp_agent_source_state"); };
  CHECK(state().contains("notp_agent_source_state{source=\"login\"} 3"));
  CHECK(lines_of(registry, "notp_agent_source_good_timestamp_seconds")
            .contains("{source=\"login\"} 1782907200"));
  status.sources[0].state = wire::IssuerState::kOk;
  metrics.update(status);
  CHECK(state().contains("{source=\"login\"} 1"));
  status.sources[0].name = "partner";
  metrics.update(status);
  CHECK(state().contains("{source=\"partner\"} 1"));
  CHECK_FALSE(state().contains("login"));
}

TEST_CASE("an agent's line says what decides, how old it is, and since when it is alone") {
  using enum trust::FreshnessState;
  client::StatusLine line;
  agent::AgentStatus status{.ledgers = {ledger(3, kFresh), ledger(0, kExpired)}};
  CHECK(line.text(status, "", kNoon) ==
        "serving 1 of 2 ledgers, fresh; registry unreachable since 2026-07-01T12:00:00Z");
  status.last_error = "connection refused";
  CHECK(line.text(status, "", kNoon + 60'000) ==
        "serving 1 of 2 ledgers, fresh; registry unreachable since 2026-07-01T12:00:00Z: "
        "connection refused");
  status.connected = true;
  status.ledgers[1] = ledger(3, kStale);
  CHECK(line.text(status, "", kNoon) == "serving 2 of 2 ledgers, stale; registry connected");
  CHECK(line.text(status, "the disk is full", kNoon) ==
        "refusing decisions: the disk is full; registry connected");
  status.connected = false;
  status.last_error.clear();
  CHECK(line.text(status, "", kNoon + 3'600'000)
            .ends_with("registry unreachable since 2026-07-01T13:00:00Z"));
  CHECK(client::StatusLine().text({.connected = true, .ledgers = {ledger(0, kUntracked)}}, "",
                                  kNoon) == "serving 0 of 1 ledgers; registry connected");
}

TEST_CASE("a registry's line says what it serves to how many, and what is wrong") {
  using enum trust::FreshnessKeyState;
  CHECK(server::status_line({.ledgers = 1, .peers = 1, .root_version = 1}) ==
        "serving 1 ledger to 1 peer, root v1");
  CHECK(server::status_line(
            {.ledgers = 3, .peers = 12, .root_version = 2, .freshness_key = kSigning}) ==
        "serving 3 ledgers to 12 peers, root v2");
  CHECK(server::status_line({.ledgers = 3,
                             .damaged = 2,
                             .root_version = 2,
                             .freshness_key = kMissing,
                             .is_read_only = true,
                             .root_expiry = "root v2 ends soon"}) ==
        "serving 3 ledgers to 0 peers, root v2; 2 ledgers are damaged; the freshness key is "
        "missing; read-only; root v2 ends soon");
  CHECK(server::status_line({.freshness_key = kOther})
            .ends_with("; the freshness key is not the root's"));
}

}  // namespace
}  // namespace notp
