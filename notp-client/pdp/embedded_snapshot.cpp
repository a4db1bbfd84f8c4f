#include "notp-client/pdp/embedded_snapshot.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "common/rego/tokens_module.hpp"
#include "common/rego/txn_module.hpp"
#include "notp-client/pdp/denied.hpp"
#include "protocol/model/data.hpp"
#include "protocol/model/test_code.hpp"

namespace notp::pdp {
namespace {

using Versions = std::map<std::string, uint8_t>;

// The versions in `previous`, if it has this very content.
std::optional<Versions> known_versions(const model::LedgerId& ledger, const ActiveRelease& release,
                                       const EmbeddedSnapshot* previous) {
  if (previous == nullptr) return std::nullopt;
  const auto& ledgers = previous->active->ledgers;
  const auto before = ledgers.find(ledger);
  if (before == ledgers.end() || before->second.ref.content_root != release.ref.content_root)
    return std::nullopt;
  const std::string prefix = ledger.text() + "/";
  Versions versions;
  for (auto module = previous->modules.lower_bound(prefix);
       module != previous->modules.end() && module->first.starts_with(prefix); ++module)
    versions[module->first.substr(prefix.size())] = module->second.rego_version;
  // Only withheld content may have been left out.
  if (versions.empty()) return std::nullopt;
  return versions;
}

Result<void> add_ledger(const model::LedgerId& ledger, const ActiveRelease& release,
                        const model::BlobLoader& load, const model::BuiltinGrants& builtins,
                        const EmbeddedSnapshot* previous, EmbeddedSnapshot& snapshot) {
  const auto index = static_cast<uint16_t>(snapshot.ledgers.size());
  snapshot.ledgers.push_back(
      {.name = ledger.text(), .roots = release.data_roots, .allow = builtins.of(ledger)});
  auto versions = known_versions(ledger, release, previous);
  if (!versions) {
    NOTP_ASSIGN(versions, rego_versions(*release.tree, load));
  }
  for (const auto& [path, version] : *versions)
    snapshot.modules[fmt::format("{}/{}", ledger.text(), path)] = {
        .hash = release.tree->find(path)->hash,
        .rego_version = version,
        .withheld = release.freshness_status.denies(),
        .ledger = index};
  if (release.freshness_status.denies()) return {};
  for (const auto& [path, file] : release.tree->files())
    if (model::is_data_file(path) && !model::is_test_data(path, release.data_roots))
      snapshot.documents[fmt::format("{}/{}", ledger.text(), path)] = {
          .mount = model::data_path_of(path),
          .hash = file.hash,
          .format = rego::document_format_of(path),
          .bytes = file.bytes,
          .ledger = index};
  return {};
}

}  // namespace

Result<EmbeddedSnapshotPtr> embedded_snapshot(ActiveSetPtr active, const model::BlobLoader& load,
                                              const model::BuiltinGrants& builtins,
                                              const EmbeddedSnapshot* previous) {
  auto snapshot = std::make_shared<EmbeddedSnapshot>();
  for (const auto& [ledger, release] : active->ledgers)
    NOTP_TRY(add_ledger(ledger, release, load, builtins, previous, *snapshot));
  // Functions of withheld ledgers have no callers if nothing else is left.
  if (std::ranges::all_of(snapshot->modules,
                          [](const auto& module) { return module.second.withheld; }))
    snapshot->modules.clear();
  snapshot->system = json::serialize(active->system_document());
  snapshot->load = load;
  rego::add_tokens_module(*snapshot);
  rego::add_txn_module(*snapshot, active->txn.get());
  snapshot->active = std::move(active);
  return snapshot;
}

}  // namespace notp::pdp
