#include "tools/notp/publish/model_roots.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "common/json/json.hpp"
#include "common/limits.hpp"
#include "protocol/model/manifest.hpp"
#include "protocol/model/package.hpp"
#include "protocol/model/test_code.hpp"

namespace notp::cli {
namespace {

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Segments allowed by schemas/manifest.schema.json.
bool is_root_segment(std::string_view segment) {
  if (segment.empty() || !(is_letter(segment[0]) || is_digit(segment[0]))) return false;
  return std::ranges::all_of(
      segment, [](char c) { return is_letter(c) || is_digit(c) || c == '.' || c == '-'; });
}

class RootFinder {
 public:
  RootFinder(const model::Files& files, const FileLoader& load) : files_(files), load_(load) {}

  Result<FoundRoots> run() {
    for (const auto& [path, entry] : files_) {
      if (model::is_test_module(path)) {
        ++found_.tests;
      } else if (model::is_policy_file(path)) {
        NOTP_TRY(add_policy(path));
      } else if (model::is_data_file(path)) {
        NOTP_TRY(add_document(path));
      }
    }
    for (const auto& [first, shared] : shared_)
      found_.roots.push_back(fmt::format("{}", fmt::join(shared, "/")));
    return std::move(found_);
  }

 private:
  Result<void> add_policy(const std::string& path) {
    ++found_.policies;
    NOTP_ASSIGN(const model::Content text, load_(path));
    // An unreadable module is reported by the model check.
    if (const auto package = model::package_of(*text))
      add(path, "package " + model::data_path_text(*package), *package);
    return {};
  }

  // A document at the top owns the names in it; one below "tests" is not data.
  Result<void> add_document(const std::string& path) {
    ++found_.documents;
    const model::DataPath at = model::data_path_of(path);
    if (std::ranges::find(at, "tests") != at.end() && !shared_.contains(at.front())) return {};
    if (!at.empty()) {
      add(path, "data." + model::data_path_text(at), at);
      return {};
    }
    NOTP_ASSIGN(const model::Content text, load_(path));
    const auto document = model::parse_data_file(path, *text);
    if (!document || !document->is_object()) return {};
    for (const auto& [name, value] : document->get_object())
      add(path, fmt::format("data.{}", printable(std::string_view(name), 80)), {std::string(name)});
    return {};
  }

  void add(const std::string& path, const std::string& what, const model::DataPath& place) {
    if (place.front() == "system" || !is_root_segment(place.front())) {
      found_.no_root.push_back(
          fmt::format("{}: {} cannot be a data root of a ledger: {}", path, what,
                      place.front() == "system"
                          ? "data.system is the agent's"
                          : "its first name has other characters than A-Z a-z 0-9 _ . -"));
      return;
    }
    model::DataPath usable(place.begin(), std::ranges::find_if_not(place, is_root_segment));
    const auto [known, is_new] = shared_.try_emplace(place.front(), usable);
    if (is_new) return;
    model::DataPath& shared = known->second;
    const auto [end, other] = std::ranges::mismatch(shared, usable);
    shared.erase(end, shared.end());
  }

  const model::Files& files_;
  const FileLoader& load_;
  std::map<std::string, model::DataPath> shared_;
  FoundRoots found_;
};

std::string runtime_name(uint8_t version) { return version == 0 ? "rego-v0" : "rego"; }

}  // namespace

Result<FoundRoots> find_roots(const model::Files& files, const FileLoader& load) {
  return RootFinder(files, load).run();
}

Bytes manifest_text(const ManifestDraft& draft) {
  json::object metadata{{"name", draft.name}};
  for (const auto& [name, text] : {std::pair{"description", &draft.description},
                                   {"author", &draft.author},
                                   {"license", &draft.license}})
    if (!text->empty()) metadata[name] = *text;
  json::object runtimes, partitions;
  const auto add = [&](const std::string& folder, uint8_t version) {
    const std::string name = runtime_name(version);
    runtimes[name] = json::object{
        {"language", json::object{{"name", "rego"}, {"version", version == 0 ? "0" : "1.0"}}}};
    partitions["/" + folder] = json::object{{"runtime", name}};
  };
  add("", draft.version);
  for (const auto& [folder, version] : draft.versions) add(folder, version);
  return pretty_json(json::object{{"metadata", std::move(metadata)},
                                  {"runtimes", std::move(runtimes)},
                                  {"partitions", std::move(partitions)},
                                  {"roots", json::array(draft.roots.begin(), draft.roots.end())}}) +
         "\n";
}

}  // namespace notp::cli
