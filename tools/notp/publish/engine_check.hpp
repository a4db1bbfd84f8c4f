// Checks Rego on this machine: with the engine that nodes use, and with an OPA of the user's
// choice.
#pragma once

#include <string>
#include <vector>

#include "protocol/model/validate.hpp"

namespace notp::cli {

struct EngineCheck {
  std::vector<std::string> allow;  // built-ins that are off by default
  bool coverage = false;
  bool test_results = false;  // include each test's outcome in the report
  std::string opa;            // an OPA program that checks as well; empty: none
  model::FindUsed find_used;  // for a model that uses others; null: none available
};

// The requirements of a model on an engine: built-ins and language features.
struct ModelNeeds {
  std::vector<std::string> builtins, features;
};
json::object needs_json(const ModelNeeds& needs);
std::string needs_text(const ModelNeeds& needs);
// Runs the worker beside this program, which only parses the policies. kUnavailable.
Result<ModelNeeds> find_needs(const model::ModelContent& content);

// Checks content alone: policies are left to the registry.
Result<model::ModelReport> check_content(const model::ModelContent& content);
// Checks everything, with the worker beside this program and with `check.opa`. kUnavailable,
// kUsage: one of them cannot be run.
Result<model::ModelReport> check_model(const model::ModelContent& content,
                                       const EngineCheck& check = {});

}  // namespace notp::cli
