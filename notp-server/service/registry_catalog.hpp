// What sessions negotiate with, answered by the registry's memory.
#pragma once

#include "notp-server/registry/registry.hpp"
#include "protocol/session/server_session.hpp"

namespace notp {

class RegistryCatalog final : public Catalog {
 public:
  explicit RegistryCatalog(const Registry& registry) : registry_(registry) {}

  std::optional<CatalogEntry> head(const LedgerId& ledger) const override {
    const auto info = registry_.head(ledger);
    return info ? std::optional(entry_of(*info)) : std::nullopt;
  }

  std::optional<CatalogEntry> release(const LedgerId& ledger, uint64_t version) const override {
    const auto info = registry_.info(ledger, version);
    return info ? std::optional(entry_of(*info)) : std::nullopt;
  }

 private:
  static CatalogEntry entry_of(const ReleaseInfo& info) {
    return {info.release.version, info.release.epoch, info.hash, info.release.content_root};
  }

  const Registry& registry_;
};

}  // namespace notp
