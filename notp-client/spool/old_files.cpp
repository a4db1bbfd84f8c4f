#include "notp-client/spool/old_files.hpp"

#include <fmt/format.h>

#include <set>

#include "common/clock.hpp"
#include "common/storage/files.hpp"
#include "notp-client/spool/recovery.hpp"

namespace notp::spool {
namespace {

constexpr std::string_view kEnding = ".old-";

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

// Best effort: a file that stays costs space alone.
void remove_oldest(const std::filesystem::path& folder) {
  std::error_code ignored;
  std::set<std::string> times;
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    const std::string time = time_in(entry.path().filename().string());
    if (time.empty()) continue;
    times.insert(time);
    files.push_back(entry.path());
  }
  while (times.size() > kOldLogsKept) times.erase(times.begin());
  for (const auto& file : files)
    if (!times.contains(time_in(file.filename().string()))) std::filesystem::remove(file, ignored);
}

// Milliseconds with leading zeros, so that names sort by age.
std::string ending_now() { return fmt::format("{}{:014}", kEnding, read_clock().wall_ms); }

}  // namespace

Result<std::string> set_old_table_aside(const std::filesystem::path& folder) {
  const std::string ending = ending_now();
  const std::string database = (folder / kTableFile).string();
  // SQLite finds a log by the name of its database.
  for (const char* part : {"-wal", "-journal", ""})
    NOTP_TRY(rename_if_there(database + part, database + ending + part));
  NOTP_TRY(sync_folder(folder));
  remove_oldest(folder);
  return ending;
}

Result<void> set_old_ring_aside(const std::filesystem::path& folder) {
  NOTP_TRY(rename_if_there(folder / kRingFile, (folder / kRingFile).string() + ending_now()));
  remove_oldest(folder);
  return {};
}

}  // namespace notp::spool
