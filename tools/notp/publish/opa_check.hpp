// Checks a model with an Open Policy Agent that the user names.
#pragma once

#include <string>

#include "protocol/model/validate.hpp"

namespace notp::cli {

// Runs `opa check` and `opa test` of that program on the model as a bundle, with bundles of the
// models that it uses (null: none), and adds their findings to the report: rules "opa-check" and
// "opa-test". kUsage: the program cannot be run, or is not OPA.
Result<void> check_with_opa(const std::string& program, const model::ModelContent& content,
                            const model::ResolvedUses* uses, model::ModelReport& report);

}  // namespace notp::cli
