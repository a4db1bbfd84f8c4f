// Where a server's releases are: the port that artifacts are made through.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "protocol/delta/held_release.hpp"

namespace notp {

// Thread-safe.
class ReleaseSource {
 public:
  virtual ~ReleaseSource() = default;
  // The newest version, from memory. nullopt: no such ledger, no release yet, or damaged.
  virtual std::optional<uint64_t> newest(const LedgerId& ledger) const = 0;
  // The hash of a release, from memory. kNotFound, kCorrupt.
  virtual Result<Hash> hash(const LedgerId& ledger, uint64_t version) const = 0;
  // The release with its content. Blocks on the disk where it is not in memory. kNotFound,
  // kCorrupt.
  virtual Result<HeldReleasePtr> release(const LedgerId& ledger, uint64_t version) = 0;
  // Trees of recent releases with their versions, newest first, as far as they are in memory.
  virtual std::vector<std::pair<uint64_t, TreePtr>> recent_trees(const LedgerId& ledger) const = 0;
};

}  // namespace notp
