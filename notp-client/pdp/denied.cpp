#include "notp-client/pdp/denied.hpp"

#include <fmt/format.h>

#include "protocol/model/manifest.hpp"
#include "protocol/model/validate.hpp"

namespace notp::pdp {
namespace {

Result<void> add_policies(const model::LedgerId& ledger, const model::Tree& tree,
                          const model::BlobLoader& load, std::vector<rego::CheckModule>& modules) {
  NOTP_ASSIGN(const auto versions, rego_versions(tree, load));
  for (const auto& [path, version] : versions) {
    const model::FileEntry& entry = *tree.find(path);
    modules.push_back(
        {fmt::format("{}/{}", ledger.text(), path), entry.hash, entry.bytes, version});
  }
  return {};
}

}  // namespace

Result<std::map<std::string, uint8_t>> rego_versions(const model::Tree& tree,
                                                     const model::BlobLoader& load) {
  std::map<std::string, uint8_t> versions;
  for (const std::string& path : model::rego_paths(tree, false)) versions[path] = 1;
  const model::FileEntry* const entry = tree.find(model::kManifestPath);
  if (entry == nullptr || versions.empty()) return versions;
  NOTP_ASSIGN(const model::Content text, load(entry->hash));
  const auto manifest = model::Manifest::parse(*text);
  // Only a newer registry, which accepts a later manifest format, can have sent it.
  if (!manifest)
    return fail(ErrorCode::kPdpRejected,
                fmt::format("manifest.json is not one that this agent reads: {}",
                            manifest.error().message));
  for (auto& [path, version] : versions) version = manifest->rego_version_of(path);
  return versions;
}

Result<std::map<std::string, Bytes>> stub_functions(const ActiveSet& active,
                                                    const model::BlobLoader& load,
                                                    rego::ModelChecker& engine) {
  std::map<std::string, Bytes> files;
  if (active.denied_roots().empty()) return files;
  std::vector<rego::CheckModule> served;
  for (const auto& [ledger, release] : active.ledgers)
    if (!release.freshness_status.denies())
      NOTP_TRY(add_policies(ledger, *release.tree, load, served));
  if (served.empty()) return files;
  for (const auto& [ledger, release] : active.ledgers) {
    if (!release.freshness_status.denies()) continue;
    std::vector<rego::CheckModule> missing;
    NOTP_TRY(add_policies(ledger, *release.tree, load, missing));
    NOTP_ASSIGN(std::vector<Bytes> modules, engine.undefined_functions(served, missing, load));
    for (size_t i = 0; i < modules.size(); ++i)
      files[fmt::format("{}/denied-{}.rego", ledger.text(), i + 1)] = std::move(modules[i]);
  }
  return files;
}

}  // namespace notp::pdp
