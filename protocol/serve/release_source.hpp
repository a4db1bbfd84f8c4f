// The port through which a server gets the releases that it makes artifacts from.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "protocol/delta/held_release.hpp"

namespace notp::serve {

// Thread-safe.
class ReleaseSource {
 public:
  virtual ~ReleaseSource() = default;
  // Returns the newest version, from memory. nullopt: no such ledger, no release yet, or damaged.
  virtual std::optional<uint64_t> newest(const model::LedgerId& ledger) const = 0;
  // Returns the hash of a release, from memory. kNotFound, kCorrupt.
  virtual Result<Hash> hash(const model::LedgerId& ledger, uint64_t version) const = 0;
  // Returns the release with its content. Blocks on the disk unless it is in memory. kNotFound,
  // kCorrupt.
  virtual Result<delta::HeldReleasePtr> release(const model::LedgerId& ledger,
                                                uint64_t version) = 0;
  // Returns the trees of recent releases that are in memory with their versions, newest first.
  virtual std::vector<std::pair<uint64_t, model::TreePtr>> recent_trees(
      const model::LedgerId& ledger) const = 0;
};

}  // namespace notp::serve
