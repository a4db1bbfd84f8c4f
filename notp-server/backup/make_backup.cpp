#include "notp-server/backup/make_backup.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>

#include <algorithm>
#include <charconv>

#include "common/failpoint.hpp"
#include "notp-server/backup/backup_check.hpp"
#include "notp-server/backup/backup_folder.hpp"
#include "notp-server/backup/database_copies.hpp"
#include "notp-server/backup/restore.hpp"
#include "notp-server/registry/repository_copy.hpp"

namespace notp::backup {
namespace {

namespace fs = std::filesystem;

// --- before

Result<void> check_outside(const fs::path& target, const fs::path& folder) {
  std::error_code ignored;
  const fs::path inner = fs::weakly_canonical(fs::absolute(target, ignored), ignored);
  const fs::path outer = fs::weakly_canonical(fs::absolute(folder, ignored), ignored);
  if (std::ranges::mismatch(outer, inner).in1 != outer.end()) return {};
  return fail(ErrorCode::kUsage,
              fmt::format("{} is inside of {}, which is backed up: name a folder "
                          "elsewhere, best on another disk",
                          target.string(), folder.string()));
}

// One backup of a registry at a time: each asks it for copies of the databases.
Result<Descriptor> lock_folder(const fs::path& data_dir) {
  Descriptor folder(::open(data_dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.get() < 0)
    return fail(ErrorCode::kNotFound,
                fmt::format("there is no folder {}, the data_dir of the configuration: nothing to "
                            "back up",
                            data_dir.string()));
  if (::flock(folder.get(), LOCK_EX | LOCK_NB) != 0)
    return fail(ErrorCode::kConflict,
                fmt::format("{} is being backed up by another process: wait until it ends",
                            data_dir.string()));
  return folder;
}

// --- stores

// The records of releases come last, as their store writes them; one that is published or dropped
// meanwhile is left out.
Result<void> add_pending(const fs::path& folder, BackupFolder& backup) {
  constexpr std::string_view kRecord = ".json";
  NOTP_ASSIGN(const std::vector<std::string> names, files_below(folder));
  for (const std::string& record : names) {
    if (!record.ends_with(kRecord)) continue;
    const std::string artifact = record.substr(0, record.size() - kRecord.size()) + ".artifact";
    for (const std::string& name : {artifact, record}) {
      const auto copied = backup.copy(folder / name, fmt::format("{}/{}", kPending, name));
      if (!copied && copied.error().code == ErrorCode::kNotFound) break;
      if (!copied) return copied;
    }
  }
  return {};
}

// The folders "<zone>/<name>.git", ascending.
Result<std::vector<model::LedgerId>> list_ledgers(const fs::path& folder) {
  std::vector<model::LedgerId> out;
  std::error_code error;
  for (fs::directory_iterator zone(folder, error), end; !error && zone != end;
       zone.increment(error))
    for (fs::directory_iterator at(zone->path(), error); !error && at != end; at.increment(error)) {
      if (at->path().extension() != ".git") continue;
      if (auto id = model::LedgerId::parse(
              fmt::format("{}/{}", zone->path().filename().string(), at->path().stem().string())))
        out.push_back(*std::move(id));
    }
  if (error && error != std::errc::no_such_file_or_directory)
    return fail(ErrorCode::kIo,
                fmt::format("cannot list {}: {}", folder.string(), error.message()));
  std::ranges::sort(out);
  return out;
}

Result<std::vector<LedgerHead>> add_ledgers(const fs::path& data_dir, const Say& say,
                                            BackupFolder& backup) {
  std::vector<LedgerHead> heads;
  NOTP_ASSIGN(const std::vector<model::LedgerId> ledgers, list_ledgers(data_dir / kLedgers));
  for (const model::LedgerId& ledger : ledgers) {
    const std::string path = repository_path(ledger);
    const auto placed = [&](const std::string& file) { return fmt::format("{}/{}", path, file); };
    auto head = registry::copy_repository(
        data_dir / path,
        {.copy = [&](const fs::path& from,
                     const std::string& file) { return backup.copy(from, placed(file)); },
         .put = [&](const std::string& file,
                    ByteView content) { return backup.put(placed(file), content); }});
    if (!head) return std::unexpected(std::move(head).error().in(ledger.text()));
    if (!*head) continue;
    say(fmt::format("ledger {}, v{}", ledger.text(), (*head)->version));
    heads.push_back({ledger, (*head)->version, (*head)->release_hash});
  }
  return heads;
}

// Returns the version of the newest.
Result<uint64_t> add_roots(const fs::path& folder, BackupFolder& backup) {
  constexpr std::string_view kSuffix = ".envelope";
  uint64_t newest = 0;
  NOTP_ASSIGN(const std::vector<std::string> names, files_below(folder));
  for (const std::string& name : names) {
    uint64_t version = 0;
    const auto [stop, error] = std::from_chars(name.data(), name.data() + name.size(), version);
    if (error != std::errc() || std::string_view(stop, name.data() + name.size()) != kSuffix)
      continue;
    NOTP_TRY(backup.copy(folder / name, fmt::format("{}/{}", kRoots, name)));
    newest = std::max(newest, version);
  }
  if (newest > 0) return newest;
  return fail(ErrorCode::kNotFound, fmt::format("{} holds no root: no registry has ever run with "
                                                "this data_dir",
                                                folder.string()));
}

Result<void> add_configured(const std::vector<ConfiguredFile>& files, BackupFolder& backup) {
  for (const ConfiguredFile& file : files) {
    const auto copied = backup.copy(file.path, fmt::format("{}/{}", kConfigured, file.key));
    if (!copied && !(file.may_be_missing && copied.error().code == ErrorCode::kNotFound))
      return copied;
  }
  return {};
}

}  // namespace

Result<Manifest> make_backup(const BackupOptions& options) {
  const RegistryPlaces& places = options.places;
  NOTP_TRY(check_owner(places.data_dir, "backup"));
  NOTP_TRY(check_not_interrupted(places.data_dir));
  NOTP_TRY(check_outside(options.target, places.data_dir));
  NOTP_TRY(check_outside(options.target, places.audit));
  NOTP_ASSIGN(const Descriptor lock, lock_folder(places.data_dir));
  Manifest manifest{.product = "notp-server/" NOTP_VERSION,
                    .made_ms = read_clock().wall_ms,
                    .trust_domain = places.trust_domain,
                    .ledgers = {},
                    .files = {}};
  NOTP_ASSIGN(BackupFolder backup, BackupFolder::begin(options.target));
  NOTP_TRY(add_pending(places.data_dir / kPending, backup));
  failpoint("backup.after_pending");
  NOTP_ASSIGN(manifest.ledgers, add_ledgers(places.data_dir, options.say, backup));
  NOTP_ASSIGN(manifest.root_version, add_roots(places.data_dir / kRoots, backup));
  failpoint("backup.after_roots");
  NOTP_TRY(add_databases(places, options.say, backup));
  failpoint("backup.after_databases");
  if (options.with_keys) NOTP_TRY(add_configured(places.configured, backup));
  manifest.files = backup.files();
  options.say("checking what was copied");
  if (auto good = check_stores(backup.folder(), manifest, [](const std::string&) {}); !good)
    return std::unexpected(
        std::move(good).error().in("the registry's data is damaged, and no backup was made of it"));
  NOTP_TRY(backup.finish(manifest));
  failpoint("backup.after_rename");
  return manifest;
}

}  // namespace notp::backup
