// The effect of a release on other ledgers: nodes that have both, models that it uses, and models
// that use it.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/atomic_shared.hpp"
#include "notp-server/authz/rights.hpp"
#include "notp-server/registry/registry.hpp"
#include "protocol/model/builtin_grants.hpp"
#include "protocol/model/uses.hpp"
#include "protocol/wire/messages.hpp"

namespace notp::publish {

// Thread-safe. Blocking: content may be read from Git, and models are compiled.
class Neighbours {
 public:
  // A node of the fleet that subscribes to both ledgers; nullopt: none does. Blocking. kIo.
  using SubscribedTogether = std::function<Result<std::optional<std::string>>(
      const model::LedgerId&, const model::LedgerId&)>;

  Neighbours(registry::Registry& registry, const AtomicShared<authz::RightsTable>& rights,
             rego::ModelChecker& engine, const model::BuiltinGrants& builtins,
             SubscribedTogether subscribed);

  // Checks for heads whose data roots overlap with the release's: kRootsOverlap if a node has both,
  // a warning if a right lets nodes have both.
  Result<std::vector<wire::Finding>> check_roots(const trust::Release& release) const;

  // Resolves what the release uses to the current heads. A ledger that `reader` may not read is a
  // problem; null: the right was checked before.
  model::ResolvedUses uses_of(const trust::Release& release, const session::Identity* reader) const;

  // Checks heads that use the release's ledger, directly or indirectly, and returns why they do not
  // compile with it: paths as in used_path(). More than kDependantsMax of them are a finding as
  // well. Errors of the engine and the registry.
  Result<std::vector<wire::Finding>> broken_by(const trust::Release& release,
                                               const model::ModelContent& content) const;

 private:
  static constexpr size_t kDependantsMax = 256;

  Result<model::UsedModel> head_of(const model::LedgerId& ledger) const;
  std::vector<registry::ReleaseInfoPtr> dependants(const model::LedgerId& ledger) const;
  Result<rego::CheckReport> compile(const registry::ReleaseInfo& dependant,
                                    const model::UsedModel& changed) const;

  registry::Registry& registry_;
  const AtomicShared<authz::RightsTable>& rights_;
  rego::ModelChecker& engine_;
  const model::BuiltinGrants& builtins_;
  const SubscribedTogether subscribed_;
};

}  // namespace notp::publish
