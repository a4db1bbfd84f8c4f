// Walks over the records that a filter selects, segment by segment.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "common/log.hpp"
#include "notp-server/audit/search_cursor.hpp"
#include "notp-server/audit/search_filter.hpp"
#include "notp-server/audit/stored_records.hpp"

namespace notp::audit {

// The records of one stored segment, read when the first is asked for. One thread.
class SegmentRecords {
 public:
  SegmentRecords(const AuditStore& store, const SegmentRow& row) : store_(store), row_(row) {}
  const SegmentRow& row() const { return row_; }
  // kCorrupt, kIo; kNotFound: it is gone.
  Result<ByteView> at(size_t index);
  // All of them. kNotFound: the body is gone.
  Result<const StoredRecords*> all();

 private:
  const AuditStore& store_;
  const SegmentRow& row_;
  std::optional<StoredRecords> opened_;
};

// Finds ACTIVE records by their position, and remembers some. One thread.
class ActiveSets {
 public:
  explicit ActiveSets(const AuditStore& store) : store_(store) {}

  struct Entry {
    Bytes record;
    record::ActiveSet set;
  };
  // Null: there is none, or it cannot be read. Valid until the next call. `current` is of the log.
  const Entry* find(SegmentRecords& current, record::Position position);
  const Entry* find(const record::LogId& log, record::Position position);

 private:
  using Key = std::pair<record::LogId, record::Position>;
  const Entry* keep(const Key& key, std::optional<Entry> entry);

  const AuditStore& store_;
  std::map<Key, std::optional<Entry>> known_;
  size_t bytes_ = 0;
};

// One selected record.
struct Match {
  SegmentRecords& records;
  uint32_t index = 0;  // in its segment
  uint16_t shape_index = 0;
  const RecordShape& shape;
  record::Position active = 0;  // 0 unless the walk reads it
};
enum class Step : uint8_t {
  kNext,
  kLast,  // this record is the last of the page
  kFull,  // this record is the first of the next page
};

struct WalkOptions {
  std::function<TimeMs()> boot_ms;
  TimeMs deadline_ms = kNever;
  std::optional<SearchCursor> from;
  bool ascending = false;
  bool with_active = false;
};
struct WalkEnd {
  std::optional<SearchCursor> next;  // nullopt: there is no more
  uint64_t searched = 0;             // records looked at
};

// The columns of a segment that a walk needs.
struct WalkColumns {
  HeadColumns head;
  std::vector<bool> wanted;               // by shape; empty: none is
  std::vector<int64_t> times_us;          // empty: all are in time
  std::vector<record::Position> actives;  // empty: not needed
  static Result<WalkColumns> read(const SegmentRow& row, const SegmentIndex& index,
                                  SearchFilter& filter, bool with_active);
};

// Whether a record's content and release match, as far as the filter asks for them.
Result<bool> matches_record(const Match& match, const SearchFilter& filter, ActiveSets& actives);

// Walks over one segment from `from` on; returns where to go on when `visit` ends the page.
template <typename Visit>
Result<std::optional<SearchCursor>> walk_segment(SegmentRecords& records,
                                                 const WalkColumns& columns,
                                                 const SearchFilter& filter, ActiveSets& actives,
                                                 uint32_t from, bool ascending, Visit& visit) {
  const SegmentRow& row = records.row();
  const auto shapes = columns.head.shape_of_record();
  const auto cursor_at = [&](uint32_t index) {
    return SearchCursor{row.key, index < row.count ? index : SearchCursor::kBeyond, ascending};
  };
  const bool is_selected_by_head =
      !filter.needs_record() && !filter.needs_active() && !filter.has_place();
  // Downwards, the index before 0 is UINT32_MAX.
  for (uint32_t i = from; i < row.count; i += ascending ? 1U : ~0U) {
    if (!columns.wanted[shapes[i]]) continue;
    if (!columns.times_us.empty() && !filter.is_in_time(columns.times_us[i])) continue;
    const Match match{records, i, shapes[i], columns.head.shapes()[shapes[i]],
                      columns.actives.empty() ? 0 : columns.actives[i]};
    if (!is_selected_by_head) {
      NOTP_ASSIGN(const bool matches, matches_record(match, filter, actives));
      if (!matches) continue;
    }
    NOTP_ASSIGN(const Step step, visit(match));
    if (step == Step::kFull) return cursor_at(i);
    if (step == Step::kLast) return cursor_at(i + (ascending ? 1U : ~0U));
  }
  return std::nullopt;
}

// For each record of one segment, whether the filter selects it. kCorrupt, kIo.
Result<std::vector<bool>> select_records(SegmentRecords& records, const SegmentIndex& index,
                                         SearchFilter& filter, ActiveSets& actives);

// Calls `visit(match)`, which returns a Result<Step>, for what the filter selects. A segment that
// cannot be read is logged and left out. kIo of the list.
template <typename Visit>
Result<WalkEnd> walk(const AuditStore& store, SearchFilter& filter, ActiveSets& actives,
                     const WalkOptions& options, Visit&& visit) {
  WalkEnd end;
  AuditStore::Range range = filter.range();
  range.ascending = options.ascending;
  const auto& from = options.from;
  if (from) {
    range.key = from->key;
    if (from->index != SearchCursor::kBeyond) range.key += options.ascending ? ~0ULL : 1ULL;
  }
  uint64_t done_key = 0;
  NOTP_TRY(store.list(range, [&](const SegmentRow& row, const SegmentIndex& index) {
    if (done_key != 0 && options.boot_ms() >= options.deadline_ms) {
      end.next = SearchCursor{done_key, SearchCursor::kBeyond, options.ascending};
      return false;
    }
    done_key = row.key;
    uint32_t first = options.ascending ? 0 : row.count - 1;
    if (from && from->key == row.key && from->index != SearchCursor::kBeyond)
      first = options.ascending ? from->index : std::min(from->index, first);
    const auto looked_at = [&](const std::optional<SearchCursor>& next) -> uint64_t {
      const bool is_whole = !next || next->index == SearchCursor::kBeyond;
      const uint32_t stop = is_whole ? (options.ascending ? row.count : ~0U) : next->index;
      return options.ascending ? stop - std::min(first, stop) : first - stop;
    };
    if (index.head.empty()) return true;  // without a body
    if (!filter.may_hold(row, index)) {
      end.searched += looked_at(std::nullopt);
      return true;
    }
    SegmentRecords records(store, row);
    const auto columns = WalkColumns::read(row, index, filter, options.with_active);
    Result<std::optional<SearchCursor>> next = std::optional<SearchCursor>();
    if (!columns)
      next = std::unexpected(columns.error());
    else if (!columns->wanted.empty())
      next = walk_segment(records, *columns, filter, actives, first, options.ascending, visit);
    if (!next) {
      log::write(log::Level::kError, "audit_segment_not_read", next.error(),
                 {{"log", row.log.hex()}, {"position", row.first}});
      return true;
    }
    end.searched += looked_at(*next);
    end.next = *next;
    return !end.next;
  }));
  return end;
}

}  // namespace notp::audit
