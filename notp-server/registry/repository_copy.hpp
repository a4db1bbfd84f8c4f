// Copies a ledger's repository while a registry publishes into it.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "common/bytes.hpp"
#include "common/crypto/digest.hpp"

namespace notp::registry {

// Receives the files of the copy by their paths in the repository, as in "refs/tags/v1".
struct RepositorySink {
  // A file that never changes.
  std::function<Result<void>(const std::filesystem::path& from, const std::string& path)> copy;
  std::function<Result<void>(const std::string& path, ByteView content)> put;
};

// The newest release of a copy.
struct CopiedHead {
  uint64_t version = 0;
  Hash release_hash;
};

// Copies the references first and the packs afterwards: packs never change, and a publish writes
// them before its references, so that each object that a copied reference needs is in a pack that
// is copied later. `main` is read before all tags, and tags above it are left out: of publishes
// that go on meanwhile, all of it is copied or nothing. Blocks no publish.
//
// Returns the head; nullopt: the ledger has no release, and nothing is copied. kCorrupt, kIo, the
// errors of the sink.
Result<std::optional<CopiedHead>> copy_repository(const std::filesystem::path& from,
                                                  const RepositorySink& sink);

}  // namespace notp::registry
