#include "notp-server/registry/git_library.hpp"

#include <fmt/format.h>

#include "common/bytes.hpp"

namespace notp::registry {
namespace {

// A ledger of thousands of releases has thousands of packs: without a limit each open repository
// would hold a descriptor for every one of them.
constexpr size_t kOpenPacksMax = 128;

bool set_options() {
  bool ok = git_libgit2_opts(GIT_OPT_ENABLE_FSYNC_GITDIR, 1) == 0;
  ok = ok && git_libgit2_opts(GIT_OPT_ENABLE_CACHING, 0) == 0;
  // Content is checked against the signed content root, which is stronger than SHA-1.
  ok = ok && git_libgit2_opts(GIT_OPT_ENABLE_STRICT_HASH_VERIFICATION, 0) == 0;
  // References name objects that were just written: looking for them would open every pack.
  ok = ok && git_libgit2_opts(GIT_OPT_ENABLE_STRICT_OBJECT_CREATION, 0) == 0;
  ok = ok && git_libgit2_opts(GIT_OPT_SET_MWINDOW_FILE_LIMIT, kOpenPacksMax) == 0;
  for (const git_config_level_t level : {GIT_CONFIG_LEVEL_SYSTEM, GIT_CONFIG_LEVEL_XDG,
                                         GIT_CONFIG_LEVEL_GLOBAL, GIT_CONFIG_LEVEL_PROGRAMDATA})
    ok = ok && git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, level, "") == 0;
  return ok;
}

}  // namespace

GitId git_id(const git_oid& oid) {
  GitId id;
  std::memcpy(id.data(), oid.id, id.size());
  return id;
}

git_oid to_oid(const GitId& id) {
  git_oid oid;
  std::memcpy(oid.id, id.data(), id.size());
  return oid;
}

std::string git_hex(const GitId& id) {
  return to_hex({reinterpret_cast<const char*>(id.data()), id.size()});
}

Result<GitId> git_id_from_hex(const std::string& hex) {
  git_oid oid;
  if (hex.size() != GIT_OID_HEXSZ || git_oid_fromstr(&oid, hex.c_str()) != 0)
    return fail(ErrorCode::kMessage, fmt::format("'{}' is not a Git object id", hex));
  return git_id(oid);
}

Result<void> start_git_library() {
  static const bool started = git_libgit2_init() > 0 && set_options();
  if (!started) return fail(ErrorCode::kInternal, "libgit2 cannot be initialised");
  return {};
}

std::unexpected<Error> git_failed(std::string_view doing) {
  const git_error* error = git_error_last();
  const bool system = error != nullptr && error->klass == GIT_ERROR_OS;
  return fail(system ? ErrorCode::kIo : ErrorCode::kCorrupt,
              fmt::format("cannot {}: {}", doing,
                          error == nullptr ? "libgit2 gives no reason" : error->message));
}

}  // namespace notp::registry
