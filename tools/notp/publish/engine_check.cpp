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

Result<ModelNeeds> find_needs(const model::ModelContent& content) {
  NOTP_ASSIGN(const model::Content text, file_content(content, std::string(model::kManifestPath)));
  NOTP_ASSIGN(const model::Manifest manifest, model::Manifest::parse(*text));
  rego::CheckRequest request;
  request.needs_only = true;
  request.load = content.loader();
  for (const std::string& path : model::rego_paths(*content.tree, /*with_tests=*/false)) {
    const model::FileEntry& entry = *content.tree->find(path);
    request.modules.push_back({path, entry.hash, entry.bytes, manifest.rego_version_of(path)});
  }
  rego::ProcessChecker engine(rego::CheckerOptions{});
  NOTP_ASSIGN(rego::CheckReport report, engine.check(request));
  if (!report.findings.empty())
    return fail(ErrorCode::kInvalidModel, to_string(report.findings.front()));
  return ModelNeeds{std::move(report.builtins), std::move(report.features)};
}

Result<model::ModelReport> check_content(const model::ModelContent& content) {
  return model::validate_model(*content.tree, content.loader(), nullptr);
}

namespace {

// Resolves the models that the manifest names; none for an unreadable manifest, which is reported
// separately.
model::ResolvedUses resolve(const model::ModelContent& content, const model::FindUsed& find) {
  const auto text = file_content(content, std::string(model::kManifestPath));
  const auto manifest =
      text ? model::Manifest::parse(**text) : Result<model::Manifest>(model::Manifest());
  return manifest ? model::resolve_uses({}, manifest->data_roots, manifest->uses, find)
                  : model::ResolvedUses();
}

}  // namespace

Result<model::ModelReport> check_model(const model::ModelContent& content,
                                       const EngineCheck& check) {
  rego::ProcessChecker engine(rego::CheckerOptions{});
  model::ResolvedUses uses;
  if (check.find_used) uses = resolve(content, check.find_used);
  model::ValidationOptions options;
  if (check.find_used) options.uses = &uses;
  options.coverage = check.coverage;
  options.test_results = check.test_results;
  options.allow = check.allow;
  NOTP_ASSIGN(model::ModelReport report,
              model::validate_model(*content.tree, content.loader(), &engine, options));
  if (!check.opa.empty()) NOTP_TRY(check_with_opa(check.opa, content, options.uses, report));
  return report;
}

}  // namespace notp::cli
