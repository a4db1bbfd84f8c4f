// Initialises libgit2 once, owns its objects, and converts its errors.
#pragma once

#include <git2.h>

#include <array>
#include <cstring>
#include <string>
#include <string_view>
#include <unordered_set>

#include "common/c_ptr.hpp"
#include "common/result.hpp"

namespace notp::registry {

using GitRepositoryPtr = CPointer<git_repository, git_repository_free>;
using GitOdbPtr = CPointer<git_odb, git_odb_free>;
using GitOdbObjectPtr = CPointer<git_odb_object, git_odb_object_free>;
using GitConfigPtr = CPointer<git_config, git_config_free>;
using GitReferencePtr = CPointer<git_reference, git_reference_free>;
using GitIteratorPtr = CPointer<git_reference_iterator, git_reference_iterator_free>;
using GitTagPtr = CPointer<git_tag, git_tag_free>;
using GitCommitPtr = CPointer<git_commit, git_commit_free>;
using GitTreePtr = CPointer<git_tree, git_tree_free>;
using GitIndexerPtr = CPointer<git_indexer, git_indexer_free>;

// Object ids, hashable and comparable.
using GitId = std::array<uint8_t, GIT_OID_RAWSZ>;
struct HashOfGitId {
  size_t operator()(const GitId& id) const {
    size_t value;
    std::memcpy(&value, id.data(), sizeof value);
    return value;
  }
};
using GitIds = std::unordered_set<GitId, HashOfGitId>;
GitId git_id(const git_oid& oid);
git_oid to_oid(const GitId& id);
std::string git_hex(const GitId& id);
// kMessage unless `hex` is 40 hexadecimal digits.
Result<GitId> git_id_from_hex(const std::string& hex);

// Initialises the library and its process-wide options at the first call: fsync of everything
// written, no configuration from outside the repository, no object cache (the registry caches
// snapshots). Thread-safe. kInternal.
Result<void> start_git_library();

// The library's last error of this thread: kIo for failures of the operating system, else kCorrupt.
std::unexpected<Error> git_failed(std::string_view doing);

}  // namespace notp::registry
