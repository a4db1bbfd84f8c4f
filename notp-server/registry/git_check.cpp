#include <fmt/format.h>
#include <git2.h>

#include <utility>

#include "notp-server/registry/git_pack.hpp"
#include "notp-server/registry/git_read.hpp"
#include "notp-server/registry/repository_check.hpp"

namespace notp::registry {
namespace {

struct ObjectWalk {
  git_odb* odb;
  std::string damage;  // of the first damaged object; empty: none
};

int check_object(const git_oid* id, void* context) {
  auto& walk = *static_cast<ObjectWalk*>(context);
  const GitId name = git_id(*id);
  git_odb_object* raw = nullptr;
  if (git_odb_read(&raw, walk.odb, id) != 0) {
    walk.damage = fmt::format("its object {} cannot be read", git_hex(name));
    return 1;
  }
  const GitOdbObjectPtr object(raw);
  const ByteView content(static_cast<const char*>(git_odb_object_data(raw)),
                         git_odb_object_size(raw));
  if (git_object_id(git_odb_object_type(raw), content) == name) return 0;
  walk.damage = fmt::format("its object {} has another content", git_hex(name));
  return 1;
}

Result<void> check_objects(const OpenRepository& repository) {
  ObjectWalk walk{repository.odb.get(), {}};
  const int status = git_odb_foreach(repository.odb.get(), check_object, &walk);
  if (!walk.damage.empty()) return fail(ErrorCode::kCorrupt, walk.damage);
  if (status != 0) return git_failed("list the objects of " + repository.folder.string());
  return {};
}

}  // namespace

Result<std::vector<ReleaseInfo>> check_repository(const std::filesystem::path& folder,
                                                  const model::LedgerId& ledger) {
  NOTP_TRY(start_git_library());
  // A copy on another machine may be of another user. It is read, and nothing in it is executed.
  if (git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0) != 0) return git_failed("set an option");
  NOTP_ASSIGN(const OpenRepository repository, open_repository(folder));
  NOTP_TRY(check_objects(repository));
  NOTP_ASSIGN(StoredHistory history, read_history(repository, ledger));
  GitBlobIndex known;
  // Kept while the next release is read: what both share is read once.
  model::ModelContent content;
  for (const ReleaseInfo& release : history.releases) {
    NOTP_ASSIGN(content, read_content(repository, release, known));
  }
  return std::move(history.releases);
}

}  // namespace notp::registry
