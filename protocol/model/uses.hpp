// Models that use others: whose rules, functions and data are beside the own ones when a model is
// judged, and when a node decides with it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "common/rego/check.hpp"
#include "protocol/model/ledger.hpp"
#include "protocol/model/tree.hpp"

namespace notp {

// A release of another ledger.
struct UsedModel {
  LedgerId ledger;
  uint64_t version = 0;
  std::vector<std::string> data_roots;
  std::vector<LedgerUse> uses;
  std::vector<std::string> allow;  // built-ins that are off unless configured, and on for it
  TreePtr tree;
  BlobLoader load;
};

// The release of a ledger that is to be used, whatever version is asked for.
using FindUsed = std::function<Result<UsedModel>(const LedgerId&)>;

struct ResolvedUses {
  std::vector<UsedModel> models;      // each once, what others use behind who uses it
  std::vector<std::string> problems;  // a line each: what is not there, too old, in a circle
};
// What `uses` name, directly or through each other, for a model of the ledger `own`. At most
// kUsesDepthMax levels and kUsedModelsMax models: more is a problem, like each error of `find` and
// data roots that overlap with `roots` or with each other.
ResolvedUses resolve_uses(const LedgerId& own, const std::vector<std::string>& roots,
                          const std::vector<LedgerUse>& uses, const FindUsed& find);

// Puts a used model beside the one that is judged: its policies without tests, and its data.
// Errors of its loader; kInvalidModel when its manifest cannot be read.
Result<void> add_used(const UsedModel& used, rego::CheckRequest& request);

// "100000000001/lib:lib/roles.rego": no file of a model has such a path.
std::string used_path(const LedgerId& ledger, std::string_view path);
bool is_used_path(std::string_view path);

}  // namespace notp
