#include "notp-client/spool/old_files.hpp"

#include <fmt/format.h>

#include <map>
#include <set>

#include "common/storage/files.hpp"
#include "notp-client/spool/recovery.hpp"

namespace notp::spool {
namespace {

constexpr std::string_view kEnding = ".old-";
// SQLite finds a log by the name of its database. The database goes first: without it the rest is
// no spool, and with it the rest must be there.
constexpr const char* kTableParts[] = {"", "-wal", "-journal"};

// A file that does not exist is left out.
Result<void> rename_if_there(const std::filesystem::path& from, const std::filesystem::path& to) {
  std::error_code error;
  std::filesystem::rename(from, to, error);
  if (!error || error == std::errc::no_such_file_or_directory) return {};
  return fail(ErrorCode::kIo, fmt::format("cannot rename {} to {}: {}", from.string(), to.string(),
                                          error.message()));
}

// The time in a name; empty: it is not an old file.
std::string time_in(const std::string& name) {
  const size_t at = name.find(kEnding);
  if (at == std::string::npos) return {};
  const std::string rest = name.substr(at + kEnding.size());
  return rest.substr(0, rest.find('-'));
}

// Files by the time in their names.
std::multimap<std::string, std::filesystem::path> old_files(const std::filesystem::path& folder) {
  std::error_code ignored;
  std::multimap<std::string, std::filesystem::path> out;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored))
    if (std::string time = time_in(entry.path().filename().string()); !time.empty())
      out.emplace(std::move(time), entry.path());
  return out;
}

std::set<std::string> times_of(const std::multimap<std::string, std::filesystem::path>& files) {
  std::set<std::string> times;
  for (const auto& [time, file] : files) times.insert(time);
  return times;
}

// Best effort: a file that stays costs space alone.
void remove_oldest(const std::filesystem::path& folder) {
  std::error_code ignored;
  const auto files = old_files(folder);
  std::set<std::string> times = times_of(files);
  while (times.size() > kOldLogsKept) times.erase(times.begin());
  for (const auto& [time, file] : files)
    if (!times.contains(time)) std::filesystem::remove(file, ignored);
}

}  // namespace

// Milliseconds with leading zeros.
std::string old_ending(TimeMs time_ms) { return fmt::format("{}{:014}", kEnding, time_ms); }

TimeMs free_old_time(const std::filesystem::path& folder, TimeMs time_ms) {
  const std::set<std::string> times = times_of(old_files(folder));
  while (times.contains(time_in(old_ending(time_ms)))) ++time_ms;
  return time_ms;
}

size_t old_logs_kept(const std::filesystem::path& folder) {
  return times_of(old_files(folder)).size();
}

Result<void> set_old_table_aside(const std::filesystem::path& folder, const std::string& ending) {
  const std::string database = (folder / kTableFile).string();
  for (const char* part : kTableParts)
    NOTP_TRY(rename_if_there(database + part, database + ending + part));
  NOTP_TRY(sync_folder(folder));
  remove_oldest(folder);
  return {};
}

Result<void> set_old_ring_aside(const std::filesystem::path& folder, const std::string& ending) {
  NOTP_TRY(rename_if_there(folder / kRingFile, (folder / kRingFile).string() + ending));
  remove_oldest(folder);
  return {};
}

Result<void> put_new_table(const std::filesystem::path& folder) {
  for (const char* part : {"-wal", "-journal", ""})
    NOTP_TRY(rename_if_there((folder / kNewTableFile).string() + part,
                             (folder / kTableFile).string() + part));
  return sync_folder(folder);
}

void remove_new_table(const std::filesystem::path& folder) {
  std::error_code ignored;
  for (const char* part : kTableParts)
    std::filesystem::remove((folder / kNewTableFile).string() + part, ignored);
}

}  // namespace notp::spool
