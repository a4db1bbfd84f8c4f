#include "notp-server/registry/git_repository.hpp"

#include <fmt/format.h>
#include <git2/odb_backend.h>
#include <git2/sys/repository.h>

#include <charconv>

#include "common/storage/files.hpp"
#include "notp-server/registry/git_pack.hpp"

namespace notp::registry {
namespace {

namespace fs = std::filesystem;

std::unexpected<Error> system_failed(std::string_view doing, const fs::path& path, int error) {
  return fail(ErrorCode::kIo, fmt::format("cannot {} {}: {}", doing, path.string(),
                                          std::generic_category().message(error)));
}

// Flushes every file and folder at and below `folder`; libgit2 flushes nothing of a new repository.
Result<void> sync_all(const fs::path& folder) {
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    const bool is_folder = it->is_directory(error);
    if (error) break;
    NOTP_TRY(is_folder ? sync_folder(it->path()) : sync_file(it->path()));
  }
  if (error) return system_failed("flush", folder, error.value());
  return sync_folder(folder);
}

Result<void> init_bare(const fs::path& folder) {
  git_repository_init_options options;
  if (git_repository_init_options_init(&options, GIT_REPOSITORY_INIT_OPTIONS_VERSION) != 0)
    return git_failed("create the repository " + folder.string());
  options.flags =
      GIT_REPOSITORY_INIT_BARE | GIT_REPOSITORY_INIT_MKDIR | GIT_REPOSITORY_INIT_NO_REINIT;
  options.initial_head = "main";
  options.description = "NOTP ledger. Read it with git; only the registry writes it.";
  git_repository* raw = nullptr;
  if (git_repository_init_ext(&raw, folder.c_str(), &options) != 0)
    return git_failed("create the repository " + folder.string());
  const GitRepositoryPtr repository(raw);
  git_config* raw_config = nullptr;
  if (git_repository_config(&raw_config, raw) != 0)
    return git_failed("configure the repository " + folder.string());
  const GitConfigPtr config(raw_config);
  // Packs are consolidated on an operator's request, never in the middle of a publish.
  if (git_config_set_int32(raw_config, "gc.auto", 0) != 0)
    return git_failed("configure the repository " + folder.string());
  return {};
}

Result<void> remove_tree(const fs::path& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) return system_failed("remove", path, error.value());
  return {};
}

Result<void> remove_locks(const fs::path& folder, bool below) {
  std::error_code error;
  std::vector<fs::path> locks;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    if (!below) it.disable_recursion_pending();
    if (it->path().extension() == ".lock") locks.push_back(it->path());
  }
  for (const fs::path& lock : locks)
    if (!error) fs::remove(lock, error);
  if (error) return system_failed("clear locks in", folder, error.value());
  return {};
}

std::unexpected<Error> moved_by_others(const OpenRepository& repository) {
  return fail(ErrorCode::kCorrupt,
              fmt::format("main of {} was moved by something else than this registry: find out by "
                          "what, and restart the registry",
                          repository.folder.string()));
}

}  // namespace

std::string tag_ref(uint64_t version) { return fmt::format("refs/tags/v{}", version); }
std::string withdrawn_ref(uint64_t version) {
  return fmt::format("refs/tags/withdrawn/v{}", version);
}

uint64_t version_in(std::string_view name, std::string (*ref_of)(uint64_t)) {
  const size_t prefix = ref_of(0).size() - 1;
  uint64_t version = 0;
  if (name.size() <= prefix) return 0;
  std::from_chars(name.data() + prefix, name.data() + name.size(), version);
  return ref_of(version) == name ? version : 0;
}

Result<bool> repository_exists(const fs::path& folder) {
  std::error_code error;
  const fs::file_status status = fs::symlink_status(folder, error);
  if (status.type() == fs::file_type::not_found) return false;
  if (error) return system_failed("inspect", folder, error.value());
  return true;
}

Result<void> create_repository(const fs::path& folder) {
  const fs::path draft = folder.string() + ".new";
  NOTP_TRY(make_folders(folder.parent_path()));
  NOTP_TRY(remove_tree(draft));
  NOTP_TRY(init_bare(draft));
  NOTP_TRY(sync_all(draft));
  std::error_code error;
  fs::rename(draft, folder, error);
  if (error) return system_failed("put in place", folder, error.value());
  NOTP_TRY(sync_folder(folder.parent_path()));
  return sync_folder(folder.parent_path().parent_path());
}

