#include "notp-server/publish/neighbours.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "common/limits.hpp"
#include "common/rego/tokens_module.hpp"
#include "common/rego/txn_module.hpp"
#include "protocol/model/manifest.hpp"

namespace notp::publish {
namespace {

wire::Finding on_manifest(std::string rule, std::string message) {
  return {std::string(model::kManifestPath), 0, std::move(rule), std::move(message)};
}

}  // namespace

Neighbours::Neighbours(registry::Registry& registry, const AtomicShared<authz::RightsTable>& rights,
                       rego::ModelChecker& engine, const model::BuiltinGrants& builtins,
                       SubscribedTogether subscribed)
    : registry_(registry),
      rights_(rights),
      engine_(engine),
      builtins_(builtins),
      subscribed_(std::move(subscribed)) {}

Result<std::vector<wire::Finding>> Neighbours::check_roots(const trust::Release& release) const {
  std::vector<wire::Finding> warnings;
  const auto rights = rights_.get();
  for (const model::LedgerId& other : registry_.ledgers()) {
    if (other == release.ledger) continue;
    const auto head = registry_.head(other);
    if (!head) continue;
    const std::string pair = model::roots_overlap(release.data_roots, head->release.data_roots);
    if (pair.empty()) continue;
    NOTP_ASSIGN(const std::optional<std::string> node,
                subscribed_ ? subscribed_(release.ledger, other) : std::nullopt);
    if (node)
      return fail(ErrorCode::kRootsOverlap,
                  fmt::format("{} subscribes to {} and {}, and their data roots overlap ({}): take "
                              "one of them out of its `ledgers`, or give one other roots",
                              *node, release.ledger.text(), other.text(), pair));
    if (rights->granted_together(release.ledger, other) && warnings.size() < limits::kFindingsMax)
      warnings.push_back(on_manifest(
          "roots-overlap",
          fmt::format("data roots overlap with those of {} ({}); nodes may read both, and one that "
                      "subscribes to both takes the one that stands first in its `ledgers`",
                      other.text(), pair)));
  }
  return warnings;
}

Result<model::UsedModel> Neighbours::head_of(const model::LedgerId& ledger) const {
  if (auto damage = registry_.damage(ledger)) return std::unexpected(*std::move(damage));
  const auto head = registry_.head(ledger);
  if (!head)
    return fail(ErrorCode::kNotFound,
                fmt::format("{} has no release in this registry", ledger.text()));
  NOTP_ASSIGN(const registry::SnapshotPtr snapshot,
              registry_.snapshot(ledger, head->release.version));
  return model::UsedModel{.ledger = ledger,
                          .version = snapshot->release.version,
                          .data_roots = snapshot->release.data_roots,
                          .uses = snapshot->release.uses,
                          .allow = builtins_.of(ledger),
                          .tree = snapshot->content.tree,
                          .load = snapshot->content.loader()};
}

model::ResolvedUses Neighbours::uses_of(const trust::Release& release,
                                        const session::Identity* reader) const {
  const auto rights = rights_.get();
  const auto find = [&](const model::LedgerId& ledger) -> Result<model::UsedModel> {
    const bool is_direct =
        std::ranges::find(release.uses, ledger, &model::LedgerUse::ledger) != release.uses.end();
    if (is_direct && reader != nullptr)
      NOTP_TRY(rights->may(*reader, wire::Action::kRead, &ledger));
    return head_of(ledger);
  };
  return model::resolve_uses(release.ledger, release.data_roots, release.uses, find);
}

// Breadth first, so that each dependant is visited once.
std::vector<registry::ReleaseInfoPtr> Neighbours::dependants(const model::LedgerId& ledger) const {
  std::vector<registry::ReleaseInfoPtr> heads;
  for (const model::LedgerId& other : registry_.ledgers())
    if (auto head = registry_.head(other); head && !head->release.uses.empty())
      heads.push_back(std::move(head));
  std::vector<registry::ReleaseInfoPtr> out;
  std::set<model::LedgerId> affected{ledger};
  for (size_t level = 0; level < limits::kUsesDepthMax; ++level) {
    const size_t before = out.size();
    for (const registry::ReleaseInfoPtr& head : heads) {
      const bool uses = std::ranges::any_of(head->release.uses, [&](const model::LedgerUse& use) {
        return affected.contains(use.ledger);
      });
      if (uses && affected.insert(head->release.ledger).second) out.push_back(head);
    }
    if (out.size() == before) break;
  }
  return out;
}

Result<rego::CheckReport> Neighbours::compile(const registry::ReleaseInfo& dependant,
                                              const model::UsedModel& changed) const {
  const trust::Release& release = dependant.release;
  NOTP_ASSIGN(const model::UsedModel own, head_of(release.ledger));
  const auto find = [&](const model::LedgerId& ledger) -> Result<model::UsedModel> {
    if (ledger == changed.ledger) return changed;
    return head_of(ledger);
  };
  const model::ResolvedUses resolved =
      model::resolve_uses(release.ledger, release.data_roots, release.uses, find);
  rego::CheckReport report;
  for (const std::string& problem : resolved.problems)
    report.findings.push_back(
        {.path = model::used_path(release.ledger, model::kManifestPath), .message = problem});
  if (!report.findings.empty()) return report;
  rego::CheckRequest request;
  request.run_tests = request.strict = false;
  NOTP_TRY(model::add_used(own, request));
  for (const model::UsedModel& used : resolved.models) NOTP_TRY(model::add_used(used, request));
  for (const auto& model : resolved.models)
    request.allow.insert(request.allow.end(), model.allow.begin(), model.allow.end());
  request.allow.insert(request.allow.end(), own.allow.begin(), own.allow.end());
  rego::add_tokens_module(request);
  rego::add_txn_module(request);
  return engine_.check(request);
}

Result<std::vector<wire::Finding>> Neighbours::broken_by(const trust::Release& release,
                                                         const model::ModelContent& content) const {
  const std::vector<registry::ReleaseInfoPtr> users = dependants(release.ledger);
  std::vector<wire::Finding> out;
  const model::UsedModel changed{.ledger = release.ledger,
                                 .version = release.version,
                                 .data_roots = release.data_roots,
                                 .uses = release.uses,
                                 .allow = builtins_.of(release.ledger),
                                 .tree = content.tree,
                                 .load = content.loader()};
  if (users.size() > kDependantsMax)
    out.push_back(on_manifest(
        "breaks-dependant", fmt::format("{} ledgers use this one; only {} can be compiled with it",
                                        users.size(), kDependantsMax)));
  for (size_t i = 0; i < std::min(users.size(), kDependantsMax); ++i) {
    NOTP_ASSIGN(const rego::CheckReport report, compile(*users[i], changed));
    for (const rego::Diagnostic& found : report.findings)
      if (!found.warning && out.size() < limits::kFindingsMax)
        out.push_back(
            {found.path, static_cast<uint32_t>(std::max(found.row, 0)), "breaks-dependant",
             fmt::format("{} v{} does not compile with it: {}", users[i]->release.ledger.text(),
                         users[i]->release.version, found.message)});
  }
  return out;
}

}  // namespace notp::publish
