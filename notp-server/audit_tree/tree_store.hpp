// Where the registry's tree is kept: the interface.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/clock.hpp"
#include "common/crypto/digest.hpp"
#include "protocol/record/log_id.hpp"

namespace notp::audit {

// A tile of C2SP tlog-tiles: hash `i` of it is the root of 256^level leaves, which begin at
// (index * 256 + i) * 256^level. A full tile never changes; one that is not full grows.
struct Tile {
  uint32_t level = 0;
  uint64_t index = 0;
  std::vector<Hash> hashes;  // 1 to kTileWidth
};

struct SealedCheckpoint {
  uint64_t size = 0;
  std::string note;
  TimeMs at_ms = 0;         // wall time of the seal
  size_t cosignatures = 0;  // that the note has
};

// The leaf of a node's checkpoint.
struct LogLeaf {
  record::LogId log;
  uint64_t size = 0;   // of the log
  uint64_t index = 0;  // of the leaf
  // As in the leaf.
  TimeMs time_ms = 0;
  uint64_t dropped = 0;  // its count
};

// What one seal adds.
struct TreeGrowth {
  uint64_t first = 0;  // index of the first entry
  std::vector<Bytes> entries;
  std::vector<Tile> tiles;  // whole, in place of narrower ones
  std::vector<LogLeaf> logs;
  SealedCheckpoint checkpoint;
};

// One writer, which calls append() and put_note(); any number of readers. Blocking. All functions:
// kIo, kCorrupt.
class TreeStore {
 public:
  virtual ~TreeStore() = default;

  // All or nothing, and durable when it returns. Keeps the newest kTreeCheckpointsMax checkpoints,
  // and the newest one that has cosignatures. A leaf of a log's size that has one already is not
  // remembered.
  virtual Result<void> append(const TreeGrowth& growth) = 0;
  // Replaces the note of a checkpoint; one that is not kept any more changes nothing.
  virtual Result<void> put_note(const SealedCheckpoint& checkpoint) = 0;

  // kCorrupt: there is none.
  virtual Result<Tile> tile(uint32_t level, uint64_t index) const = 0;
  // The entries from `first` on, below `end`: as many as `bytes_max` has room for, but one at
  // least.
  virtual Result<std::vector<Bytes>> entries(uint64_t first, uint64_t end,
                                             size_t bytes_max) const = 0;
  virtual Result<std::optional<SealedCheckpoint>> newest() const = 0;
  virtual Result<std::optional<SealedCheckpoint>> newest_cosigned() const = 0;
  virtual Result<std::optional<SealedCheckpoint>> checkpoint(uint64_t size) const = 0;
  // The first checkpoint above a size.
  virtual Result<std::optional<SealedCheckpoint>> first_above(uint64_t size) const = 0;
  virtual Result<std::optional<LogLeaf>> leaf_of(const record::LogId& log, uint64_t size) const = 0;
  // Of each log the one with the largest size.
  virtual Result<std::vector<LogLeaf>> newest_leaves() const = 0;
};

}  // namespace notp::audit