Result<OpenRepository> open_references(const fs::path& folder) {
  OpenRepository opened{folder, nullptr, nullptr};
  git_repository* repository = nullptr;
  const int status =
      git_repository_open_ext(&repository, folder.c_str(),
                              GIT_REPOSITORY_OPEN_NO_SEARCH | GIT_REPOSITORY_OPEN_BARE, nullptr);
  if (status == GIT_EOWNER || status == GIT_ENOTFOUND)
    return fail(ErrorCode::kCorrupt,
                fmt::format("{} is there but cannot be opened as a repository: give it to the user "
                            "that runs the registry, or restore it from a backup",
                            folder.string()));
  if (status != 0) return git_failed("open the repository " + folder.string());
  opened.handle.reset(repository);
  git_odb* odb = nullptr;
  if (git_odb_new(&odb) != 0) return git_failed("open the objects of " + folder.string());
  opened.odb.reset(odb);
  if (git_repository_set_odb(repository, odb) != 0)
    return git_failed("open the objects of " + folder.string());
  return opened;
}

Result<OpenRepository> open_repository(const fs::path& folder) {
  NOTP_ASSIGN(OpenRepository opened, open_references(folder));
  git_odb_backend* packs = nullptr;
  if (git_odb_backend_pack(&packs, (folder / "objects").c_str()) != 0 ||
      git_odb_add_backend(opened.odb.get(), packs, 1) != 0)
    return git_failed("open the packs of " + folder.string());
  return opened;
}

Result<void> clear_leftovers(const fs::path& folder) {
  NOTP_TRY(remove_locks(folder, false));
  NOTP_TRY(remove_locks(folder / "refs", true));
  return remove_unfinished_packs(folder / "objects" / "pack");
}

Result<std::optional<GitId>> read_main(const OpenRepository& repository) {
  git_oid oid;
  const int status = git_reference_name_to_id(&oid, repository.handle.get(), kMainRef);
  if (status == GIT_ENOTFOUND) return std::nullopt;
  if (status != 0) return git_failed("read main of " + repository.folder.string());
  return git_id(oid);
}

Result<void> check_main(const OpenRepository& repository, const std::optional<GitId>& expected) {
  NOTP_ASSIGN(const std::optional<GitId> main, read_main(repository));
  if (main != expected) return moved_by_others(repository);
  return {};
}

Result<void> move_main(const OpenRepository& repository, const std::optional<GitId>& expected,
                       const GitId& target) {
  const git_oid target_oid = to_oid(target);
  git_oid expected_oid{};
  if (expected) expected_oid = to_oid(*expected);
  git_reference* raw = nullptr;
  const int status =
      git_reference_create_matching(&raw, repository.handle.get(), kMainRef, &target_oid,
                                    expected ? 1 : 0, expected ? &expected_oid : nullptr, nullptr);
  const GitReferencePtr reference(raw);
  if (status == GIT_EMODIFIED || status == GIT_EEXISTS) return moved_by_others(repository);
  if (status != 0) return git_failed("move main of " + repository.folder.string());
  return {};
}

Result<void> set_tag(const OpenRepository& repository, const std::string& ref, const GitId& tag) {
  const git_oid oid = to_oid(tag);
  git_reference* raw = nullptr;
  const int status =
      git_reference_create(&raw, repository.handle.get(), ref.c_str(), &oid, 1, nullptr);
  const GitReferencePtr reference(raw);
  if (status != 0) return git_failed("write a tag of " + repository.folder.string());
  // libgit2 flushes the reference and its folder, but not the name of a folder that it created for
  // it.
  return sync_folder(repository.folder / "refs" / "tags");
}

Result<void> remove_tag(const OpenRepository& repository, uint64_t version) {
  const int status = git_reference_remove(repository.handle.get(), tag_ref(version).c_str());
  if (status != 0 && status != GIT_ENOTFOUND)
    return git_failed("remove a tag of " + repository.folder.string());
  return {};
}

}  // namespace notp::registry
