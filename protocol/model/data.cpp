#include "protocol/model/data.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "common/json/yaml.hpp"
#include "protocol/model/validate.hpp"

namespace notp::model {
namespace {

std::string_view file_name(std::string_view path) { return path.substr(path.rfind('/') + 1); }

// Moves `source` into `target`; on a clash `at` names the place.
bool merge_into(json::value& target, json::value&& source, DataPath& at) {
  if (!target.is_object() || !source.is_object()) return false;
  for (auto& [name, value] : source.get_object()) {
    json::value* const present = target.get_object().if_contains(name);
    if (!present) {
      target.get_object().emplace(name, std::move(value));
      continue;
    }
    at.emplace_back(name);
    if (!merge_into(*present, std::move(value), at)) return false;
    at.pop_back();
  }
  return true;
}

// Whether a document at `folder` has a value at `at`, or above it one that is not an object.
bool reaches(const json::value& document, const DataPath& folder, const DataPath& at) {
  const size_t shared = std::min(folder.size(), at.size());
  if (!std::equal(folder.begin(), folder.begin() + static_cast<ptrdiff_t>(shared), at.begin()))
    return false;
  const json::value* value = &document;
  for (size_t i = shared; i < at.size(); ++i) {
    if (!value->is_object()) return true;
    value = value->get_object().if_contains(at[i]);
    if (!value) return false;
  }
  return true;
}

}  // namespace

bool is_data_file(std::string_view path) {
  const std::string_view name = file_name(path);
  return name == "data.json" || name == "data.yaml";
}

DataPath data_path_of(std::string_view file) {
  DataPath path;
  for (size_t slash; (slash = file.find('/')) != std::string_view::npos;) {
    path.emplace_back(file.substr(0, slash));
    file.remove_prefix(slash + 1);
  }
  return path;
}

std::string data_path_text(const DataPath& path) {
  return printable(fmt::format("{}", fmt::join(path, ".")));
}

Result<json::value> parse_data_file(std::string_view path, ByteView content) {
  return path.ends_with(".json") ? parse_json(content) : parse_yaml(content);
}

size_t depth_of(const json::value& value) {
  size_t inner = 0;
  if (const json::object* const object = value.if_object()) {
    for (const auto& member : *object) inner = std::max(inner, depth_of(member.value()));
    return inner + 1;
  }
  if (const json::array* const array = value.if_array()) {
    for (const json::value& element : *array) inner = std::max(inner, depth_of(element));
    return inner + 1;
  }
  return 0;
}

std::optional<std::vector<ChangedMember>> check_changed(ByteView accepted, ByteView changed,
                                                        size_t depth_max) {
  auto members = find_changed_members(accepted, changed);
  if (!members) return std::nullopt;
  for (const ChangedMember& member : *members) {
    const auto value = parse_json(changed.substr(member.offset, member.size));
    if (!value || member.path.size() + depth_of(*value) > depth_max) return std::nullopt;
  }
  return members;
}

std::optional<DataPath> DataMerge::add(const DataPath& at, json::value document) {
  json::value* target = &merged_;
  for (size_t i = 0; i < at.size(); ++i) {
    if (!target->is_object()) return DataPath(at.begin(), at.begin() + static_cast<ptrdiff_t>(i));
    json::object& folder = target->get_object();
    if (i + 1 == at.size() && !folder.contains(at[i])) {
      folder.emplace(at[i], std::move(document));
      return std::nullopt;
    }
    target = &folder.emplace(at[i], json::object()).first->value();
  }
  DataPath place = at;
  if (!merge_into(*target, std::move(document), place)) return place;
  return std::nullopt;
}

Result<std::string> clash_partner(const Tree& tree, const BlobLoader& load, std::string_view file,
                                  const DataPath& at) {
  for (const auto& [path, entry] : tree.files()) {
    if (path == file) break;
    if (!is_data_file(path)) continue;
    NOTP_ASSIGN(const Content content, load(entry.hash));
    const auto document = parse_data_file(path, *content);
    if (document && reaches(*document, data_path_of(path), at)) return path;
  }
  return fail(ErrorCode::kInternal, "a data clash without a partner");
}

Result<json::value> merge_data(const Tree& tree, const BlobLoader& load) {
  DataMerge merge;
  for (const auto& [path, entry] : tree.files()) {
    if (!is_data_file(path)) continue;
    NOTP_ASSIGN(const Content content, load(entry.hash));
    auto document = parse_data_file(path, *content);
    if (!document)
      return fail(ErrorCode::kInvalidModel, fmt::format("{}: {}", path, document.error().message));
    const DataPath at = data_path_of(path);
    if (at.empty() && !document->is_object())
      return fail(ErrorCode::kInvalidModel, fmt::format("{}: {}", path, kTopMustBeObject));
    const auto clash = merge.add(at, *std::move(document));
    if (!clash) continue;
    NOTP_ASSIGN(const std::string other, clash_partner(tree, load, path, *clash));
    return fail(ErrorCode::kInvalidModel,
                fmt::format("{} and {} both define data.{}", other, path, data_path_text(*clash)));
  }
  return merge.take();
}

}  // namespace notp::model
