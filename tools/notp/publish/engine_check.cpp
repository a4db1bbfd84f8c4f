#include "tools/notp/publish/engine_check.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "common/rego/host/process_checker.hpp"
#include "tools/notp/publish/opa_check.hpp"
#include "tools/notp/workspace.hpp"

namespace notp::cli {

json::object needs_json(const ModelNeeds& needs) {
  return {{"builtins", json::array(needs.builtins.begin(), needs.builtins.end())},
          {"features", json::array(needs.features.begin(), needs.features.end())}};
}

std::string needs_text(const ModelNeeds& needs) {
  std::vector<std::string> names = needs.features;
  names.insert(names.end(), needs.builtins.begin(), needs.builtins.end());
  return names.empty() ? "any OPA from 1.0 on" : fmt::format("{}", fmt::join(names, ", "));
}

Result<ModelNeeds> find_needs(const ModelContent& content) {
  NOTP_ASSIGN(const Content text, file_content(content, std::string(kManifestPath)));
  NOTP_ASSIGN(const Manifest manifest, Manifest::parse(*text));
  rego::CheckRequest request;
  request.needs_only = true;
  request.load = content.loader();
  for (const std::string& path : rego_paths(*content.tree, /*with_tests=*/false)) {
    const FileEntry& entry = *content.tree->find(path);
    request.modules.push_back({path, entry.hash, entry.bytes, manifest.rego_version_of(path)});
  }
  rego::ProcessChecker engine(rego::CheckerOptions{});
  NOTP_ASSIGN(rego::CheckReport report, engine.check(request));
  if (!report.findings.empty())
    return fail(ErrorCode::kInvalidModel, to_string(report.findings.front()));
  return ModelNeeds{std::move(report.builtins), std::move(report.features)};
}

Result<ModelReport> check_content(const ModelContent& content) {
  return validate_model(*content.tree, content.loader(), nullptr);
}

namespace {

// Resolves the models that the manifest names; none for an unreadable manifest, which is reported
// separately.
ResolvedUses resolve(const ModelContent& content, const FindUsed& find) {
  const auto text = file_content(content, std::string(kManifestPath));
  const auto manifest = text ? Manifest::parse(**text) : Result<Manifest>(Manifest());
  return manifest ? resolve_uses({}, manifest->data_roots, manifest->uses, find) : ResolvedUses();
}

}  // namespace

Result<ModelReport> check_model(const ModelContent& content, const EngineCheck& check) {
  rego::ProcessChecker engine(rego::CheckerOptions{});
  ResolvedUses uses;
  if (check.find_used) uses = resolve(content, check.find_used);
  ValidationOptions options;
  if (check.find_used) options.uses = &uses;
  options.coverage = check.coverage;
  options.test_results = check.test_results;
  options.allow = check.allow;
  NOTP_ASSIGN(ModelReport report,
              validate_model(*content.tree, content.loader(), &engine, options));
  if (!check.opa.empty()) NOTP_TRY(check_with_opa(check.opa, content, options.uses, report));
  return report;
}

}  // namespace notp::cli
