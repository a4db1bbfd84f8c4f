// The content of a release whose delegation lets it hold keys alone, from a publisher who wants
// more. Pieces of the input, between bytes of 1: the data roots, between commas; then a file each,
// its path before a tab. What passes holds nothing that a node must not take from such a key.
#include <algorithm>
#include <ranges>
#include <string>
#include <vector>

#include "common/assert.hpp"
#include "common/json/json.hpp"
#include "protocol/model/data.hpp"
#include "protocol/model/package.hpp"
#include "protocol/model/roots.hpp"
#include "protocol/model/test_code.hpp"
#include "protocol/trust/content_check.hpp"
#include "protocol/trust/roots_check.hpp"

namespace {

using namespace notp;

constexpr size_t kFilesMax = 64;

std::vector<std::string> pieces_of(std::string_view text, char mark) {
  std::vector<std::string> out;
  for (const auto piece : std::views::split(text, mark))
    out.emplace_back(piece.begin(), piece.end());
  return out;
}

bool is_inside(const std::string& path, const std::vector<std::string>& roots) {
  return std::ranges::any_of(
      roots, [&](const std::string& root) { return path == root || path.starts_with(root + "/"); });
}

void check_set(const json::value& document) {
  for (const json::value& key : document.at("keys").as_array()) {
    if (!key.is_object()) continue;
    for (const char* member : {"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"})
      NOTP_ASSERT(!key.get_object().contains(member), "a private key does not pass");
    const json::value* const kty = key.get_object().if_contains("kty");
    NOTP_ASSERT(!kty || *kty != "oct", "a symmetric key does not pass");
  }
}

void check_passed(const trust::Release& release, const model::ModelContent& content) {
  for (const std::string& root : release.data_roots)
    NOTP_ASSERT(is_inside(root, {"keys"}), "a root outside of data.keys does not pass");
  NOTP_ASSERT(!release.data_roots.empty(), "a release owns something");
  bool has_manifest = false;
  for (const auto& [path, entry] : content.tree->files()) {
    const auto document = parse_json(*content.blobs.at(entry.hash));
    NOTP_ASSERT(document && document->is_object(), "what passes is JSON");
    if (path == "manifest.json") {
      has_manifest = true;
      for (const char* member : {"decisions", "gate", "uses"})
        NOTP_ASSERT(!document->get_object().contains(member), "a manifest asks for nothing");
      continue;
    }
    const std::vector<std::string> parts = pieces_of(path, '/');
    NOTP_ASSERT(parts.size() == 3 && parts[0] == "keys" && parts[2] == "data.json",
                "nothing but key sets passes");
    NOTP_ASSERT(is_inside(parts[0] + "/" + parts[1], release.data_roots), "it is within its roots");
    check_set(*document);
  }
  NOTP_ASSERT(has_manifest, "a manifest is there");
}

// Whatever a node would load is within the roots.
void check_confined(const trust::Release& release, const model::ModelContent& content) {
  const model::DataRoots roots(release.data_roots);
  for (const auto& [path, entry] : content.tree->files()) {
    const Bytes& text = *content.blobs.at(entry.hash);
    if (path.ends_with(".rego") && !model::is_test_module(path)) {
      const auto package = model::package_of(text);
      NOTP_ASSERT(package && roots.contain(*package), "a package is within the roots");
    }
    if (!model::is_data_file(path) || model::is_test_data(path, release.data_roots)) continue;
    const auto document = model::parse_data_file(path, text);
    NOTP_ASSERT(!document || !roots.outside(model::data_path_of(path), *document),
                "a document is within the roots");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::vector<std::string> pieces =
      pieces_of({reinterpret_cast<const char*>(data), size}, '\x01');
  trust::Release release;
  if (!pieces.empty() && !pieces.front().empty()) release.data_roots = pieces_of(pieces[0], ',');
  std::ranges::sort(release.data_roots);
  model::Files files;
  model::ModelContent content;
  for (size_t i = 1; i < pieces.size() && i <= kFilesMax; ++i) {
    const size_t tab = std::min(pieces[i].find('\t'), pieces[i].size());
    const std::string text = pieces[i].substr(std::min(tab + 1, pieces[i].size()));
    const Hash hash = model::blob_hash(text);
    files[pieces[i].substr(0, tab)] = {hash, text.size()};
    content.blobs[hash] = std::make_shared<const Bytes>(text);
  }
  auto tree = model::Tree::make(std::move(files));
  if (!tree) return 0;
  content.tree = std::make_shared<const model::Tree>(*std::move(tree));
  if (trust::check_roots(release, *content.tree, content.loader()))
    check_confined(release, content);
  const auto passed = trust::check_keys_only(release, *content.tree, content.loader());
  if (passed) check_passed(release, content);
  NOTP_ASSERT(!passed || trust::may_be_keys_only(release), "the statement is part of the check");
  return 0;
}
