// Resolves the models that a model uses: their rules, functions and data are available when the
// model is validated and when a node decides with it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "common/rego/check.hpp"
#include "protocol/model/ledger.hpp"
#include "protocol/model/tree.hpp"

namespace notp::model {

// A release of another ledger.
struct UsedModel {
  LedgerId ledger;
  uint64_t version = 0;
  std::vector<std::string> data_roots;
  std::vector<LedgerUse> uses;
  std::vector<std::string> allow;  // built-ins that are off unless configured; on for this one
  TreePtr tree;
  BlobLoader load;
};

// Returns the release of a ledger to be used, whatever version is required.
using FindUsed = std::function<Result<UsedModel>(const LedgerId&)>;

struct ResolvedUses {
  std::vector<UsedModel> models;      // each once, used models after the models that use them
  std::vector<std::string> problems;  // a line each: a model is missing, too old, or in a circle
};
// Resolves `uses`, directly and through each other, for a model of the ledger `own`. At most
// kUsesDepthMax levels and kUsedModelsMax models: more is a problem, like each error of `find` and
// data roots that overlap with `roots` or with each other.
ResolvedUses resolve_uses(const LedgerId& own, const std::vector<std::string>& roots,
                          const std::vector<LedgerUse>& uses, const FindUsed& find);

// Adds a used model to the request for the model under validation: its policies without tests, and
// its data. Errors of its loader; kInvalidModel when its manifest cannot be read.
Result<void> add_used(const UsedModel& used, rego::CheckRequest& request);

// Returns "100000000001/lib:lib/roles.rego": a path that no file of a model can have.
std::string used_path(const LedgerId& ledger, std::string_view path);
bool is_used_path(std::string_view path);

}  // namespace notp::model
