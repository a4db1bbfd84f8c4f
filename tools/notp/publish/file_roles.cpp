#include "tools/notp/publish/file_roles.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "protocol/model/data.hpp"
#include "protocol/model/keys.hpp"
#include "protocol/model/manifest.hpp"
#include "protocol/model/test_code.hpp"

namespace notp::cli {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

std::string_view name_of(std::string_view path) { return path.substr(path.rfind('/') + 1); }
std::string_view folder_of(std::string_view path) {  // with its '/'
  return path.substr(0, path.rfind('/') + 1);
}

// Documents of other programs found beside policies in many repositories, in lower case.
constexpr std::array<std::string_view, 47> kToolDocuments = {"_config.yml",
                                                             "antora.yml",
                                                             "appveyor.yml",
                                                             "azure-pipelines.yml",
                                                             "biome.json",
                                                             "bitbucket-pipelines.yml",
                                                             "buf.yaml",
                                                             "buildspec.yml",
                                                             "capabilities.json",
                                                             "catalog-info.yaml",
                                                             "chart.yaml",
                                                             "cloudbuild.yaml",
                                                             "codecov.yml",
                                                             "compose.yaml",
                                                             "compose.yml",
                                                             "composer.json",
                                                             "cspell.json",
                                                             "deno.json",
                                                             "devcontainer.json",
                                                             "docker-compose.yaml",
                                                             "docker-compose.yml",
                                                             "firebase.json",
                                                             "galaxy.yml",
                                                             "kustomization.yaml",
                                                             "kustomization.yml",
                                                             "lefthook.yml",
                                                             "mkdocs.yaml",
                                                             "mkdocs.yml",
                                                             "nx.json",
                                                             "opa-config.yaml",
                                                             "opa-config.yml",
                                                             "opa.yaml",
                                                             "package-lock.json",
                                                             "package.json",
                                                             "plan.json",
                                                             "pnpm-lock.yaml",
                                                             "pnpm-workspace.yaml",
                                                             "regal.yaml",
                                                             "release-please-config.json",
                                                             "renovate.json",
                                                             "skaffold.yaml",
                                                             "taskfile.yaml",
                                                             "taskfile.yml",
                                                             "tsconfig.json",
                                                             "turbo.json",
                                                             "values.yaml",
                                                             "vercel.json"};
static_assert(std::ranges::is_sorted(kToolDocuments));

bool is_dropping(std::string_view name) {
  static constexpr std::array<std::string_view, 9> kEnds = {"~",    ".bak", ".orig", ".rej", ".swn",
                                                            ".swo", ".swp", ".temp", ".tmp"};
  return (name.starts_with('#') && name.ends_with('#')) ||
         std::ranges::any_of(kEnds, [&](std::string_view end) { return name.ends_with(end); });
}

bool is_document(std::string_view name) {
  return name.ends_with(".json") || name.ends_with(".yaml") || name.ends_with(".yml");
}

bool is_schema(std::string_view path, std::string_view name) {
  return name.contains("schema") || path.starts_with("schemas/") || path.contains("/schemas/") ||
         path.starts_with("schema/") || path.contains("/schema/");
}

constexpr std::string_view kTextSuffix = ".txt";  // which an editor adds and a desktop hides

// Returns how to rename a file whose name is almost that of a model's file; empty: not such a file.
std::string near_miss(std::string_view path) {
  const std::string_view name = name_of(path);
  std::string plain = lower(name);
  plain.erase(plain.find_last_not_of(" \t") + 1);
  if (plain.ends_with(kTextSuffix)) plain.resize(plain.size() - kTextSuffix.size());
  const auto rename = [&](std::string_view what, std::string_view to) {
    return fmt::format("{}: rename it to {}{}", what, folder_of(path), to);
  };
  if (plain.ends_with(model::kRegoSuffix) && plain.size() > model::kRegoSuffix.size())
    return rename("policies are *.rego, in small letters",
                  std::string(name.substr(0, plain.size() - model::kRegoSuffix.size())) +
                      std::string(model::kRegoSuffix));
  if (plain == "data.json") return rename("data is data.json, spelt so", "data.json");
  if (plain == "data.yaml" || plain == "data.yml")
    return rename("data is data.json or data.yaml, spelt so", "data.yaml");
  if (name == model::kManifestPath)
    return "a model has one manifest.json, at its top; publish this folder by itself if it is a "
           "model of its own";
  if (!path.contains('/') && plain == model::kManifestPath)
    return rename("the manifest is manifest.json, spelt so", model::kManifestPath);
  if (!path.contains('/') && (plain == "manifest.yaml" || plain == "manifest.yml"))
    return "the manifest is JSON: yq -o=json makes a manifest.json of it";
  return {};
}

}  // namespace

FileVerdict file_verdict(std::string_view path) {
  if (path == model::kManifestPath || model::is_data_file(path) || model::is_policy_file(path))
    return {FileRole::kModel, {}};
  const std::string name = lower(name_of(path));
  if (is_dropping(name))
    return {FileRole::kOther, "a copy that an editor or a merge leaves behind"};
  if (std::string why = near_miss(path); !why.empty()) return {FileRole::kNearMiss, std::move(why)};
  if (name == "policy.wasm" || name.ends_with(".wasm"))
    return {FileRole::kOther, "a compiled policy; nodes compile the policies themselves"};
  if (!is_document(name)) return {FileRole::kOther, "neither a policy nor data"};
  if (is_schema(lower(path), name)) return {FileRole::kOther, "a schema"};
  if (std::ranges::binary_search(kToolDocuments, name))
    return {FileRole::kOther, "a file of another program"};
  if (name.starts_with("input.") || name.contains("-input.") || name.contains("_input."))
    return {FileRole::kOther, "a sample of an input"};
  return {FileRole::kDocument, "neither data.json nor data.yaml"};
}

std::string document_advice(std::string_view path) {
  if (const std::string place = model::key_set_place(path); !place.empty())
    return fmt::format("a JWK Set is keys/<issuer>/data.json: move it to {}", place);
  const std::string_view name = name_of(path), folder = folder_of(path);
  const std::string stem(name.substr(0, name.rfind('.')));
  const std::string_view file = name.ends_with(".json") ? "data.json" : "data.yaml";
  model::DataPath at = model::data_path_of(path);
  at.insert(at.begin(), "data");
  at.push_back(stem);
  return fmt::format(
      "OPA loads it outside of bundle mode; in a model the folder is the data path: move it to "
      "{}{}/{} ({}), or name it in .notpignore",
      folder, stem, file, model::data_path_text(at));
}

}  // namespace notp::cli
