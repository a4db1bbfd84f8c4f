#include "protocol/trust/content_check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "common/json/json.hpp"
#include "protocol/model/keys.hpp"
#include "protocol/model/manifest.hpp"

namespace notp::trust {
namespace {

constexpr std::string_view kKeysRoot = "keys";
// Whatever else a manifest can say is about decisions, other ledgers or the nodes' reports.
constexpr std::array<std::string_view, 5> kManifestMembers = {"$schema", "metadata", "runtimes",
                                                              "partitions", "roots"};

std::unexpected<Error> refuse(std::string why) {
  return fail(ErrorCode::kWrongTarget, std::move(why));
}

Result<void> check_statement(const Release& release) {
  if (release.data_roots.empty()) return refuse("its statement names no data root");
  const auto is_outside = [](const std::string& root) {
    return root != kKeysRoot && !root.starts_with("keys/");
  };
  const auto outside = std::ranges::find_if(release.data_roots, is_outside);
  if (outside != release.data_roots.end())
    return refuse(fmt::format("it owns the data root '{}'", printable(*outside)));
  if (!release.uses.empty())
    return refuse(fmt::format("it uses {}", release.uses.front().ledger.text()));
  return {};
}

Result<void> check_paths(const Release& release, const model::Tree& tree) {
  if (tree.files().size() > limits::kKeySetFilesMax + 1)
    return refuse(fmt::format("it has {} files, at most {} key sets are allowed",
                              tree.files().size(), limits::kKeySetFilesMax));
  for (const auto& [path, entry] : tree.files()) {
    if (path == model::kManifestPath) continue;
    if (!model::is_key_set_path(path)) return refuse(fmt::format("it has {}", printable(path)));
    if (!model::roots_contain(release.data_roots, path.substr(0, path.rfind('/'))))
      return refuse(fmt::format("{} is outside of its data roots", printable(path)));
    if (entry.bytes > limits::kKeySetFileBytesMax)
      return refuse(fmt::format("{} has {} bytes, at most {} are allowed", printable(path),
                                entry.bytes, limits::kKeySetFileBytesMax));
  }
  return {};
}

Result<void> check_manifest(const Release& release, const model::Tree& tree,
                            const model::BlobLoader& load) {
  const model::FileEntry* const entry = tree.find(model::kManifestPath);
  if (entry == nullptr) return refuse("it has no manifest.json");
  NOTP_ASSIGN(const model::Content text, load(entry->hash));
  const auto manifest = model::Manifest::parse(*text);
  if (!manifest) return refuse("its manifest.json is invalid: " + manifest.error().message);
  NOTP_ASSIGN(const json::value document, parse_json(*text));
  for (const auto& [name, value] : document.as_object())
    if (std::ranges::find(kManifestMembers, std::string_view(name)) == kManifestMembers.end())
      return refuse(fmt::format("its manifest.json has \"{}\"", printable(name)));
  if (manifest->partitions.size() != 1)
    return refuse("its manifest.json has \"partitions\" beside \"/\"");
  if (manifest->data_roots != release.data_roots)
    return refuse("the signed roots are not those of its manifest.json");
  return {};
}

Result<void> check_key_sets(const model::Tree& tree, const model::BlobLoader& load) {
  for (const auto& [path, entry] : tree.files()) {
    if (path == model::kManifestPath) continue;
    NOTP_ASSIGN(const model::Content text, load(entry.hash));
    const auto document = parse_json(*text);
    if (!document) return refuse(fmt::format("{}: {}", path, document.error().message));
    const std::vector<model::KeyFinding> findings = model::check_key_set(*document);
    if (!findings.empty()) return refuse(fmt::format("{}: {}", path, findings.front().message));
  }
  return {};
}

}  // namespace

bool may_be_keys_only(const Release& release) { return check_statement(release).has_value(); }

Result<void> check_keys_only(const Release& release, const model::Tree& tree,
                             const model::BlobLoader& load) {
  NOTP_TRY(check_statement(release));
  NOTP_TRY(check_paths(release, tree));
  NOTP_TRY(check_manifest(release, tree, load));
  return check_key_sets(tree, load);
}

Result<void> check_content(const Root& root, const Release& release, const model::Tree& tree,
                           const model::BlobLoader& load) {
  const Delegation* const delegation = root.delegation_for(release.ledger);
  if (delegation == nullptr)
    return fail(ErrorCode::kSignature,
                fmt::format("no publisher of the root covers {}", release.ledger.text()));
  if (delegation->content == ContentRule::kAny) return {};
  auto checked = check_keys_only(release, tree, load);
  if (checked || checked.error().code != ErrorCode::kWrongTarget) return checked;
  return std::unexpected(std::move(checked).error().in(
      fmt::format("the delegation '{}' lets {} v{} hold key sets alone", delegation->pattern,
                  release.ledger.text(), release.version)));
}

}  // namespace notp::trust
