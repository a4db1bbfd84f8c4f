#include "notp-server/backup/database_copies.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <optional>
#include <thread>
#include <tuple>
#include <utility>

#include "common/limits.hpp"
#include "common/storage/files.hpp"
#include "common/storage/sqlite.hpp"
#include "notp-server/audit/day_database.hpp"
#include "notp-server/audit_tree/tree_file_names.hpp"
#include "notp-server/registry/registry_lock.hpp"

namespace notp::backup {
namespace {

namespace fs = std::filesystem;

constexpr const char* kCopies = "copies";  // in data_dir
constexpr const char* kFailed = "failed";  // in it, when the registry cannot copy
constexpr std::chrono::milliseconds kLookMs{20};
// The registry's copies have not grown for this time.
constexpr TimeMs kStalledMs = 60'000;
// A day begins, or the registry ends, while it is asked: each can happen once.
constexpr int kAttempts = 4;

bool is_there(const fs::path& file) {
  std::error_code ignored;
  return fs::exists(file, ignored);
}

std::string audit_path(const std::string& name) { return fmt::format("{}/{}", kAudit, name); }

// --- a registry that runs

Result<void> remove_copies(const fs::path& data_dir) {
  std::error_code error;
  fs::remove_all(data_dir / kCopies, error);
  if (!error) return {};
  return fail(ErrorCode::kIo,
              fmt::format("cannot remove {}: {}", (data_dir / kCopies).string(), error.message()));
}

// Grows while copies are written.
uint64_t bytes_in(const fs::path& folder) {
  uint64_t sum = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    const uint64_t bytes = it->is_regular_file(error) ? it->file_size(error) : 0;
    sum += error ? 0 : bytes + 1;
    error.clear();
  }
  return sum;
}

Result<void> signal_registry(pid_t registry) {
  if (registry > 0 && ::kill(registry, SIGUSR1) == 0) return {};
  return fail(
      ErrorCode::kConflict,
      fmt::format("cannot ask the registry, process {}, for copies of its databases: {}; "
                  "back up on its machine, outside or inside of its container as it is, and "
                  "as its user",
                  registry, registry > 0 ? std::strerror(errno) : "no such process"));
}

// True: the registry has copied its databases; false: it has ended meanwhile. fleet.db is its last
// copy.
Result<bool> ask_registry(const fs::path& data_dir, pid_t registry) {
  const fs::path copies = data_dir / kCopies;
  NOTP_TRY(remove_copies(data_dir));
  NOTP_TRY(signal_registry(registry));
  uint64_t bytes = 0;
  TimeMs grown_ms = read_clock().boot_ms;
  while (!is_there(copies / kFleetFile)) {
    if (const auto why = read_file(copies / kFailed, limits::kErrorTextBytesMax))
      return fail(ErrorCode::kIo,
                  fmt::format("the registry cannot copy its databases: {}", printable(*why)));
    NOTP_ASSIGN(const registry::RegistryLock lock, registry::try_registry_lock(data_dir));
    if (!lock.is_running) return false;
    const TimeMs now_ms = read_clock().boot_ms;
    if (const uint64_t now = bytes_in(copies); std::exchange(bytes, now) != now) grown_ms = now_ms;
    if (now_ms - grown_ms > kStalledMs)
      return fail(ErrorCode::kTimeout,
                  fmt::format("the registry, process {}, has not copied its databases within {} s: "
                              "its log says why (stores_not_copied)",
                              registry, kStalledMs / 1000));
    std::this_thread::sleep_for(kLookMs);
  }
  return true;
}

// --- days

// What the audit folder held before the databases were copied.
struct AuditFiles {
  std::vector<std::string> days;       // ascending
  std::vector<std::string> set_aside;  // damaged files and earlier trees, kept as evidence
};

Result<AuditFiles> list_audit(const fs::path& folder) {
  AuditFiles out;
  NOTP_ASSIGN(const std::vector<std::string> names, files_below(folder));
  for (const std::string& name : names)
    if (audit::day_of_file_name(name))
      out.days.push_back(name);
    else if (name.contains(".db.damaged") || audit::is_tree_set_aside(name))
      out.set_aside.push_back(name);
  return out;
}

// A file that is being written has a log beside it.
bool is_written(const fs::path& day) {
  return is_there(day.string() + "-wal") || is_there(day.string() + "-journal");
}

// Copies a file that nothing had open, unless that changed meanwhile.
Result<bool> copy_unchanged(const fs::path& from, const std::string& to, BackupFolder& backup) {
  const auto look = [&] {
    struct stat status{};
    const bool is_known = !is_written(from) && ::stat(from.c_str(), &status) == 0;
    return std::tuple(is_known, status.st_ino, status.st_size, status.st_mtim.tv_sec,
                      status.st_mtim.tv_nsec);
  };
  const auto before = look();
  if (!std::get<0>(before)) return false;
  NOTP_TRY(backup.copy(from, to));
  return look() == before;
}

// Only the newest day's file is ever written again.
Result<void> add_closed_days(const fs::path& folder, const AuditFiles& files,
                             BackupFolder& backup) {
  for (const std::string& name : files.set_aside)
    NOTP_TRY(backup.copy(folder / name, audit_path(name)));
  for (const std::string& name : files.days)
    if (name != files.days.back()) NOTP_TRY(backup.link(folder / name, audit_path(name)));
  return {};
}

// --- token lanes

std::string lane_path(const std::string& name) { return fmt::format("{}/{}", kLanes, name); }

// Names of the lanes' databases. A lane that the configuration no longer names keeps its own.
Result<std::vector<std::string>> list_lanes(const fs::path& data_dir) {
  if (!is_there(data_dir / kLanes)) return std::vector<std::string>();
  NOTP_ASSIGN(std::vector<std::string> names, files_below(data_dir / kLanes));
  std::erase_if(names, [](const std::string& name) { return !name.ends_with(".db"); });
  return names;
}

// --- both ways

Result<void> copy_closed(const fs::path& from, const std::string& to, BackupFolder& backup) {
  NOTP_ASSIGN(const fs::path place, backup.place(to));
  NOTP_ASSIGN(const auto database, open_database(from));
  NOTP_TRY(copy_database(*database, place));
  return backup.adopt(to);
}

// `copies`: where the registry has copied those that it uses; empty: none runs.
Result<void> copy_lanes(const fs::path& data_dir, const fs::path& copies, BackupFolder& backup) {
  NOTP_ASSIGN(const auto names, list_lanes(data_dir));
  for (const std::string& name : names) {
    const fs::path copy = copies / kLanes / name;
    NOTP_TRY(!copies.empty() && is_there(copy)
                 ? backup.copy(copy, lane_path(name))
                 : copy_closed(data_dir / kLanes / name, lane_path(name), backup));
  }
  return {};
}

// With the lock of a registry that does not run. A log that a crash left is written back, as the
// next start would.
Result<void> copy_as_registry(const RegistryPlaces& places, const AuditFiles& audit,
                              BackupFolder& backup) {
  for (const char* name : {kFleetFile, kJoinTokensFile})
    if (is_there(places.data_dir / name))
      NOTP_TRY(copy_closed(places.data_dir / name, name, backup));
  NOTP_TRY(copy_lanes(places.data_dir, {}, backup));
  for (const std::string& day : audit.days)
    if (is_written(places.audit / day)) {
      NOTP_ASSIGN(const auto recovered, open_database(places.audit / day));
    }
  NOTP_TRY(add_closed_days(places.audit, audit, backup));
  if (!audit.days.empty())
    NOTP_TRY(backup.copy(places.audit / audit.days.back(), audit_path(audit.days.back())));
  // The tree last: what is deleted in the days is stated there.
  for (const char* name : {kLogsFile, audit::kTreeFile})
    if (is_there(places.audit / name))
      NOTP_TRY(copy_closed(places.audit / name, audit_path(name), backup));
  return {};
}

// False: the newest day's file began to be written after the copies were made.
Result<bool> take_copies(const RegistryPlaces& places, const AuditFiles& audit,
                         BackupFolder& backup) {
  const fs::path copies = places.data_dir / kCopies;
  NOTP_TRY(backup.copy(copies / kFleetFile, kFleetFile));
  if (is_there(copies / kJoinTokensFile))
    NOTP_TRY(backup.copy(copies / kJoinTokensFile, kJoinTokensFile));
  else if (is_there(places.data_dir / kJoinTokensFile))  // it runs without enrolment
    NOTP_TRY(copy_closed(places.data_dir / kJoinTokensFile, kJoinTokensFile, backup));
  NOTP_TRY(copy_lanes(places.data_dir, copies, backup));
  if (!places.serves_audit) {
    if (is_there(places.audit / kLogsFile))
      NOTP_TRY(copy_closed(places.audit / kLogsFile, audit_path(kLogsFile), backup));
  } else {
    NOTP_TRY(backup.copy(copies / kAudit / kLogsFile, audit_path(kLogsFile)));
  }
  NOTP_TRY(add_closed_days(places.audit, audit, backup));
  if (audit.days.empty()) return true;
  const std::string& newest = audit.days.back();
  if (!is_there(copies / kAudit / newest))
    return copy_unchanged(places.audit / newest, audit_path(newest), backup);
  NOTP_TRY(backup.copy(copies / kAudit / newest, audit_path(newest)));
  return true;
}

// The registry has copied it after the days. One that it has not copied, it does not use.
Result<void> take_tree(const RegistryPlaces& places, BackupFolder& backup) {
  const fs::path copy = places.data_dir / kCopies / kAudit / audit::kTreeFile;
  if (is_there(copy)) return backup.copy(copy, audit_path(audit::kTreeFile));
  if (!is_there(places.audit / audit::kTreeFile)) return {};
  return copy_closed(places.audit / audit::kTreeFile, audit_path(audit::kTreeFile), backup);
}

}  // namespace

Result<void> add_databases(const RegistryPlaces& places, const Say& say, BackupFolder& backup) {
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    NOTP_ASSIGN(const AuditFiles audit, list_audit(places.audit));
    NOTP_ASSIGN(const registry::RegistryLock lock, registry::try_registry_lock(places.data_dir));
    if (!lock.is_running) {
      say("databases: no registry runs, copying them here");
      return copy_as_registry(places, audit, backup);
    }
    say(fmt::format("databases: the registry, process {}, copies them", lock.registry));
    NOTP_ASSIGN(const bool is_copied, ask_registry(places.data_dir, lock.registry));
    if (!is_copied) continue;
    NOTP_ASSIGN(const bool is_whole, take_copies(places, audit, backup));
    if (is_whole) NOTP_TRY(take_tree(places, backup));
    NOTP_TRY(remove_copies(places.data_dir));
    if (is_whole) return {};
  }
  return fail(ErrorCode::kConflict,
              "the registry started and stopped while its databases were copied: back up again");
}

}  // namespace notp::backup
