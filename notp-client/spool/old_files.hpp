// Keeps the files of a log that cannot go on, as evidence, and puts the table of the log that
// follows in their place.
#pragma once

#include <filesystem>
#include <string>

#include "common/clock.hpp"
#include "common/result.hpp"

namespace notp::spool {

// The table of a log that follows another one, until it is complete.
inline constexpr const char* kNewTableFile = "spool.db.new";

// Returns the first time from `time_ms` on at which no file was set aside.
TimeMs free_old_time(const std::filesystem::path& folder, TimeMs time_ms);
// The ending of files that are set aside at that time: ".old-<time>", so that names sort by age.
std::string old_ending(TimeMs time_ms);
// At how many different times files were set aside.
size_t old_logs_kept(const std::filesystem::path& folder);

// Renames spool.db and what belongs to it, as far as it is there, and removes the oldest files
// beyond kOldLogsKept times. kIo.
Result<void> set_old_table_aside(const std::filesystem::path& folder, const std::string& ending);
// The same with the ring.
Result<void> set_old_ring_aside(const std::filesystem::path& folder, const std::string& ending);

// Gives the new table, which nobody has open, the name of the one that was set aside. kIo.
Result<void> put_new_table(const std::filesystem::path& folder);
void remove_new_table(const std::filesystem::path& folder);

}  // namespace notp::spool
