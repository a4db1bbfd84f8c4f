#include "tools/notp/engine_check.hpp"

#include "common/rego/host/process_checker.hpp"
#include "tools/notp/opa_check.hpp"

namespace notp::cli {

Result<ModelReport> check_content(const ModelContent& content) {
  return validate_model(*content.tree, content.loader(), nullptr);
}

Result<ModelReport> check_model(const ModelContent& content, const EngineCheck& check) {
  rego::ProcessChecker engine(rego::CheckerOptions{});
  ValidationOptions options;
  options.coverage = check.coverage;
  options.test_results = check.test_results;
  options.allow = check.allow;
  NOTP_ASSIGN(ModelReport report,
              validate_model(*content.tree, content.loader(), &engine, options));
  if (!check.opa.empty()) NOTP_TRY(check_with_opa(check.opa, content, report));
  return report;
}

}  // namespace notp::cli
