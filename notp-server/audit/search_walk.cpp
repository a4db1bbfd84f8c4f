#include "notp-server/audit/search_walk.hpp"

#include <algorithm>

#include "notp-server/audit/audit_limits.hpp"

namespace notp::audit {
namespace {

constexpr size_t kActiveBytesCachedMax = 16 << 20;

std::optional<ActiveSets::Entry> entry_of(const Result<ByteView>& bytes) {
  if (!bytes) return std::nullopt;
  auto record = record::decode(*bytes);
  auto* const set = record ? std::get_if<record::ActiveSet>(&record->content) : nullptr;
  if (set == nullptr) return std::nullopt;
  return ActiveSets::Entry{Bytes(*bytes), std::move(*set)};
}

}  // namespace

Result<const StoredRecords*> SegmentRecords::all() {
  if (!opened_) {
    NOTP_ASSIGN(const StoredSegment stored, store_.read(row_.key));
    if (stored.segment.body.empty())
      return fail(ErrorCode::kNotFound, "the body of the segment was removed meanwhile");
    NOTP_ASSIGN(opened_, StoredRecords::open(stored));
  }
  return &*opened_;
}

Result<ByteView> SegmentRecords::at(size_t index) {
  NOTP_ASSIGN(const auto* const all, this->all());
  if (index >= all->records().size())
    return fail(ErrorCode::kCorrupt, "a segment has fewer records than its head");
  if (all->records()[index].empty())
    return fail(ErrorCode::kNotFound, "the record was taken out meanwhile");
  return all->records()[index];
}

const ActiveSets::Entry* ActiveSets::keep(const Key& key, std::optional<Entry> entry) {
  if (known_.size() >= limits::kActiveSetsCachedMax || bytes_ > kActiveBytesCachedMax) {
    known_.clear();
    bytes_ = 0;
  }
  if (entry) bytes_ += entry->record.size();
  const auto& kept = known_[key] = std::move(entry);
  return kept ? &*kept : nullptr;
}

const ActiveSets::Entry* ActiveSets::find(SegmentRecords& current, record::Position position) {
  const SegmentRow& row = current.row();
  if (position == 0 || position < row.first || position - row.first >= row.count)
    return find(row.log, position);
  const Key key{row.log, position};
  const auto at = known_.find(key);
  if (at != known_.end()) return at->second ? &*at->second : nullptr;
  return keep(key, entry_of(current.at(position - row.first)));
}

const ActiveSets::Entry* ActiveSets::find(const record::LogId& log, record::Position position) {
  const Key key{log, position};
  const auto at = known_.find(key);
  if (at != known_.end()) return at->second ? &*at->second : nullptr;
  if (position == 0) return nullptr;
  const auto stored = store_.find(log, position);
  if (!stored || stored->segment.body.empty()) return keep(key, std::nullopt);
  const auto opened = StoredRecords::open(*stored);
  if (!opened) return keep(key, std::nullopt);
  return keep(key, entry_of(opened->records()[position - stored->segment.head.first]));
}

Result<WalkColumns> WalkColumns::read(const SegmentRow& row, const SegmentIndex& index,
                                      SearchFilter& filter, bool with_active) {
  NOTP_ASSIGN(HeadColumns head, HeadColumns::decode(index.head, row.count));
  WalkColumns out{.head = std::move(head), .wanted = {}, .times_us = {}, .actives = {}};
  std::vector<bool> wanted = filter.wanted(out.head.shapes());
  if (std::ranges::find(wanted, true) == wanted.end()) return out;
  out.wanted = std::move(wanted);
  if (filter.has_times() && !filter.covers(row)) {
    NOTP_ASSIGN(out.times_us, out.head.times_us());
  }
  if (with_active || filter.needs_active()) {
    NOTP_ASSIGN(out.actives, out.head.active());
  }
  return out;
}

Result<bool> matches_record(const Match& match, const SearchFilter& filter, ActiveSets& actives) {
  const SegmentRow& row = match.records.row();
  if (filter.needs_record() || filter.has_place()) {
    const auto bytes = match.records.at(match.index);
    if (!bytes && bytes.error().code == ErrorCode::kNotFound) return false;  // taken out meanwhile
    if (!bytes) return std::unexpected(bytes.error());
    if (!filter.may_match(*bytes)) return false;
    NOTP_ASSIGN(const record::Record record, record::decode(*bytes));
    if (!filter.matches_place(row.log, record.place) || !filter.matches_content(record))
      return false;
  }
  if (!filter.needs_active()) return true;
  const bool is_active = match.shape.kind == record::Kind::kActive;
  const auto* const entry =
      actives.find(match.records, is_active ? row.first + match.index : match.active);
  return filter.matches_release(match.shape, entry ? &entry->set : nullptr);
}

Result<std::vector<bool>> select_records(SegmentRecords& records, const SegmentIndex& index,
                                         SearchFilter& filter, ActiveSets& actives) {
  const SegmentRow& row = records.row();
  std::vector<bool> out(row.count);
  if (index.head.empty() || !filter.may_hold(row, index)) return out;
  NOTP_ASSIGN(const WalkColumns columns,
              WalkColumns::read(row, index, filter, filter.needs_active()));
  if (columns.wanted.empty()) return out;
  const auto select = [&](const Match& match) -> Result<Step> {
    out[match.index] = true;
    return Step::kNext;
  };
  NOTP_TRY(walk_segment(records, columns, filter, actives, 0, true, select));
  return out;
}

}  // namespace notp::audit
