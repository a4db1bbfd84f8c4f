// The bare repository of one ledger: its creation, its refs, and cleanup after a crash.
//
// Existence is decided by the file system alone: libgit2 reports "not found" for a repository that
// another user owns, and a registry that took this for "create one" would begin the ledger anew.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "notp-server/registry/git_library.hpp"

namespace notp::registry {

inline constexpr const char* kMainRef = "refs/heads/main";
std::string tag_ref(uint64_t version);        // "refs/tags/v<version>"
std::string withdrawn_ref(uint64_t version);  // "refs/tags/withdrawn/v<version>"
// Returns the version that a reference of one of these kinds names; 0: an operator's own reference.
uint64_t version_in(std::string_view name, std::string (*ref_of)(uint64_t));

// A handle for one operation on one thread. It reads only packs: libgit2 1.5.1 hangs on a truncated
// loose object, and this registry writes none.
struct OpenRepository {
  std::filesystem::path folder;
  GitOdbPtr odb;
  GitRepositoryPtr handle;
};

// Whether anything exists at `folder`. kIo when this cannot be determined.
Result<bool> repository_exists(const std::filesystem::path& folder);

// Creates an empty bare repository with HEAD at main: in a folder beside it first, durable, then
// renamed. A crash leaves nothing, "<folder>.new", or the whole. kIo; never replaces an existing
// one.
Result<void> create_repository(const std::filesystem::path& folder);

// kCorrupt or kIo, naming the folder; never creates. Takes longer with every pack.
Result<OpenRepository> open_repository(const std::filesystem::path& folder);
// The same for references alone, with a cost independent of the number of packs: it finds no
// objects.
Result<OpenRepository> open_references(const std::filesystem::path& folder);

// Removes locks and temporary files of an interrupted writer. The caller is the repository's only
// owner.
Result<void> clear_leftovers(const std::filesystem::path& folder);

// The commit that main names; nullopt when there is none yet.
Result<std::optional<GitId>> read_main(const OpenRepository& repository);

// kCorrupt unless main is at `expected`: another writer than the registry moved it.
Result<void> check_main(const OpenRepository& repository, const std::optional<GitId>& expected);

// Moves main from `expected` (nullopt: main must not exist) to `target`, durable when it returns.
// kCorrupt when main is elsewhere.
Result<void> move_main(const OpenRepository& repository, const std::optional<GitId>& expected,
                       const GitId& target);

// Points `ref` at a tag object, replacing its old target. Durable when it returns.
Result<void> set_tag(const OpenRepository& repository, const std::string& ref, const GitId& tag);
// No error when there is no such tag.
Result<void> remove_tag(const OpenRepository& repository, uint64_t version);

}  // namespace notp::registry
