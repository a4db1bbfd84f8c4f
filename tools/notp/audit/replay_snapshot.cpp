#include "tools/notp/audit/replay_snapshot.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "notp-client/pdp/embedded_snapshot.hpp"

namespace notp::cli {
namespace {

model::BuiltinGrants all_builtins() {
  return model::BuiltinGrants(json::array{json::object{
      {"ledgers", {"*/*"}}, {"builtins", {"http.send", "net.lookup_ip_addr", "opa.runtime"}}}});
}

// The entry of a ledger in data.system.notp; nullptr: none.
const json::object* entry_of(const json::value& system, const model::LedgerId& ledger) {
  const json::object* const document = system.if_object();
  const json::value* const ledgers = document ? document->if_contains("ledgers") : nullptr;
  const json::object* const entries = ledgers ? ledgers->if_object() : nullptr;
  if (!entries) return nullptr;
  for (const auto& [key, value] : *entries) {
    const json::object* const entry = value.if_object();
    const json::value* const zone = entry ? entry->if_contains("zone") : nullptr;
    const json::value* const name = entry ? entry->if_contains("name") : nullptr;
    if (!zone || !name || !name->is_string() || name->get_string() != ledger.name) continue;
    boost::system::error_code error;
    if (zone->is_number() && zone->to_number<uint64_t>(error) == ledger.zone && !error)
      return entry;
  }
  return nullptr;
}

bool is_true(const json::object& entry, std::string_view name) {
  const json::value* const value = entry.if_contains(name);
  return value && value->is_bool() && value->get_bool();
}

// Whether the node gave decisions of the release, which is all that matters of its freshness.
trust::FreshnessStatus freshness_of(const record::ActiveRelease& active, const json::object* entry,
                                    const trust::Release& release) {
  trust::FreshnessStatus status;
  status.terms.on_hard = release.on_hard;
  if (active.freshness == trust::freshness_state_name(trust::FreshnessState::kExpired))
    status.state = trust::FreshnessState::kExpired;
  status.withheld = entry && is_true(*entry, "withheld");
  status.withdrawn = entry && is_true(*entry, "withdrawn");
  return status;
}

}  // namespace

Result<rego::SnapshotPtr> recorded_snapshot(const record::ActiveSet& active,
                                            RecordedReleases& releases,
                                            const CandidateModel* candidate) {
  const auto system = parse_json(active.system.empty() ? ByteView("{}") : ByteView(active.system));
  if (!system)
    return fail(ErrorCode::kMessage,
                "the record of what was active has no data.system.notp that can be read: " +
                    system.error().message);
  auto set = std::make_shared<pdp::ActiveSet>();
  set->txn = pdp::recorded_txn_rules(*system);
  std::vector<PulledReleasePtr> pulled;
  for (const record::ActiveRelease& each : active.releases) {
    NOTP_ASSIGN(pulled.emplace_back(), releases.find(each.ref));
    const trust::Release& release = pulled.back()->release();
    pdp::ActiveRelease entry{
        .ref = each.ref,
        .data_roots = release.data_roots,
        .tree = pulled.back()->content.tree,
        .terms = {},
        .freshness_status = freshness_of(each, entry_of(*system, each.ref.ledger), release)};
    if (candidate && candidate->ledger == each.ref.ledger) {
      entry.data_roots = candidate->data_roots;
      entry.tree = candidate->content.tree;
    }
    set->ledgers.emplace(each.ref.ledger, std::move(entry));
  }
  const model::BlobMap none;
  const model::BlobMap* const own = candidate ? &candidate->content.blobs : &none;
  // The candidate's content lives with its owner's copy: content is shared, and so cheap to hold.
  const model::BlobLoader load = [pulled = std::move(pulled),
                                  own = *own](const Hash& hash) -> Result<model::Content> {
    if (const auto found = own.find(hash); found != own.end()) return found->second;
    for (const PulledReleasePtr& each : pulled)
      if (const auto found = each->content.blobs.find(hash); found != each->content.blobs.end())
        return found->second;
    return fail(ErrorCode::kNotFound,
                fmt::format("the recorded releases have no content {}", hash.hex()));
  };
  NOTP_ASSIGN(const pdp::EmbeddedSnapshotPtr made,
              pdp::embedded_snapshot(std::move(set), load, all_builtins(), nullptr));
  auto snapshot = std::make_shared<rego::Snapshot>(*made);
  snapshot->system = active.system.empty() ? "{}" : active.system;
  return snapshot;
}

}  // namespace notp::cli
