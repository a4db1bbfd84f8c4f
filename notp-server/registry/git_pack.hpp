// Writes Git objects as one pack file (gitformat-pack(5), version 2).
//
// libgit2's own pack builder searches deltas between all objects and compresses at one level: it
// takes most of a second for one document of 20 MB. Here each object is deflated once, at a level
// that fits its size, and libgit2's indexer, which checks every object and refuses SHA-1
// collisions, turns the stream into a pack with its index. GitLargeBlobs writes deltas of large
// documents; `git gc`, run by an operator, finds the others.
#pragma once

#include <deque>
#include <filesystem>
#include <unordered_set>
#include <vector>

#include "common/bytes.hpp"
#include "notp-server/registry/git_large_blobs.hpp"
#include "notp-server/registry/git_library.hpp"

namespace notp::registry {

// The id of an object: SHA-1 of "<type> <size>\0" and the content.
GitId git_object_id(git_object_t type, ByteView content);

// One thread.
class GitPack {
 public:
  // Adds an object unless it is already added; returns its id. `content` of add_view must outlive
  // write().
  GitId add(git_object_t type, Bytes content);
  void add_view(const GitId& id, git_object_t type, ByteView content);
  bool empty() const { return objects_.empty(); }

  // Writes pack and index to `folder`, durable when it returns: a crash leaves a temporary file or
  // a complete pack. Does nothing when there is no object. Returns the places of objects of at
  // least kLargeBlobBytesMin. kIo, kCorrupt (a SHA-1 collision).
  Result<std::vector<PackedBlob>> write(const std::filesystem::path& folder) const;

 private:
  struct Object {
    GitId id;
    git_object_t type;
    ByteView content;
  };

  std::deque<Bytes> owned_;
  std::vector<Object> objects_;
  std::unordered_set<GitId, HashOfGitId> ids_;
};

// Removes what an interrupted writer left in objects/pack: temporary files, locks, and an index
// whose pack was never renamed into place. Only for the sole owner of the repository. kIo.
Result<void> remove_unfinished_packs(const std::filesystem::path& folder);

}  // namespace notp::registry
