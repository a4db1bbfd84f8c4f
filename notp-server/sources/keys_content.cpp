#include "notp-server/sources/keys_content.hpp"

#include <fmt/format.h>

#include <memory>
#include <utility>

#include "common/json/json.hpp"
#include "protocol/model/keys.hpp"
#include "protocol/model/manifest.hpp"

namespace notp::sources {
namespace {

Bytes manifest_of(const std::vector<std::string>& data_roots) {
  const json::object manifest{
      {"metadata",
       json::object{{"name", "provider-keys"},
                    {"description", "public keys of identity providers, fetched by the registry"}}},
      {"runtimes",
       json::object{
           {"rego", json::object{{"language", json::object{{"name", "rego"}, {"version", "1"}}}}}}},
      {"partitions", json::object{{"/", json::object{{"runtime", "rego"}}}}},
      {"roots", json::array(data_roots.begin(), data_roots.end())}};
  return pretty_json(manifest) + "\n";
}

Result<void> check_only_keys(const model::Tree& head) {
  for (const auto& [path, entry] : head.files())
    if (path != model::kManifestPath && !model::is_key_set_path(path))
      return fail(ErrorCode::kConfig,
                  fmt::format("the ledger has {}, which a release of key sets would remove; give "
                              "the key sources a ledger of their own",
                              printable(path)));
  return {};
}

// The entry of an issuer in the head; null: it has none.
Result<model::Content> kept(const model::ModelContent* head, const std::string& path) {
  const model::FileEntry* const entry = head == nullptr ? nullptr : head->tree->find(path);
  if (entry == nullptr) return nullptr;
  return head->loader()(entry->hash);
}

}  // namespace

std::string key_set_path(std::string_view name) { return fmt::format("keys/{}/data.json", name); }

Result<KeysContent> make_keys_content(const model::ModelContent* head,
                                      const KeyDocuments& documents) {
  if (head != nullptr) NOTP_TRY(check_only_keys(*head->tree));
  KeysContent out;
  model::Files files;
  const auto add = [&](const std::string& path, model::Content content) {
    const Hash hash = model::blob_hash(*content);
    files[path] = {hash, content->size()};
    out.content.blobs[hash] = std::move(content);
  };
  for (const auto& [name, document] : documents) {
    const std::string path = key_set_path(name);
    model::Content content;
    if (!document.empty()) {
      content = std::make_shared<const Bytes>(document);
    } else {
      NOTP_ASSIGN(content, kept(head, path));
    }
    if (!content) continue;
    add(path, std::move(content));
    out.data_roots.push_back(fmt::format("keys/{}", name));
  }
  if (files.empty()) return fail(ErrorCode::kInvalidModel, "no key set is known yet");
  add(std::string(model::kManifestPath),
      std::make_shared<const Bytes>(manifest_of(out.data_roots)));
  NOTP_ASSIGN(model::Tree tree, model::Tree::make(std::move(files)));
  out.content.tree = std::make_shared<const model::Tree>(std::move(tree));
  return out;
}

}  // namespace notp::sources
