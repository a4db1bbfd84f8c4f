// libgit2 set up once, its objects owned, its errors turned into ours.
#pragma once

#include <git2.h>

#include <array>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "common/result.hpp"

namespace notp {

template <auto Free>
struct GitFree {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};

using GitRepositoryPtr = std::unique_ptr<git_repository, GitFree<git_repository_free>>;
using GitOdbPtr = std::unique_ptr<git_odb, GitFree<git_odb_free>>;
using GitOdbObjectPtr = std::unique_ptr<git_odb_object, GitFree<git_odb_object_free>>;
using GitConfigPtr = std::unique_ptr<git_config, GitFree<git_config_free>>;
using GitReferencePtr = std::unique_ptr<git_reference, GitFree<git_reference_free>>;
using GitIteratorPtr =
    std::unique_ptr<git_reference_iterator, GitFree<git_reference_iterator_free>>;
using GitTagPtr = std::unique_ptr<git_tag, GitFree<git_tag_free>>;
using GitCommitPtr = std::unique_ptr<git_commit, GitFree<git_commit_free>>;
using GitTreePtr = std::unique_ptr<git_tree, GitFree<git_tree_free>>;
using GitIndexerPtr = std::unique_ptr<git_indexer, GitFree<git_indexer_free>>;

// Object ids, hashable and comparable.
using GitId = std::array<uint8_t, GIT_OID_RAWSZ>;
struct HashOfGitId {
  size_t operator()(const GitId& id) const {
    size_t value;
    std::memcpy(&value, id.data(), sizeof value);
    return value;
  }
};
GitId git_id(const git_oid& oid);
git_oid to_oid(const GitId& id);
std::string git_hex(const GitId& id);
// kMessage unless `hex` is 40 hexadecimal digits.
Result<GitId> git_id_from_hex(const std::string& hex);

// Initialises the library and its process-wide options at the first call: fsync of all that is
// written, no configuration from outside the repository, no object cache (snapshots are ours).
// Thread-safe. kInternal.
Result<void> start_git_library();

// The library's last error of this thread: kIo for failures of the operating system, else kCorrupt.
std::unexpected<Error> git_failed(std::string_view doing);

}  // namespace notp
