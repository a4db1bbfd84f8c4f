// Leaves of the registry's tree: what a registry has taken, deleted, held, and who read it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/clock.hpp"
#include "common/crypto/digest.hpp"
#include "protocol/record/log_id.hpp"

namespace notp::record {

enum class TreeEntryKind : uint8_t {
  kCheckpoint = 1,  // with `count` if its segment came without a body: then it is the segment's
  kDeletion = 2,
  kHold = 3,
  kFault = 4,
  kRead = 5,
  kErasure = 6,
};

// Which members a kind has: schemas/record.proto, TreeEntry. The others are empty.
struct TreeEntry {
  TreeEntryKind kind = TreeEntryKind::kCheckpoint;
  TimeMs time_ms = 0;
  std::optional<LogId> log;
  uint64_t size = 0;
  Hash root;
  Position first = 0;
  uint64_t count = 0;
  std::vector<Position> positions;  // ascending
  std::vector<Hash> hashes;
  std::string rule;
  Hash release;
  std::string by;
  Hash digest;
  uint32_t code = 0;
  std::string id;
  bool on = false;
  bool operator==(const TreeEntry&) const = default;
};

// Returns the entry in its one encoding (schemas/record.proto), at most kTreeEntryBytesMax when its
// maker keeps positions and hashes within kSegmentRecordsMax. Texts that are not UTF-8 are written
// as printable() shows them, and cut to kErrorTextBytesMax.
Bytes encode(const TreeEntry& entry);
// kMessage: not such an entry, or not in its one encoding.
Result<TreeEntry> decode_tree_entry(ByteView bytes);

// SHA-256(0x00 ‖ entry): RFC 9162 §2.1.1.
Hash tree_leaf(ByteView entry);

}  // namespace notp::record
