// Makes the file of a closed day anew, with some of its segments changed. The old file stays as it
// is: a backup may have it under another name, and readers have it open.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <filesystem>
#include <memory>

#include "notp-server/audit/day_database.hpp"

namespace notp::audit {

// One thread. The new file is written from end to end: it has no byte of what was left out.
class DayRewrite {
 public:
  // `from` is closed, and of this store and day; a file at `to` is replaced. kIo, kCorrupt.
  static Result<std::unique_ptr<DayRewrite>> begin(const std::filesystem::path& from,
                                                   const std::filesystem::path& to,
                                                   const DayMark& mark);
  // Removes a new file that was not finished.
  ~DayRewrite();

  // The highest row.
  Result<uint32_t> last_row() const { return source_->last_row(); }
  Result<StoredSegment> read(uint32_t row) const { return source_->read(row); }
  // Puts a segment in the place of the one at `row`, which is above those of earlier calls. Those
  // between are copied as they are.
  Result<void> put(uint32_t row, const StoredSegment& segment);
  // Writes a note into the file, DayDatabase::note().
  Result<void> note(const std::string& name, ByteView value);
  // Copies the rest, and makes the file durable under its temporary name.
  Result<void> finish();

 private:
  DayRewrite(std::filesystem::path to, std::unique_ptr<DayDatabase> source)
      : to_(std::move(to)), source_(std::move(source)) {}
  void copy_until(uint32_t row);

  const std::filesystem::path to_;
  std::unique_ptr<DayDatabase> source_;
  std::unique_ptr<SQLite::Database> target_;
  uint32_t done_ = 0;  // rows up to this one are in the new file
  bool is_finished_ = false;
};

}  // namespace notp::audit
