// The content of a release: paths with the hash and size of each file, and the content root over
// them. A Tree does not hold content, so an agent can process a model of 145 MB in a few hundred
// KB; content is loaded by hash on demand.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>

#include "common/crypto/digest.hpp"
#include "common/result.hpp"

namespace notp::model {

using Content = std::shared_ptr<const Bytes>;
using BlobMap = std::unordered_map<Hash, Content, HashOfHash>;
// Returns content by its blob hash. kNotFound; kCorrupt when the stored content does not have that
// hash.
using BlobLoader = std::function<Result<Content>(const Hash&)>;

// H("notp.blob.v1\0" ‖ size as 8 bytes big endian ‖ content)
Hash blob_hash(ByteView content);

struct FileEntry {
  Hash hash;
  uint64_t bytes = 0;
  auto operator<=>(const FileEntry&) const = default;
};

// Sorted by path in byte order. Paths obey protocol/model/path.hpp.
using Files = std::map<std::string, FileEntry, std::less<>>;

// Immutable after construction; cheap to share through shared_ptr<const Tree>.
class Tree {
 public:
  Tree() = default;
  // kInvalidModel when a path breaks the rules, two paths clash, or a limit of common/limits.hpp on
  // files and bytes is exceeded.
  static Result<Tree> make(Files files);

  const Files& files() const { return files_; }
  // nullptr when there is no such file.
  const FileEntry* find(std::string_view path) const;
  uint64_t total_bytes() const { return total_bytes_; }
  // H("notp.tree.v1\0" ‖ for each entry by name: kind (1 blob, 2 folder) ‖ name length as varint ‖
  // name ‖ hash), from the leaves up. An empty tree has a root, too.
  const Hash& content_root() const { return content_root_; }
  // The hash of every folder ("" is the root), for finding moved folders.
  const std::map<std::string, Hash, std::less<>>& folders() const { return folders_; }

 private:
  Files files_;
  std::map<std::string, Hash, std::less<>> folders_;
  uint64_t total_bytes_ = 0;
  Hash content_root_;
};

using TreePtr = std::shared_ptr<const Tree>;

// A tree with all of its content in memory, as a publisher reads it from a folder and a registry
// keeps it.
struct ModelContent {
  TreePtr tree;
  BlobMap blobs;
  // Loads from `blobs`. The loader copies the map and shares the contents.
  BlobLoader loader() const;
};

}  // namespace notp::model
