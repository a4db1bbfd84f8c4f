#include "notp-client/app/status_document.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "protocol/trust/root_expiry.hpp"
#include "protocol/wire/source_names.hpp"

namespace notp::client {
namespace {

// A status is as of its last event; ages have grown since.
TimeMs trusted_now(const agent::AgentStatus& status, Now now) {
  return status.as_of_ms + std::max<TimeMs>(0, now.boot_ms - status.as_of_boot_ms);
}

json::object quarantine_json(const agent::LedgerStatus& ledger) {
  json::object paths;
  for (const auto& [path, reason] : ledger.quarantined_paths) paths[path] = reason;
  return paths;
}

json::object ledger_json(const agent::LedgerStatus& ledger, TimeMs trusted_ms) {
  const trust::FreshnessStatus& freshness_status = ledger.freshness_status;
  json::object row{{"ledger", ledger.ledger.text()},
                   {"stored_version", ledger.stored_version},
                   {"active_version", ledger.active_version},
                   {"rejected_version", ledger.rejected_version},
                   {"error", ledger.error},
                   {"refusal", ledger.refusal},
                   {"quarantined_paths", quarantine_json(ledger)},
                   {"state", trust::freshness_state_name(freshness_status.state)},
                   {"withdrawn", freshness_status.withdrawn},
                   {"withheld", freshness_status.withheld},
                   {"denies", freshness_status.denies()},
                   {"vouched_ms", freshness_status.vouched_ms},
                   {"age_s", nullptr},
                   {"fresh_s", freshness_status.terms.fresh_s},
                   {"hard_s", freshness_status.terms.hard_s},
                   {"next_change_ms", nullptr}};
  if (freshness_status.vouched_ms != 0) row["age_s"] = freshness_status.age_s(trusted_ms);
  if (ledger.next_change_ms != kNever) row["next_change_ms"] = ledger.next_change_ms;
  return row;
}

json::array sources_json(const std::vector<wire::IssuerStatus>& sources) {
  json::array rows;
  for (const wire::IssuerStatus& issuer : sources)
    rows.push_back({{"name", issuer.name},
                    {"issuer", issuer.issuer},
                    {"ledger", issuer.ledger.text()},
                    {"state", wire::source_state_name(issuer.state)},
                    {"good_ms", issuer.good_ms}});
  return rows;
}

// Whether a session is open does not matter: fresh means that the registry's last statement is
// recent.
api::Readiness readiness_of(const agent::AgentStatus& status) {
  api::Readiness readiness = api::Readiness::kNever;
  bool denies = false, ages = false;
  for (const agent::LedgerStatus& ledger : status.ledgers) {
    if (ledger.active_version == 0) continue;
    readiness = api::Readiness::kCurrent;
    denies |= ledger.freshness_status.denies();
    ages |= ledger.freshness_status.state == trust::FreshnessState::kStale ||
            ledger.freshness_status.state == trust::FreshnessState::kExpired;
  }
  if (readiness == api::Readiness::kNever) return readiness;
  return denies ? api::Readiness::kExpired
         : ages ? api::Readiness::kStale
                : api::Readiness::kCurrent;
}

// The form in which OPA reports one bundle that holds all ledgers.
json::object opa_bundle_json(const agent::AgentStatus& status) {
  std::string revision, errors;
  for (const agent::LedgerStatus& ledger : status.ledgers) {
    if (ledger.active_version != 0)
      revision += fmt::format("{}{}@{}", revision.empty() ? "" : ",", ledger.ledger.text(),
                              ledger.active_version);
    if (ledger.rejected_version != 0)
      errors += fmt::format("{}{}@{}: {}", errors.empty() ? "" : "\n", ledger.ledger.text(),
                            ledger.rejected_version, ledger.error);
  }
  json::object bundle{{"name", "notp"}};
  if (!revision.empty()) bundle["active_revision"] = revision;
  if (!errors.empty()) {
    bundle["code"] = "bundle_error";
    bundle["message"] = errors;
  }
  return bundle;
}

json::object opa_result(const agent::AgentStatus& status, const ApiStatus& api) {
  const bool ready =
      std::ranges::all_of(status.ledgers, [](const auto& row) { return row.active_version != 0; });
  return {{"labels", {{"id", api.node}, {"version", NOTP_VERSION}}},
          {"bundles", {{"notp", opa_bundle_json(status)}}},
          {"plugins", {{"bundle", {{"state", ready ? "OK" : "NOT_READY"}}}}}};
}

}  // namespace

json::object status_document(const agent::AgentStatus& status, const ApiStatus& api, Now now) {
  const TimeMs trusted_ms = trusted_now(status, now);
  json::array ledgers;
  for (const agent::LedgerStatus& ledger : status.ledgers)
    ledgers.push_back(ledger_json(ledger, trusted_ms));
  json::array alarms;
  for (const std::string& alarm : status.alarms) alarms.emplace_back(alarm);
  json::object document{{"connected", status.connected},
                        {"last_error", status.last_error},
                        {"now_ms", trusted_ms},
                        {"root_version", status.root_version},
                        {"root_expiry", trust::root_expiry_name(trust::root_expiry(
                                            status.root_expires_ms, trusted_ms))},
                        {"root_expires_ms", status.root_expires_ms},
                        {"freshness_sequence", status.freshness_sequence},
                        {"ledgers", std::move(ledgers)},
                        {"alarms", std::move(alarms)},
                        {"pdp", api.pdp}};
  if (!api.route.empty()) document["route"] = api.route;
  if (api.is_volatile) document["volatile"] = true;
  if (!api.decisions.empty()) document["decisions"] = api.decisions;
  if (!api.lane.empty()) document["lane"] = api.lane;
  if (!api.txn.empty()) document["txn"] = api.txn;
  if (!status.sources.empty()) document["sources"] = sources_json(status.sources);
  if (!status.log_refused.empty()) document["log_refused"] = status.log_refused;
  if (!status.tree_refused.empty()) document["tree_refused"] = status.tree_refused;
  if (!status.receipts_overdue.empty()) document["receipts_overdue"] = status.receipts_overdue;
  if (!api.refusal.empty()) document["decisions_refused"] = api.refusal;
  if (!api.opa_hint.empty()) document["opa_hint"] = api.opa_hint;
  document["result"] = opa_result(status, api);
  return document;
}

api::Health health_of(const agent::AgentStatus& status, const ApiStatus& api, Now now) {
  api::Health health;
  health.readiness = api.refusal.empty() ? readiness_of(status) : api::Readiness::kAuditUnavailable;
  health.can_evaluate = api.engine_up;
  for (const agent::LedgerStatus& ledger : status.ledgers)
    if (ledger.active_version == 0) health.inactive.push_back(ledger.ledger.text());
  health.detail = status_document(status, api, now);
  health.detail.erase("result");
  return health;
}

}  // namespace notp::client
