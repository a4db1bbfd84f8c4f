// The registry's releases as the source of artifacts.
#pragma once

#include "notp-server/registry/registry.hpp"
#include "protocol/serve/release_source.hpp"

namespace notp::service {

class RegistryReleases final : public serve::ReleaseSource {
 public:
  // `registry` outlives this object.
  explicit RegistryReleases(registry::Registry& registry) : registry_(registry) {}

  std::optional<uint64_t> newest(const model::LedgerId& ledger) const override {
    const auto head = registry_.head(ledger);
    return head ? std::optional(head->ref.version) : std::nullopt;
  }
  Result<Hash> hash(const model::LedgerId& ledger, uint64_t version) const override {
    NOTP_ASSIGN(const registry::ReleaseInfoPtr info, registry_.info(ledger, version));
    return info->ref.release_hash;
  }
  Result<delta::HeldReleasePtr> release(const model::LedgerId& ledger, uint64_t version) override {
    return registry_.snapshot(ledger, version);
  }
  std::vector<std::pair<uint64_t, model::TreePtr>> recent_trees(
      const model::LedgerId& ledger) const override {
    return registry_.recent_trees(ledger);
  }

 private:
  registry::Registry& registry_;
};

}  // namespace notp::service
