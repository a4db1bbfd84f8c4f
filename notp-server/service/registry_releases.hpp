// The registry's releases as the source of artifacts.
#pragma once

#include "notp-server/registry/registry.hpp"
#include "protocol/serve/release_source.hpp"

namespace notp {

class RegistryReleases final : public ReleaseSource {
 public:
  // `registry` outlives this object.
  explicit RegistryReleases(Registry& registry) : registry_(registry) {}

  std::optional<uint64_t> newest(const LedgerId& ledger) const override {
    const auto head = registry_.head(ledger);
    return head ? std::optional(head->ref.version) : std::nullopt;
  }
  Result<Hash> hash(const LedgerId& ledger, uint64_t version) const override {
    NOTP_ASSIGN(const ReleaseInfoPtr info, registry_.info(ledger, version));
    return info->ref.release_hash;
  }
  Result<HeldReleasePtr> release(const LedgerId& ledger, uint64_t version) override {
    return registry_.snapshot(ledger, version);
  }
  std::vector<std::pair<uint64_t, TreePtr>> recent_trees(const LedgerId& ledger) const override {
    return registry_.recent_trees(ledger);
  }

 private:
  Registry& registry_;
};

}  // namespace notp
