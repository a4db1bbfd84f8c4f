#include "tools/notp/node/deny_list.hpp"

#include <fmt/format.h>

#include "common/json/json.hpp"
#include "common/limits.hpp"
#include "tools/notp/workspace.hpp"

namespace notp::cli {
namespace {

Result<model::ModelContent> with_file(const model::ModelContent& model, std::string_view path,
                                      Bytes bytes) {
  model::ModelContent out;
  out.blobs = model.blobs;
  model::Files files = model.tree ? model.tree->files() : model::Files();
  const model::FileEntry entry{model::blob_hash(bytes), bytes.size()};
  out.blobs.insert_or_assign(entry.hash, std::make_shared<const Bytes>(std::move(bytes)));
  files.insert_or_assign(std::string(path), entry);
  NOTP_ASSIGN(model::Tree tree, model::Tree::make(std::move(files)));
  out.tree = std::make_shared<const model::Tree>(std::move(tree));
  return out;
}

Result<json::object> read_identities(const model::ModelContent& list) {
  NOTP_ASSIGN(const model::Content bytes, file_content(list, kDeniedFile));
  NOTP_ASSIGN(json::value document, parse_json(*bytes));
  json::value* identities =
      document.is_object() ? document.get_object().if_contains("identities") : nullptr;
  if (identities == nullptr || !identities->is_object())
    return fail(ErrorCode::kInvalidModel,
                fmt::format("{} has no object \"identities\"", kDeniedFile));
  return std::move(identities->get_object());
}

Result<model::ModelContent> with_identities(const model::ModelContent& list,
                                            json::object identities) {
  return with_file(list, kDeniedFile,
                   pretty_json(json::object{{"identities", std::move(identities)}}) + "\n");
}

}  // namespace

Result<model::ModelContent> empty_deny_list() {
  const json::object manifest{
      {"metadata",
       json::object{{"name", "deny list"},
                    {"description", "Identities that the registry refuses, with the reasons."}}},
      {"runtimes",
       json::object{{"rego", json::object{{"language",
                                           json::object{{"name", "rego"}, {"version", "1.0"}}}}}}},
      {"partitions", json::object{{"/", json::object{{"runtime", "rego"}}}}},
      {"roots", json::array{kDeniedRoot}}};
  NOTP_ASSIGN(const model::ModelContent model,
              with_file({}, "manifest.json", pretty_json(manifest) + "\n"));
  return with_identities(model, {});
}

Result<model::ModelContent> deny(const model::ModelContent& list, const std::string& identity,
                                 const std::string& reason, const std::string& since) {
  NOTP_ASSIGN(json::object identities, read_identities(list));
  if (identities.contains(identity))
    return fail(ErrorCode::kConflict, fmt::format("{} is on the deny list already", identity));
  if (identities.size() == limits::kDenyListMax)
    return fail(ErrorCode::kLimit,
                fmt::format("the deny list is full with {} identities", limits::kDenyListMax));
  identities[identity] = json::object{{"reason", reason}, {"since", since}};
  return with_identities(list, std::move(identities));
}

Result<model::ModelContent> readmit(const model::ModelContent& list, const std::string& identity) {
  NOTP_ASSIGN(json::object identities, read_identities(list));
  if (identities.erase(identity) == 0)
    return fail(ErrorCode::kNotFound, fmt::format("{} is not on the deny list", identity));
  return with_identities(list, std::move(identities));
}

}  // namespace notp::cli
