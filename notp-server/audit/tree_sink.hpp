// What the stores of a registry write into its tree: the interface.
#pragma once

#include <cstdint>
#include <span>

#include "common/result.hpp"
#include "protocol/record/tree_entry.hpp"

namespace notp::audit {

// Thread-safe. An entry is a leaf of the tree once it is sealed: it is durable then, and under a
// checkpoint that the registry has signed.
class TreeSink {
 public:
  virtual ~TreeSink() = default;

  // Queues an entry for the next seal. False: there is no room now, or the tree takes no more; try
  // again later. Does not block. An entry that is queued is lost when the process ends first.
  virtual bool try_add(const record::TreeEntry& entry) = 0;
  // Waits for room. False: the tree takes no more.
  virtual bool add(const record::TreeEntry& entry) = 0;

  // Seals the entry, and what waits, now. Returns its index when it is durable. Blocks until then,
  // also while the disk takes no writes. kCancelled: the registry stops, and whether the entry is
  // in the tree shows after its next start.
  Result<uint64_t> append_now(const record::TreeEntry& entry) {
    return append_now(std::span(&entry, 1));
  }
  // The same for several, in this order; there is one at least. Returns the index of the last one.
  // After an error some of them may be in the tree.
  virtual Result<uint64_t> append_now(std::span<const record::TreeEntry> entries) = 0;

  // The size of the largest checkpoint of a log that is sealed; 0: none is.
  virtual uint64_t sealed_size(const record::LogId& log) const = 0;
};

}  // namespace notp::audit
