#include "protocol/model/manifest.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/json/json.hpp"
#include "common/json/json_schema.hpp"
#include "common/limits.hpp"
#include "protocol/model/path.hpp"
#include "schemas/embedded.hpp"

namespace notp::model {
namespace {

std::unexpected<Error> invalid(std::string message) {
  return fail(ErrorCode::kInvalidModel, std::move(message));
}

std::string text_of(const json::object& object, std::string_view name) {
  const json::value* const value = object.if_contains(name);
  return value ? std::string(value->as_string()) : std::string();
}

bool contains(std::string_view outer, std::string_view inner) {
  return inner == outer || (inner.starts_with(outer) && inner[outer.size()] == '/');
}

// Fills `manifest` from a document that the schema has accepted.
void read(Manifest& manifest, const json::object& document) {
  const json::object& metadata = document.at("metadata").as_object();
  manifest.name = text_of(metadata, "name");
  manifest.description = text_of(metadata, "description");
  manifest.author = text_of(metadata, "author");
  manifest.license = text_of(metadata, "license");
  for (const auto& [name, runtime] : document.at("runtimes").as_object())
    manifest.runtimes.emplace(name, runtime.at("language").at("version").as_string());
  for (const auto& [path, partition] : document.at("partitions").as_object())
    manifest.partitions.emplace(path, partition.at("runtime").as_string());
  for (const json::value& root : document.at("roots").as_array())
    manifest.data_roots.emplace_back(root.as_string());
  std::ranges::sort(manifest.data_roots);
}

// The schema has checked most of its form.
void read_uses(Manifest& manifest, const json::object& document, std::vector<std::string>& lines) {
  const json::value* const uses = document.if_contains("uses");
  if (uses == nullptr) return;
  for (const json::value& use : uses->as_array()) {
    const auto ledger = LedgerId::parse(text_of(use.as_object(), "ledger"));
    if (!ledger) {
      lines.push_back("/uses: " + ledger.error().message);
      continue;
    }
    const json::value* const least = use.as_object().if_contains("min_version");
    manifest.uses.push_back({*ledger, least ? least->to_number<uint64_t>() : 1});
  }
  std::ranges::sort(manifest.uses, {}, &LedgerUse::ledger);
  const auto twice = std::ranges::adjacent_find(manifest.uses, {}, &LedgerUse::ledger);
  if (twice != manifest.uses.end())
    lines.push_back(fmt::format("/uses: {} is there twice", twice->ledger.text()));
}

// Returns the broken rules that a schema cannot express; one line for each.
std::vector<std::string> broken_rules(const Manifest& manifest) {
  std::vector<std::string> lines;
  for (const auto& [path, runtime] : manifest.partitions) {
    if (!manifest.runtimes.contains(runtime))
      lines.push_back(
          fmt::format("/partitions: \"{}\" names the runtime \"{}\", which runtimes "
                      "does not have",
                      printable(path), printable(runtime)));
    if (path == "/") continue;
    if (const auto checked = check_path(std::string_view(path).substr(1)); !checked)
      lines.push_back(fmt::format("/partitions: {}", checked.error().message));
  }
  for (size_t i = 0; i < manifest.data_roots.size(); ++i) {
    const std::string& root = manifest.data_roots[i];
    if (contains("system", root) && root != kLogRulesRoot)
      lines.push_back(
          fmt::format("/roots: \"{}\" is reserved: data.system is the agent's, but "
                      "for {}",
                      root, kLogRulesRoot));
    for (size_t k = 0; k < manifest.data_roots.size(); ++k)
      if (k != i && contains(root, manifest.data_roots[k]))
        lines.push_back(fmt::format("/roots: \"{}\" lies inside \"{}\"; name the outer one alone",
                                    manifest.data_roots[k], root));
  }
  return lines;
}

}  // namespace

uint8_t Manifest::rego_version_of(std::string_view path) const {
  const std::string* runtime = nullptr;
  size_t nearest = 0;
  for (const auto& [folder, language] : partitions) {
    const std::string_view inside = std::string_view(folder).substr(1);
    const bool holds = inside.empty() || (path.starts_with(inside) && path.size() > inside.size() &&
                                          path[inside.size()] == '/');
    if (!holds || (runtime != nullptr && inside.size() < nearest)) continue;
    nearest = inside.size();
    runtime = &language;
  }
  const auto found = runtime == nullptr ? runtimes.end() : runtimes.find(*runtime);
  if (found == runtimes.end()) return 1;
  return found->second == "0" || found->second == "0.0" || found->second == "v0" ? 0 : 1;
}

Result<Manifest> Manifest::parse(ByteView json_text) {
  if (json_text.size() > limits::kManifestBytesMax)
    return invalid(fmt::format("manifest.json has {} bytes, {} are allowed", json_text.size(),
                               limits::kManifestBytesMax));
  auto document = parse_json(json_text);
  if (!document) {
    document.error().code = ErrorCode::kInvalidModel;
    return std::unexpected(std::move(document).error());
  }
  NOTP_TRY(validate_json_schema(schemas::kManifest, json_text));
  Manifest manifest;
  read(manifest, document->as_object());
  std::vector<std::string> lines = broken_rules(manifest);
  read_uses(manifest, document->as_object(), lines);
  if (const json::value* const decisions = document->as_object().if_contains("decisions"))
    manifest.decisions = read_decision_terms(decisions->as_object(), manifest.data_roots, lines);
  if (const json::value* const gate = document->as_object().if_contains("gate"))
    manifest.gate = read_gate_terms(gate->as_object(), lines);
  if (!lines.empty()) {
    std::string text;
    for (const std::string& line : lines) text.append(text.empty() ? "" : "\n").append(line);
    return invalid(std::move(text));
  }
  return manifest;
}

bool roots_contain(const std::vector<std::string>& roots, std::string_view data_path) {
  return std::ranges::any_of(roots,
                             [&](const std::string& root) { return contains(root, data_path); });
}

std::string roots_overlap(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  for (const std::string& x : a)
    for (const std::string& y : b)
      if (contains(x, y) || contains(y, x)) return fmt::format("{} and {}", x, y);
  return {};
}

}  // namespace notp::model
