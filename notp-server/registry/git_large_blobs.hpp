// Writes a large document that changed a little as a delta, instead of deflating it whole again.
//
// Git requires a delta's base in the delta's own pack. So a change is written as a pack of two
// entries: the blob that was deflated last, whose bytes are copied from its pack, and the delta
// from it to the new blob, however many versions lie in between.
#pragma once

#include <deque>
#include <filesystem>
#include <unordered_map>

#include "common/crypto/digest.hpp"
#include "notp-server/registry/git_delta.hpp"
#include "notp-server/registry/git_library.hpp"
#include "protocol/model/tree.hpp"

namespace notp::registry {

// The place where a pack holds a blob whole.
struct PackedBlob {
  GitId id;
  std::filesystem::path pack;
  uint64_t offset;  // of its entry
  uint64_t bytes;
  uint32_t crc;
};

// The large blobs of one ledger that this process has written; a restart begins empty. One thread
// at a time: the ledger's writer.
class GitLargeBlobs {
 public:
  // The blob with that content was written whole.
  void add(const Hash& hash, size_t content_bytes, PackedBlob blob);

  // Writes `target`, whose id is `id`, as a change of `earlier`, durable when it returns. False,
  // and nothing is written, when `earlier` is not known here, its pack is gone or damaged, or the
  // two differ too much. kIo: a crash leaves a temporary file, an index without its pack, or both.
  Result<bool> write_change(const std::filesystem::path& folder,
                            const model::FileEntry& earlier_entry, ByteView earlier,
                            const Hash& target_hash, const GitId& id, ByteView target);

 private:
  struct Version {
    PackedBlob base;
    GitDelta from_base;
  };
  void remember(const Hash& hash, Version version);

  std::unordered_map<Hash, Version, HashOfHash> versions_;  // at most kLargeBlobVersionsMax
  std::deque<Hash> order_;                                  // oldest first
};

}  // namespace notp::registry
