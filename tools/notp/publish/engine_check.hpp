// Rego judged on this machine: by the engine that nodes decide with, and by an OPA of the person's.
#pragma once

#include <string>
#include <vector>

#include "protocol/model/validate.hpp"

namespace notp::cli {

struct EngineCheck {
  std::vector<std::string> allow;  // built-ins that are off unless configured
  bool coverage = false;
  bool test_results = false;  // each test's outcome in the report
  std::string opa;            // a program that judges besides; empty: none
  FindUsed find_used;         // for a model that uses others; null: none are at hand
};

// What an engine must have for a model: built-ins and language features.
struct ModelNeeds {
  std::vector<std::string> builtins, features;
};
json::object needs_json(const ModelNeeds& needs);
std::string needs_text(const ModelNeeds& needs);
// By the worker beside this program, which parses the policies and no more. kUnavailable.
Result<ModelNeeds> find_needs(const ModelContent& content);

// Content alone: what the registry will find in the policies is left to it.
Result<ModelReport> check_content(const ModelContent& content);
// Everything, by the worker beside this program, and by `check.opa`. kUnavailable, kUsage: one of
// them cannot be run.
Result<ModelReport> check_model(const ModelContent& content, const EngineCheck& check = {});

}  // namespace notp::cli
