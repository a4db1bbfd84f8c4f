#include "notp-server/audit/day_readers.hpp"

#include <fmt/format.h>

#include <iterator>

namespace notp::audit {

Result<DayReader> DayReaders::take(const std::filesystem::path& file, const DayMark& mark,
                                   uint64_t generation, uint32_t rows) {
  {
    const MutexLock lock(mutex_);
    for (auto at = kept_.begin(); at != kept_.end(); ++at)
      if (at->day == mark.day && at->generation == generation) {
        DayReader reader = std::move(*at);
        kept_.erase(at);
        return reader;
      }
  }
  NOTP_ASSIGN(auto database, DayDatabase::open_closed(file, mark));
  NOTP_ASSIGN(const uint32_t last, database->last_row());
  if (last != rows)
    return fail(ErrorCode::kCorrupt,
                fmt::format("it ends with segment {}, and segment {} was written last: the file "
                            "was replaced",
                            last, rows));
  return DayReader{mark.day, generation, std::move(database)};
}

void DayReaders::give_back(DayReader reader) {
  std::list<DayReader> old;  // closed without the lock
  const MutexLock lock(mutex_);
  kept_.push_front(std::move(reader));
  while (kept_.size() > kept_max_) old.splice(old.begin(), kept_, std::prev(kept_.end()));
}

void DayReaders::forget(uint32_t day) {
  std::list<DayReader> old;
  const MutexLock lock(mutex_);
  for (auto at = kept_.begin(); at != kept_.end();) {
    const auto next = std::next(at);
    if (at->day == day) old.splice(old.begin(), kept_, at);
    at = next;
  }
}

}  // namespace notp::audit
