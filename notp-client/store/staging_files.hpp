// Staged artifacts in files beside the store, "<folder>/staging/<zone>-<ledger>".
//
// Never synced: after a crash of the process the kernel still has every byte; after a crash of the
// machine a file ends at its first incomplete record. That costs bytes on the wire, and saves every
// fsync.
//
//   file   := record(ledger ‖ version ‖ artifact id ‖ size) record(bytes)*
//   record := length (4 bytes, little-endian) ‖ checksum (16 bytes) ‖ bytes
//
// The checksum also covers the artifact id and the offset, because blocks of a replaced file may
// reappear.
#pragma once

#include <filesystem>
#include <map>

#include "notp-client/store/store.hpp"

namespace notp::store {

class StagingFiles final : public Staging {
 public:
  // In the data folder of an agent, whose lock the caller holds. Nothing is created before write().
  explicit StagingFiles(const std::filesystem::path& folder) : folder_(folder / "staging") {}

  std::vector<StagedPiece> load() override;
  Result<void> write(const StagedPiece& piece) override;
  void drop(const model::LedgerId& ledger) override;

  // The total size of all files, complete or not.
  uint64_t stored_bytes() const;

 private:
  struct Place {
    Hash artifact;
    uint64_t bytes = 0;
  };
  std::filesystem::path file_of(const model::LedgerId& ledger) const;

  const std::filesystem::path folder_;
  std::map<model::LedgerId, Place> places_;
};

}  // namespace notp::store
