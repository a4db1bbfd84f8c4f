#include "notp-server/backup/restore.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/failpoint.hpp"
#include "common/storage/files.hpp"
#include "common/storage/private_files.hpp"
#include "notp-server/backup/backup_check.hpp"
#include "notp-server/backup/database_files.hpp"
#include "notp-server/registry/registry_lock.hpp"
#include "notp-server/registry/restored_mark.hpp"
#include "notp-server/trust/root_store.hpp"

namespace notp::backup {
namespace {

namespace fs = std::filesystem;

// Git takes a folder for a repository only if it has these, empty or not.
constexpr const char* kRepositoryFolders[] = {"refs/heads", "refs/tags", "objects/info",
                                              "objects/pack"};

// --- before anything changes

// Empty, except for a lock that no registry holds.
Result<void> check_empty(const fs::path& folder) {
  std::error_code error;
  if (!fs::exists(folder, error) && !error) return {};
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
    if (it->path().filename() != registry::kLockFile)
      return fail(
          ErrorCode::kUsage,
          fmt::format("{0} is not empty ({1} is there): move it away, as in 'mv {0} {0}.old' "
                      "and, if it is a mount point, what is in it; then restore again",
                      folder.string(), it->path().filename().string()));
  if (error)
    return fail(ErrorCode::kIo,
                fmt::format("cannot list {}: {}", folder.string(), error.message()));
  return {};
}

Result<void> check_target(const RegistryPlaces& places) {
  std::error_code ignored;
  NOTP_TRY(check_owner(places.data_dir, "restore"));
  NOTP_TRY(check_not_interrupted(places.data_dir));
  if (fs::exists(places.data_dir / registry::kLockFile, ignored)) {
    NOTP_ASSIGN(const registry::RegistryLock lock, registry::try_registry_lock(places.data_dir));
    if (lock.is_running)
      return fail(ErrorCode::kConflict,
                  fmt::format("a registry, process {}, runs with {}: stop it first", lock.registry,
                              places.data_dir.string()));
  }
  NOTP_TRY(check_empty(places.data_dir));
  return check_empty(places.audit);
}

bool is_missing(const fs::path& file) {
  std::error_code ignored;
  return !fs::exists(fs::symlink_status(file, ignored));
}

// The files that will be put back: of the backup, by their place here.
std::vector<ConfiguredFile> missing_files(const RestoreOptions& options, const Manifest& manifest) {
  std::vector<ConfiguredFile> out;
  if (!options.with_keys) return out;
  for (const ConfiguredFile& file : options.places.configured)
    if (manifest.files.contains(fmt::format("{}/{}", kConfigured, file.key)) &&
        is_missing(file.path))
      out.push_back(file);
  return out;
}

// A start would refuse another root.
Result<void> check_configured_root(const RestoreOptions& options, const Manifest& manifest,
                                   const std::vector<ConfiguredFile>& missing) {
  fs::path root = options.places.root;
  if (std::ranges::find(missing, root, &ConfiguredFile::path) != missing.end())
    root = options.backup / kConfigured / "root";
  const auto newest = trust::RootStore::look(options.backup / kRoots, root, manifest.trust_domain,
                                             read_clock().wall_ms);
  if (!newest) return std::unexpected(newest.error());
  return {};
}

// --- writing

Result<void> place_file(const fs::path& from, const fs::path& to, const FileFacts& expected) {
  NOTP_TRY(make_folders(to.parent_path()));
  NOTP_ASSIGN(const FileFacts copied, copy_hashed(from, to));
  if (copied == expected) return {};
  return fail(ErrorCode::kCorrupt,
              fmt::format("{} changed while it was restored: find out by what", from.string()));
}

Result<void> place_stores(const RestoreOptions& options, const Manifest& manifest) {
  const RegistryPlaces& places = options.places;
  const std::string audit = fmt::format("{}/", kAudit),
                    configured = fmt::format("{}/", kConfigured);
  NOTP_TRY(make_private_folder(places.audit));
  for (const auto& [path, facts] : manifest.files) {
    if (path.starts_with(configured)) continue;
    const fs::path to =
        path.starts_with(audit) ? places.audit / path.substr(audit.size()) : places.data_dir / path;
    NOTP_TRY(place_file(options.backup / path, to, facts));
  }
  for (const LedgerHead& head : manifest.ledgers)
    for (const char* folder : kRepositoryFolders)
      NOTP_TRY(make_folders(places.data_dir / repository_path(head.ledger) / folder));
  return {};
}

Result<std::vector<fs::path>> place_configured(const RestoreOptions& options,
                                               const Manifest& manifest,
                                               const std::vector<ConfiguredFile>& missing) {
  std::vector<fs::path> placed;
  for (const ConfiguredFile& file : missing) {
    const std::string path = fmt::format("{}/{}", kConfigured, file.key);
    // Two keys may name one file.
    if (!is_missing(file.path)) continue;
    NOTP_TRY(place_file(options.backup / path, file.path, manifest.files.at(path)));
    NOTP_TRY(sync_folder(file.path.has_parent_path() ? file.path.parent_path() : "."));
    placed.push_back(file.path);
  }
  return placed;
}

}  // namespace

Result<void> check_not_interrupted(const fs::path& data_dir) {
  if (is_missing(data_dir / kRestoreMark)) return {};
  return fail(ErrorCode::kConflict,
              fmt::format("a restore into {0} was interrupted, and what is there is not a whole "
                          "registry: remove all that is in {0}, and restore again",
                          data_dir.string()));
}

Result<RestoreReport> restore_backup(const RestoreOptions& options) {
  const RegistryPlaces& places = options.places;
  NOTP_TRY(check_target(places));
  NOTP_ASSIGN(Manifest manifest, check_backup(options.backup, places.trust_domain, options.say));
  const std::vector<ConfiguredFile> missing = missing_files(options, manifest);
  NOTP_TRY(check_configured_root(options, manifest, missing));

  NOTP_TRY(make_private_folder(places.data_dir));
  NOTP_ASSIGN(const registry::RegistryLock lock, registry::try_registry_lock(places.data_dir));
  if (lock.is_running)
    return fail(ErrorCode::kConflict, "a registry was started meanwhile: stop it, and begin again");
  options.say(fmt::format("writing {}", places.data_dir.string()));
  NOTP_TRY(write_file(places.data_dir / kRestoreMark, options.backup.string() + "\n", 0600));
  failpoint("restore.after_mark");
  // Before the first ledger is in place: it must never be published to as if it were the newest.
  NOTP_TRY(registry::write_restored_mark(places.data_dir, {.backup_made_ms = manifest.made_ms,
                                                           .restored_ms = read_clock().wall_ms,
                                                           .root_version = manifest.root_version}));
  NOTP_TRY(place_stores(options, manifest));
  failpoint("restore.after_stores");
  RestoreReport report;
  if (const fs::path tokens = places.data_dir / kJoinTokensFile; !is_missing(tokens)) {
    NOTP_ASSIGN(report.join_tokens, clear_join_tokens(tokens));
  }
  NOTP_TRY(sync_folders(places.data_dir));
  NOTP_TRY(sync_folder(fs::absolute(places.data_dir).lexically_normal().parent_path()));
  NOTP_TRY(sync_folders(places.audit));
  NOTP_ASSIGN(report.configured, place_configured(options, manifest, missing));
  std::error_code error;
  fs::remove(places.data_dir / kRestoreMark, error);
  if (error)
    return fail(ErrorCode::kIo,
                fmt::format("cannot remove {}: {}", (places.data_dir / kRestoreMark).string(),
                            error.message()));
  NOTP_TRY(sync_folder(places.data_dir));
  report.manifest = std::move(manifest);
  return report;
}

}  // namespace notp::backup
