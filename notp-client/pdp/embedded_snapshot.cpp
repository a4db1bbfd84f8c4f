#include "notp-client/pdp/embedded_snapshot.hpp"

#include <fmt/format.h>

#include "notp-client/pdp/denied.hpp"
#include "protocol/model/data.hpp"

namespace notp {
namespace {

Result<void> add_ledger(const LedgerId& ledger, const ComposedRelease& release,
                        const BlobLoader& load, const BuiltinGrants& builtins,
                        EmbeddedSnapshot& snapshot) {
  const auto index = static_cast<uint16_t>(snapshot.ledgers.size());
  snapshot.ledgers.push_back(
      {.name = ledger.text(), .roots = release.roots, .allow = builtins.of(ledger)});
  NOTP_ASSIGN(const auto versions, rego_versions(*release.tree, load));
  for (const auto& [path, version] : versions)
    snapshot.modules[fmt::format("{}/{}", ledger.text(), path)] = {
        .hash = release.tree->find(path)->hash,
        .rego_version = version,
        .withheld = release.standing.denies(),
        .ledger = index};
  if (release.standing.denies()) return {};
  for (const auto& [path, file] : release.tree->files())
    if (is_data_file(path))
      snapshot.documents[fmt::format("{}/{}", ledger.text(), path)] = {
          .mount = data_path_of(path),
          .hash = file.hash,
          .format = path.ends_with(".yaml") ? rego::DocumentFormat::kYaml
                                            : rego::DocumentFormat::kJson,
          .bytes = file.bytes,
          .ledger = index};
  return {};
}

}  // namespace

Result<EmbeddedSnapshotPtr> embedded_snapshot(CompositionPtr composition, const BlobLoader& load,
                                              const BuiltinGrants& builtins) {
  auto snapshot = std::make_shared<EmbeddedSnapshot>();
  for (const auto& [ledger, release] : composition->ledgers)
    NOTP_TRY(add_ledger(ledger, release, load, builtins, *snapshot));
  snapshot->system = json::serialize(composition->system_document());
  snapshot->load = load;
  snapshot->active.composition = std::move(composition);
  return snapshot;
}

}  // namespace notp
