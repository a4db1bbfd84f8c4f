#include "tools/notp/publish/bundle_manifest.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "common/json/json.hpp"
#include "protocol/model/manifest.hpp"
#include "protocol/model/test_code.hpp"
#include "tools/notp/publish/glob.hpp"

namespace notp::cli {
namespace {

// Limit of matching file_rego_versions against all policies: some seconds.
constexpr uint64_t kMatchWorkMax = 1'000'000'000;
constexpr size_t kPartitionsMax = 64;  // as in the schema

std::unexpected<Error> invalid(std::string message) {
  return fail(ErrorCode::kInvalidModel, std::move(message));
}

std::string text_at(const json::object& object, std::string_view name, size_t bytes_max) {
  const json::value* const value = object.if_contains(name);
  if (value == nullptr || !value->is_string() || value->get_string().size() > bytes_max) return {};
  return std::string(value->get_string());
}

Result<int> version_at(const json::value& value, std::string_view name) {
  if (value.is_int64() && (value.get_int64() == 0 || value.get_int64() == 1))
    return static_cast<int>(value.get_int64());
  return invalid(fmt::format("{} is 0 or 1, not {}", name, printable(json::serialize(value), 80)));
}

std::string_view folder_of(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? "" : path.substr(0, slash);
}

// The Rego versions of a bundle's files, by folder.
class Versions {
 public:
  Result<void> read(const json::object& own) {
    if (const json::value* version = own.if_contains("rego_version")) {
      NOTP_ASSIGN(default_, version_at(*version, "rego_version"));
    }
    const json::value* const each = own.if_contains("file_rego_versions");
    if (each == nullptr || each->is_null()) return {};
    if (!each->is_object()) return invalid("file_rego_versions is not an object");
    for (const auto& [pattern, value] : each->get_object()) {
      NOTP_ASSIGN(const int version, version_at(value, "a version in file_rego_versions"));
      std::string_view text = pattern;
      if (text.contains('{'))
        return invalid(
            fmt::format("file_rego_versions: write the alternatives of \"{}\" as patterns "
                        "of their own",
                        printable(text)));
      while (text.starts_with('/')) text.remove_prefix(1);
      patterns_.emplace_back(Glob(text), version);
    }
    return {};
  }

  // Fills in the top's version and the folders with the other one.
  Result<void> fill(const model::Files& files, ManifestDraft& draft) {
    for (const auto& [path, entry] : files) {
      if (!path.ends_with(model::kRegoSuffix)) continue;
      NOTP_ASSIGN(const int version, version_of(path));
      const std::string folder(folder_of(path));
      const auto [known, is_new] = folders_.try_emplace(folder, version);
      if (known->second != version)
        return invalid(
            fmt::format("the folder \"{}\" has policies of Rego v0 and v1; in a model a "
                        "folder has one version: move the ones or the others",
                        folder));
    }
    const auto top = folders_.find("");
    draft.version = static_cast<uint8_t>(top == folders_.end() ? default_ : top->second);
    // In byte order a folder comes before the folders inside it.
    for (const auto& [folder, version] : folders_) {
      if (version == nearest(draft, folder)) continue;
      if (draft.versions.size() + 1 == kPartitionsMax)
        return invalid(
            fmt::format("more than {} folders have another version of Rego than the "
                        "folder above them",
                        kPartitionsMax - 1));
      draft.versions.emplace(folder, static_cast<uint8_t>(version));
    }
    return {};
  }

 private:
  Result<int> version_of(std::string_view path) {
    int version = default_;
    for (const auto& [glob, its] : patterns_) {
      if (work_ > kMatchWorkMax) return invalid("file_rego_versions: too many patterns");
      if (glob.matches(path, work_)) version = its;
    }
    return version;
  }
  static int nearest(const ManifestDraft& draft, std::string_view folder) {
    for (; !folder.empty(); folder = folder_of(folder))
      if (const auto own = draft.versions.find(std::string(folder)); own != draft.versions.end())
        return own->second;
    return draft.version;
  }

  int default_ = 1;
  std::vector<std::pair<Glob, int>> patterns_;
  std::map<std::string, int> folders_;
  uint64_t work_ = 0;
};

Result<std::vector<std::string>> roots_of(const json::object& own, const model::Files& files,
                                          const FileLoader& load) {
  std::vector<std::string> roots;
  if (const json::value* listed = own.if_contains("roots"); listed && !listed->is_null()) {
    if (!listed->is_array()) return invalid("roots is not an array");
    for (const json::value& root : listed->get_array()) {
      if (!root.is_string()) return invalid("a root is not a string");
      std::string_view text = root.get_string();
      while (text.starts_with('/')) text.remove_prefix(1);
      while (text.ends_with('/')) text.remove_suffix(1);
      roots.emplace_back(text);
    }
  }
  if (!roots.empty() && std::ranges::find(roots, "") == roots.end()) return roots;
  NOTP_ASSIGN(FoundRoots found, find_roots(files, load));
  if (!found.no_root.empty())
    return invalid(fmt::format("the bundle owns all of data, and a ledger owns names: {}",
                               fmt::join(found.no_root, "; ")));
  if (found.roots.empty()) return invalid("the bundle has no policies and no data");
  return std::move(found.roots);
}

// `opa build -t wasm` removes the rules of its entry points from the modules, and nodes do not run
// compiled ones: the rules would silently be undefined.
Result<void> refuse_compiled_rules(const json::object& own) {
  const json::value* const modules = own.if_contains("wasm");
  const json::array* const listed = modules != nullptr ? modules->if_array() : nullptr;
  if (listed == nullptr || listed->empty()) return {};
  const json::object* const first = listed->front().if_object();
  return invalid(
      fmt::format("the rules of \"{}\" are compiled into policy.wasm, and nodes compile policies "
                  "themselves: build the bundle without -t wasm",
                  printable(first != nullptr ? text_at(*first, "entrypoint", 256) : "", 256)));
}

}  // namespace

Result<Bytes> manifest_of_bundle(ByteView own, const model::Files& files, const FileLoader& load,
                                 const std::string& name) {
  auto document = parse_json(own);
  if (!document) {
    document.error().code = ErrorCode::kInvalidModel;
    return std::unexpected(std::move(document).error());
  }
  const json::object* const manifest = document->if_object();
  if (manifest == nullptr) return invalid("not a JSON object");
  NOTP_TRY(refuse_compiled_rules(*manifest));
  ManifestDraft draft;
  const json::value* const metadata = manifest->if_contains("metadata");
  if (const json::object* const said = metadata ? metadata->if_object() : nullptr) {
    draft.name = text_at(*said, "name", 128);
    draft.description = text_at(*said, "description", 4096);
    draft.author = text_at(*said, "author", 256);
    draft.license = text_at(*said, "license", 128);
  }
  if (draft.name.empty()) draft.name = name.empty() ? "bundle" : name.substr(0, 128);
  NOTP_ASSIGN(draft.roots, roots_of(*manifest, files, load));
  Versions versions;
  NOTP_TRY(versions.read(*manifest));
  NOTP_TRY(versions.fill(files, draft));
  return manifest_text(draft);
}

}  // namespace notp::cli
