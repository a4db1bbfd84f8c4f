#include "notp-client/pdp/bundle_layout.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/rego/tokens_module.hpp"
#include "common/rego/txn_module.hpp"
#include "notp-client/pdp/authz_module.hpp"
#include "notp-client/pdp/denied.hpp"
#include "notp-client/pdp/mask_module.hpp"
#include "protocol/model/data.hpp"
#include "protocol/model/manifest.hpp"
#include "protocol/model/test_code.hpp"

namespace notp::pdp {
namespace {

constexpr std::string_view kSystemRoot = "system/notp";

bool merge_objects(json::value& into, json::value&& from) {
  if (!into.is_object() || !from.is_object()) return false;
  for (auto& [name, value] : from.get_object()) {
    json::value* const present = into.get_object().if_contains(name);
    if (present == nullptr)
      into.get_object().emplace(name, std::move(value));
    else if (!merge_objects(*present, std::move(value)))
      return false;
  }
  return true;
}

Result<Bytes> merged_document(const std::string& path, const BundleFile& file,
                              const model::BlobLoader& load) {
  json::value merged = json::object();
  for (const Hash& hash : file.contents) {
    NOTP_ASSIGN(const model::Content content, load(hash));
    auto value = model::parse_data_file(path, *content);
    if (!value || !merge_objects(merged, *std::move(value)))
      return fail(ErrorCode::kPdpRejected, fmt::format("two ledgers clash in {}", path));
  }
  return json::serialize(merged);  // JSON is YAML, too
}

std::vector<std::string> bundle_roots(const ActiveSet& active, LayoutUse use, bool has_authz) {
  std::vector<std::string> roots;
  for (const auto& [ledger, release] : active.ledgers)
    roots.insert(roots.end(), release.data_roots.begin(), release.data_roots.end());
  if (!model::roots_contain(roots, kSystemRoot)) roots.emplace_back(kSystemRoot);
  if (use == LayoutUse::kOpa && !model::roots_contain(roots, kMaskRoot))
    roots.emplace_back(kMaskRoot);
  if (has_authz) roots.emplace_back(kAuthzRoot);
  std::ranges::sort(roots);
  return roots;
}

// The masks of all ledgers, denied ones included: their paths are still asked for. Each also
// removes the tokens, because every path has at least one ledger's masks.
Result<Bytes> log_mask(const ActiveSet& active, std::span<const std::string> token_inputs) {
  std::vector<LedgerMask> masks;
  for (const auto& [ledger, release] : active.ledgers) {
    masks.push_back({ledger.text(), release.data_roots,
                     release.terms ? release.terms->mask : std::vector<model::MaskRule>()});
    for (const std::string& pointer : token_inputs)
      masks.back().rules.push_back({model::MaskOp::kRemove, "/input" + pointer, {}});
  }
  return mask_module(masks);
}

}  // namespace

Result<BundleLayout> bundle_layout(const ActiveSet& active, const model::BlobLoader& load,
                                   rego::ModelChecker& engine, LayoutUse use,
                                   const BundleLane& lane) {
  BundleLayout layout;
  json::object old_versions;  // of files that are not Rego v1
  for (const auto& [ledger, release] : active.ledgers) {
    if (release.freshness_status.denies()) continue;
    NOTP_ASSIGN(const auto versions, rego_versions(*release.tree, load));
    for (const auto& [path, version] : versions) {
      const std::string place = fmt::format("{}/{}", ledger.text(), path);
      layout[place].contents = {release.tree->find(path)->hash};
      // OPA names a file of an archive without a leading slash, and one of a folder with it.
      if (version != 1) old_versions[place] = old_versions["/" + place] = version;
    }
    for (const auto& [path, file] : release.tree->files())
      if (model::is_data_file(path) && !model::is_test_data(path, release.data_roots))
        layout[path].contents.push_back(file.hash);
  }
  NOTP_ASSIGN(auto in_place, stub_functions(active, load, engine));
  for (auto& [path, text] : in_place) layout[path].made = std::move(text);
  json::object manifest{{"revision", active.revision()},
                        {"roots", json::value_from(bundle_roots(active, use, !lane.authz.empty()))},
                        {"rego_version", 1}};
  if (!old_versions.empty()) manifest["file_rego_versions"] = std::move(old_versions);
  layout[".manifest"].made = json::serialize(manifest);
  layout["system/notp/data.json"].made = json::serialize(active.system_document());
  // Without a lane OPA checks nobody who writes data.tokens.
  layout[std::string(rego::kTokensModulePath)].made =
      lane.authz.empty() ? Bytes(rego::opa_tokens_module_without_lane())
                         : rego::opa_tokens_module(lane.tokens_proof);
  layout[std::string(rego::kTxnModulePath)].made =
      active.txn ? rego::opa_txn_module(*active.txn) : Bytes(rego::txn_module_without_rules());
  if (!lane.authz.empty()) layout[std::string(kAuthzModulePath)].made = lane.authz;
  if (use == LayoutUse::kOpa) {
    NOTP_ASSIGN(layout[std::string(kMaskModulePath)].made, log_mask(active, lane.token_inputs));
  }
  return layout;
}

Result<model::Content> content_of(const std::string& path, const BundleFile& file,
                                  const model::BlobLoader& load) {
  if (file.contents.size() == 1) return load(file.contents.front());
  if (file.contents.empty()) return std::make_shared<const Bytes>(file.made);
  NOTP_ASSIGN(Bytes merged, merged_document(path, file, load));
  return std::make_shared<const Bytes>(std::move(merged));
}

}  // namespace notp::pdp
