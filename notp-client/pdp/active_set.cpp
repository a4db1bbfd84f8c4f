#include "notp-client/pdp/active_set.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/rego/txn_module.hpp"
#include "protocol/wire/source_names.hpp"

namespace notp::pdp {
namespace {

std::string_view revision_mark(const trust::FreshnessStatus& freshness_status) {
  if (freshness_status.withdrawn) return ";withdrawn";
  if (freshness_status.withheld) return ";withheld";
  if (freshness_status.state == trust::FreshnessState::kStale) return ";stale";
  return freshness_status.state == trust::FreshnessState::kExpired ? ";expired" : "";
}

void add_freshness(const trust::FreshnessStatus& freshness_status, TimeMs as_of_ms,
                   json::object& entry) {
  entry["state"] = trust::freshness_state_name(freshness_status.state);
  entry["withdrawn"] = freshness_status.withdrawn;
  entry["withheld"] = freshness_status.withheld;
  entry["vouched_ms"] = freshness_status.vouched_ms;
  // A missing age is undefined when compared with a limit; a number would give a result.
  if (freshness_status.vouched_ms != 0) entry["age_s"] = freshness_status.age_s(as_of_ms);
  entry["fresh_s"] = freshness_status.terms.fresh_s;
  entry["hard_s"] = freshness_status.terms.hard_s;
  entry["on_hard"] = freshness_status.terms.on_hard == trust::OnHard::kDeny ? "deny" : "serve";
}

json::object sources_json(const wire::SourceStatus& sources) {
  json::object issuers;
  for (const wire::IssuerStatus& issuer : sources.issuers)
    issuers[issuer.name] = {{"issuer", issuer.issuer},
                            {"ledger", issuer.ledger.text()},
                            {"state", wire::source_state_name(issuer.state)},
                            {"good_ms", issuer.good_ms}};
  return {{"issuers", std::move(issuers)}};
}

constexpr std::string_view kTxnVerify = "txn_verify";

}  // namespace

std::shared_ptr<const rego::TxnRules> recorded_txn_rules(const json::value& system) {
  const json::object* const document = system.if_object();
  const json::value* const member = document ? document->if_contains(kTxnVerify) : nullptr;
  const json::object* const rules = member ? member->if_object() : nullptr;
  if (!rules) return nullptr;
  const auto text = [rules](std::string_view name) {
    const json::value* const value = rules->if_contains(name);
    return value && value->is_string() ? std::string(value->get_string()) : std::string();
  };
  const json::value* const lane = rules->if_contains("lane");
  return std::make_shared<const rego::TxnRules>(
      rego::TxnRules{text("keys"), text("audience"), lane && lane->is_bool() && lane->get_bool()});
}

std::string ActiveSet::revision() const {
  if (ledgers.empty()) return "none";
  std::string text;
  for (const auto& [ledger, release] : ledgers) {
    if (!text.empty()) text.push_back(',');
    fmt::format_to(std::back_inserter(text), "{}@{}{}", ledger.text(), release.ref.version,
                   revision_mark(release.freshness_status));
  }
  return text;
}

std::vector<std::string> ActiveSet::denied_roots() const {
  std::vector<std::string> roots;
  for (const auto& [ledger, release] : ledgers)
    if (release.freshness_status.denies())
      roots.insert(roots.end(), release.data_roots.begin(), release.data_roots.end());
  return roots;
}

// A rule refers to data.system.notp.ledgers.payments: the key includes the zone only if two zones
// of the node have a ledger of that name.
json::value ActiveSet::system_document() const {
  std::map<std::string_view, size_t> names;
  for (const auto& [ledger, release] : ledgers) ++names[ledger.name];
  json::object releases;
  for (const auto& [ledger, release] : ledgers) {
    json::object entry{{"zone", ledger.zone},
                       {"name", ledger.name},
                       {"version", release.ref.version},
                       {"epoch", release.ref.epoch},
                       {"release", release.ref.release_hash.hex()},
                       {"content_root", release.ref.content_root.hex()},
                       {"roots", json::value_from(release.data_roots)}};
    add_freshness(release.freshness_status, as_of_ms, entry);
    releases[names[ledger.name] == 1 ? ledger.name : ledger.text()] = std::move(entry);
  }
  json::object document{
      {"revision", revision()}, {"as_of_ms", as_of_ms}, {"ledgers", std::move(releases)}};
  if (sources) document["sources"] = sources_json(*sources);
  if (txn)
    document[kTxnVerify] = {
        {"keys", txn->keys}, {"audience", txn->audience}, {"lane", txn->has_lane}};
  return document;
}

bool gives_denied(const ActiveSet& shown, const ActiveSet& wanted) {
  return std::ranges::any_of(wanted.ledgers, [&](const auto& entry) {
    if (!entry.second.freshness_status.denies()) return false;
    const auto given = shown.ledgers.find(entry.first);
    return given != shown.ledgers.end() && !given->second.freshness_status.denies();
  });
}

}  // namespace notp::pdp
