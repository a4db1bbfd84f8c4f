// The bare repository of one ledger: its life, its refs, and what a crash leaves in it.
//
// Existence is decided by the file system alone: libgit2 says "not found" for a repository that
// another user owns, and a registry that took this for "create one" would begin the ledger anew.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "notp-server/registry/git_library.hpp"

namespace notp {

inline constexpr const char* kMainRef = "refs/heads/main";
std::string tag_ref(uint64_t version);        // "refs/tags/v<version>"
std::string withdrawn_ref(uint64_t version);  // "refs/tags/withdrawn/v<version>"

// A handle for one operation on one thread. It reads packs only: libgit2 1.5.1 hangs on a truncated
// loose object, and this registry writes none.
struct OpenRepository {
  std::filesystem::path folder;
  GitOdbPtr odb;
  GitRepositoryPtr handle;
};

// Is there anything at `folder`? kIo when that cannot be told.
Result<bool> repository_exists(const std::filesystem::path& folder);

// Makes an empty bare repository with HEAD at main: beside the place first, durable, then renamed
// into it. A crash leaves nothing, "<folder>.new", or the whole. kIo; never replaces what is there.
Result<void> create_repository(const std::filesystem::path& folder);

// kCorrupt or kIo, naming the folder; never creates. It takes longer with every pack.
Result<OpenRepository> open_repository(const std::filesystem::path& folder);
// The same for references alone, however many packs there are: no object is found in it.
Result<OpenRepository> open_references(const std::filesystem::path& folder);

// Removes locks and temporary files of a writer that died. The caller owns the repository alone.
Result<void> clear_leftovers(const std::filesystem::path& folder);

// The commit that main names; nullopt when there is none yet.
Result<std::optional<GitId>> read_main(const OpenRepository& repository);

// kCorrupt unless main is at `expected`: somebody but the registry moved it.
Result<void> check_main(const OpenRepository& repository, const std::optional<GitId>& expected);

// Moves main from `expected` (nullopt: main must not exist) to `target`, durable when it returns.
// kCorrupt when main is elsewhere.
Result<void> move_main(const OpenRepository& repository, const std::optional<GitId>& expected,
                       const GitId& target);

// Names a tag object `ref`, in place of what the name stood for. Durable when it returns.
Result<void> set_tag(const OpenRepository& repository, const std::string& ref, const GitId& tag);
// No error when there is no such tag.
Result<void> remove_tag(const OpenRepository& repository, uint64_t version);

}  // namespace notp
