// The catalog that sessions negotiate with, answered from the registry's memory.
#pragma once

#include "notp-server/publish/publish_pipeline.hpp"
#include "notp-server/registry/registry.hpp"
#include "notp-server/trust/root_store.hpp"
#include "protocol/session/ports.hpp"

namespace notp::service {

class RegistryCatalog final : public session::Catalog, public session::TargetSource {
 public:
  // All of them outlive the catalog.
  RegistryCatalog(const registry::Registry& registry, const trust::RootStore& roots,
                  const publish::PublishPipeline& pipeline)
      : registry_(registry), roots_(roots), pipeline_(pipeline) {}

  // Returns the head: no reader is held below it.
  std::optional<trust::ReleaseRef> target(const model::LedgerId& ledger,
                                          std::string_view) const override {
    const auto info = registry_.head(ledger);
    return info ? std::optional(info->ref) : std::nullopt;
  }

  std::optional<Error> damage(const model::LedgerId& ledger) const override {
    return registry_.damage(ledger);
  }
  std::optional<trust::ReleaseRef> release(const model::LedgerId& ledger,
                                           uint64_t version) const override {
    const auto info = registry_.info(ledger, version);
    return info ? std::optional((*info)->ref) : std::nullopt;
  }

  std::optional<trust::ReleaseRef> newest(const model::LedgerId& ledger) const override {
    const auto info = registry_.head(ledger);
    return info ? std::optional(info->ref) : std::nullopt;
  }

  std::optional<trust::ReleaseRef> pending(const model::LedgerId& ledger, uint64_t version,
                                           const Hash& hash) const override {
    return pipeline_.pending_entry(ledger, version, hash);
  }

  std::vector<session::CatalogRoot> roots_after(uint64_t version) const override {
    return roots_.after(version);
  }
  uint64_t newest_root() const override { return roots_.newest(); }

 private:
  const registry::Registry& registry_;
  const trust::RootStore& roots_;
  const publish::PublishPipeline& pipeline_;
};

}  // namespace notp::service
