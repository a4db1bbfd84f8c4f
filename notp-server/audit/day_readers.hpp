// Connections to closed days that stay open, for the next reader.
#pragma once

#include <filesystem>
#include <list>
#include <memory>

#include "common/mutex.hpp"
#include "notp-server/audit/day_database.hpp"

namespace notp::audit {

// One connection, of one thread at a time.
struct DayReader {
  uint32_t day = 0;
  uint64_t generation = 0;
  std::unique_ptr<DayDatabase> database;
};

// Thread-safe. A generation counts how often a day's file was written or replaced: what was opened
// before would show the old one.
class DayReaders {
 public:
  explicit DayReaders(size_t kept_max) : kept_max_(kept_max) {}

  // One that is open, or a new one of the file. kCorrupt: it does not end with row `rows`: it is a
  // copy of an earlier hour; kCorrupt, kIo of DayDatabase.
  Result<DayReader> take(const std::filesystem::path& file, const DayMark& mark,
                         uint64_t generation, uint32_t rows);
  void give_back(DayReader reader);
  // Closes those of a day that nobody uses: they would keep a file that was replaced on the disk.
  void forget(uint32_t day);

 private:
  const size_t kept_max_;
  Mutex mutex_;
  std::list<DayReader> kept_ NOTP_GUARDED_BY(mutex_);  // newest first
};

}  // namespace notp::audit
