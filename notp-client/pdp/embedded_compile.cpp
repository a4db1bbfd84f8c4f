#include "notp-client/pdp/embedded_compile.hpp"

#include <fmt/format.h>

#include "common/limits.hpp"
#include "common/yaml.hpp"
#include "notp-client/pdp/denied.hpp"
#include "protocol/model/data.hpp"
#include "protocol/model/validate.hpp"

namespace notp {
namespace {

Error rejection(const std::vector<rego::Diagnostic>& findings) {
  std::string text;
  for (const rego::Diagnostic& finding : findings) {
    if (text.size() > limits::kErrorTextBytesMax) break;
    if (!text.empty()) text.push_back('\n');
    text.append(to_string(finding));
  }
  text.resize(std::min(text.size(), limits::kErrorTextBytesMax));
  return {ErrorCode::kPdpRejected, std::move(text), {}};
}

std::string folder_of(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? "" : std::string(path.substr(0, slash));
}

Result<std::shared_ptr<const rego::Document>> system_document(const Composition& composition) {
  return rego::Document::parse("system/notp", json::serialize(composition.system_document()));
}

}  // namespace

Result<std::shared_ptr<const rego::Policy>> EmbeddedCompiler::retell(
    const rego::Policy& policy, const Composition& composition) const {
  NOTP_ASSIGN(const auto system, system_document(composition));
  return policy.with_document(*system);
}

Result<std::shared_ptr<const rego::Policy>> EmbeddedCompiler::compile(
    const Composition& composition, const BlobLoader& load) {
  Parts parts;
  std::vector<rego::SourceFile> sources;
  std::vector<std::shared_ptr<const rego::Document>> documents;
  for (const auto& [ledger, release] : composition.ledgers)
    if (!release.standing.denies())
      NOTP_TRY(gather(ledger, release, load, parts, sources, documents));
  NOTP_ASSIGN(const auto in_place,
              stand_ins(composition, [&](const Hash& hash) { return text_of(hash, load, parts); }));
  for (const auto& [path, text] : in_place) sources.push_back({path, text});
  parts_ = std::move(parts);
  NOTP_ASSIGN(auto system, system_document(composition));
  documents.push_back(std::move(system));
  auto policy = rego::Policy::compile(sources, documents, limits_);
  if (!policy) return std::unexpected(rejection(policy.error()));
  return *std::move(policy);
}

Result<void> EmbeddedCompiler::gather(
    const LedgerId& ledger, const ComposedRelease& release, const BlobLoader& load, Parts& parts,
    std::vector<rego::SourceFile>& sources,
    std::vector<std::shared_ptr<const rego::Document>>& documents) {
  for (const std::string& path : rego_paths(*release.tree, false)) {
    NOTP_ASSIGN(const Content text, text_of(release.tree->find(path)->hash, load, parts));
    sources.push_back({fmt::format("{}/{}", ledger.text(), path), *text});
  }
  for (const auto& [path, file] : release.tree->files()) {
    if (!is_data_file(path)) continue;
    NOTP_ASSIGN(auto parsed, document(path, file, load, parts));
    documents.push_back(std::move(parsed));
  }
  return {};
}

// Held by `parts`, so that views of it may be compiled.
Result<Content> EmbeddedCompiler::text_of(const Hash& hash, const BlobLoader& load, Parts& parts) {
  Content& text = parts.texts[hash];
  if (text) return text;
  if (const auto known = parts_.texts.find(hash); known != parts_.texts.end())
    return text = known->second;
  NOTP_ASSIGN(text, load(hash));
  return text;
}

Result<std::shared_ptr<const rego::Document>> EmbeddedCompiler::document(const std::string& path,
                                                                         const FileEntry& file,
                                                                         const BlobLoader& load,
                                                                         Parts& parts) {
  const std::string at = folder_of(path);
  auto& parsed = parts.documents[{at, file.hash}];
  if (const auto known = parts_.documents.find({at, file.hash}); known != parts_.documents.end())
    return parsed = known->second;
  NOTP_ASSIGN(const Content content, load(file.hash));
  Bytes from_yaml;
  if (path.ends_with(".yaml")) {
    const auto value = parse_yaml(*content);
    if (!value)
      return fail(ErrorCode::kPdpRejected, fmt::format("{}: {}", path, value.error().message));
    from_yaml = json::serialize(*value);
  }
  auto fresh = rego::Document::parse(at, path.ends_with(".yaml") ? from_yaml : *content, limits_);
  if (!fresh)
    return fail(ErrorCode::kPdpRejected, fmt::format("{}: {}", path, fresh.error().message));
  return parsed = *std::move(fresh);
}

}  // namespace notp
