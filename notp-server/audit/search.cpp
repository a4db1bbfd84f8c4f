#include "notp-server/audit/search.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "common/limits.hpp"
#include "notp-server/audit/search_walk.hpp"
#include "protocol/wire/log_limits.hpp"

namespace notp::audit {
namespace {

constexpr size_t kRowOverheadBytes = 128;  // names of fields, the log id

// Measures a page.
class PageTime {
 public:
  explicit PageTime(const AuditSearchOptions& options)
      : options_(options), began_ms_(options.boot_ms()) {}
  ~PageTime() { options_.observe(options_.boot_ms() - began_ms_); }
  PageTime(const PageTime&) = delete;
  PageTime& operator=(const PageTime&) = delete;
  TimeMs deadline_ms() const { return began_ms_ + options_.page_ms; }

 private:
  const AuditSearchOptions& options_;
  const TimeMs began_ms_;
};

Result<std::optional<SearchCursor>> cursor_of(const Bytes& bytes, bool ascending) {
  if (bytes.empty()) return std::nullopt;
  NOTP_ASSIGN(const SearchCursor cursor, SearchCursor::decode(bytes, ascending));
  return cursor;
}

// Rows of one page, within its limits.
class RowPage {
 public:
  RowPage(ActiveSets& actives, size_t rows_max, size_t bytes_max)
      : actives_(actives), rows_max_(rows_max), bytes_max_(bytes_max) {}

  Result<Step> add(const Match& match) {
    const auto record = match.records.at(match.index);
    if (!record && record.error().code == ErrorCode::kNotFound) return Step::kNext;  // gone by now
    if (!record) return std::unexpected(record.error());
    const SegmentRow& row = match.records.row();
    const auto* const active = actives_.find(match.records, match.active);
    return add(row.node, row.log, row.first + match.index, *record, match.active, active);
  }

  Step add(const std::string& node, const record::LogId& log, record::Position position,
           ByteView record, record::Position active_position, const ActiveSets::Entry* active) {
    wire::DecisionRow row;
    row.node = node;
    row.log = log;
    row.position = position;
    if (record.size() <= limits::kAuditRowBytesMax) row.record = record;
    const bool is_first = active != nullptr && !actives_in_page_.contains({log, active_position});
    if (is_first && active->record.size() <= limits::kAuditRowBytesMax) row.active = active->record;
    const size_t bytes =
        row.node.size() + row.record.size() + row.active.size() + kRowOverheadBytes;
    if (!rows_.empty() && bytes_ + bytes > bytes_max_) return Step::kFull;
    bytes_ += bytes;
    if (is_first) actives_in_page_.emplace(log, active_position);
    rows_.push_back(std::move(row));
    return rows_.size() >= rows_max_ ? Step::kLast : Step::kNext;
  }

  std::vector<wire::DecisionRow> take() { return std::move(rows_); }

 private:
  ActiveSets& actives_;
  const size_t rows_max_, bytes_max_;
  std::vector<wire::DecisionRow> rows_;
  std::set<std::pair<record::LogId, record::Position>> actives_in_page_;
  size_t bytes_ = 0;
};

// Counts of one page, within its limits.
class CountPage {
 public:
  explicit CountPage(size_t bytes_max) : bytes_max_(bytes_max) {}

  Step add(const Match& match) {
    if (match.records.row().key != key_) {
      key_ = match.records.row().key;
      of_shape_.assign(limits::kSegmentRecordsMax, nullptr);
    }
    uint64_t*& count = of_shape_[match.shape_index];
    if (count == nullptr) count = find(match.shape);
    if (count == nullptr) return Step::kFull;
    ++*count;
    return Step::kNext;
  }

  std::vector<wire::DecisionCount> take() const {
    std::vector<wire::DecisionCount> out;
    for (const auto& [name, count] : counts_)
      out.push_back({std::get<0>(name), std::get<1>(name), std::get<2>(name), count});
    return out;
  }

 private:
  // Null: the page is full.
  uint64_t* find(const RecordShape& shape) {
    const Name name{std::string(shape.path), std::string(shape.ledger), shape.outcome};
    const auto at = counts_.find(name);
    if (at != counts_.end()) return &at->second;
    const size_t bytes = shape.path.size() + shape.ledger.size() + kRowOverheadBytes;
    if (counts_.size() >= limits::kAuditCountRowsMax || bytes_ + bytes > bytes_max_) return nullptr;
    bytes_ += bytes;
    return &counts_[name];
  }

  using Name = std::tuple<std::string, std::string, record::Outcome>;
  const size_t bytes_max_;
  std::map<Name, uint64_t> counts_;
  size_t bytes_ = 0;
  uint64_t key_ = 0;
  std::vector<uint64_t*> of_shape_;  // of the segment of key_
};

// Adds the record at an address, if it is the one and matches.
Result<void> add_at(const StoredSegment& stored, const record::DecisionAddress& address,
                    SearchFilter& filter, ActiveSets& actives, RowPage& page) {
  if (stored.segment.body.empty()) return {};
  const record::SegmentHead& head = stored.segment.head;
  NOTP_ASSIGN(const auto opened, StoredRecords::open(stored));
  const ByteView bytes = opened.records()[address.position - head.first];
  if (bytes.empty()) return {};  // it was taken out
  NOTP_ASSIGN(const record::Record record, record::decode(bytes));
  const RecordShape shape = shape_of(record);
  if (record.place.run != address.run || !filter.is_wanted(shape) ||
      !filter.is_in_time(head_time_us(record.time_ns)) || !filter.matches_content(record))
    return {};
  const auto* const active = actives.find(head.log, record.place.active);
  if (!filter.matches_release(shape, active ? &active->set : nullptr)) return {};
  page.add(stored.node, head.log, address.position, bytes, record.place.active, active);
  return {};
}

Result<wire::DecisionsPage> at_address(const AuditStore& store,
                                       const record::DecisionAddress& address,
                                       const std::string& node, SearchFilter& filter,
                                       size_t bytes_max) {
  wire::DecisionsPage out;
  ActiveSets actives(store);
  RowPage page(actives, limits::kQueryRowsMax, bytes_max);
  const ByteView prefix(reinterpret_cast<const char*>(address.log_prefix.data()),
                        address.log_prefix.size());
  for (const record::LogId& log : store.logs_by_prefix(prefix)) {
    const auto stored = store.find(log, address.position);
    if (!stored && stored.error().code == ErrorCode::kNotFound) continue;
    if (!stored) return std::unexpected(stored.error());
    ++out.searched;
    if (node_matches(node, stored->node)) NOTP_TRY(add_at(*stored, address, filter, actives, page));
  }
  out.rows = page.take();
  return out;
}

size_t bytes_of(const wire::LogRow& row) {
  size_t bytes = kRowOverheadBytes + row.node.size() + row.announcement.size();
  for (const wire::LogFault& fault : row.faults)
    bytes += kRowOverheadBytes + fault.message.size() + fault.checkpoint.size();
  return bytes;
}

Result<wire::LogRow> log_row(const AuditStore& store, StoredLog log) {
  wire::LogRow row;
  row.node = std::move(log.node);
  row.log = log.log;
  row.size = log.tree.size();
  row.root = log.tree.root();
  row.announcement = std::move(log.announcement);
  row.first_ms = log.first_ms;
  row.last_ms = log.last_ms;
  row.pruned = log.pruned;
  NOTP_ASSIGN(auto faults, store.faults(log.log));
  faults.resize(std::min(faults.size(), limits::kLogFaultsListedMax));
  for (StoredFault& fault : faults)
    row.faults.push_back({fault.code, fault.position, std::move(fault.message), fault.at_ms,
                          std::move(fault.checkpoint)});
  return row;
}

// Whether each record of a segment may be seen.
Result<std::vector<bool>> seen_records(ByteView head_bytes, size_t count, const MaySee& may_see) {
  NOTP_ASSIGN(const HeadColumns head, HeadColumns::decode(head_bytes, count));
  std::vector<bool> of_shape(head.shapes().size()), out(count);
  for (size_t i = 0; i < of_shape.size(); ++i) {
    const RecordShape& shape = head.shapes()[i];
    of_shape[i] = shape.is_closed || shape.kind != record::Kind::kDecision || may_see(shape.ledger);
  }
  for (size_t i = 0; i < count; ++i) out[i] = of_shape[head.shape_of_record()[i]];
  return out;
}

}  // namespace

Result<wire::DecisionsPage> AuditSearch::decisions(const wire::DecisionsRequest& request,
                                                   const MaySee& may_see) const {
  const PageTime time(options_);
  NOTP_ASSIGN(SearchFilter filter, SearchFilter::prepare(request.filter, may_see));
  NOTP_ASSIGN(const auto cursor, cursor_of(request.cursor, request.oldest_first));
  if (const auto address = record::DecisionAddress::parse(request.filter.decision_id))
    return at_address(store_, *address, request.filter.node, filter, options_.page_bytes_max);
  ActiveSets actives(store_);
  RowPage page(actives, std::clamp<size_t>(request.rows_max, 1, limits::kQueryRowsMax),
               options_.page_bytes_max);
  NOTP_ASSIGN(const WalkEnd end, walk(store_, filter, actives,
                                      {.boot_ms = [this] { return now_ms(); },
                                       .deadline_ms = time.deadline_ms(),
                                       .from = cursor,
                                       .ascending = request.oldest_first,
                                       .with_active = true},
                                      [&](const Match& match) { return page.add(match); }));
  wire::DecisionsPage out;
  out.rows = page.take();
  out.more = end.next.has_value();
  if (end.next) out.cursor = end.next->encode();
  out.searched = end.searched;
  return out;
}

Result<wire::DecisionCountsPage> AuditSearch::counts(const wire::DecisionCountsRequest& request,
                                                     const MaySee& may_see) const {
  const PageTime time(options_);
  if (record::DecisionAddress::parse(request.filter.decision_id))
    return fail(ErrorCode::kUsage, "one decision is not counted; ask for it by its id");
  NOTP_ASSIGN(SearchFilter filter, SearchFilter::prepare(request.filter, may_see));
  NOTP_ASSIGN(const auto cursor, cursor_of(request.cursor, false));
  ActiveSets actives(store_);
  CountPage page(options_.page_bytes_max);
  NOTP_ASSIGN(const WalkEnd end,
              walk(store_, filter, actives,
                   {.boot_ms = [this] { return now_ms(); },
                    .deadline_ms = time.deadline_ms(),
                    .from = cursor},
                   [&](const Match& match) -> Result<Step> { return page.add(match); }));
  wire::DecisionCountsPage out;
  out.rows = page.take();
  out.more = end.next.has_value();
  if (end.next) out.cursor = end.next->encode();
  return out;
}

Result<wire::LogsPage> AuditSearch::logs(const wire::LogsRequest& request) const {
  const PageTime time(options_);
  wire::LogsPage out;
  size_t bytes = 0;
  for (std::optional<record::LogId> after = request.after;;) {
    NOTP_ASSIGN(std::vector<StoredLog> logs, store_.logs(after, limits::kAuditLogsPageMax));
    if (logs.empty()) return out;
    after = logs.back().log;
    for (StoredLog& log : logs) {
      if (!node_matches(request.node, log.node)) continue;
      NOTP_ASSIGN(wire::LogRow row, log_row(store_, std::move(log)));
      bytes += bytes_of(row);
      if (!out.rows.empty() &&
          (bytes > options_.page_bytes_max || out.rows.size() == limits::kQueryRowsMax)) {
        out.more = true;
        return out;
      }
      out.rows.push_back(std::move(row));
    }
  }
}

Result<wire::SegmentPart> AuditSearch::segment(const wire::SegmentRequest& request,
                                               const MaySee& may_see) const {
  const PageTime time(options_);
  NOTP_ASSIGN(StoredSegment stored, store_.find(request.log, request.position));
  wire::SegmentPart out;
  out.head = stored.segment.head;
  out.stored_ms = stored.stored_ms;
  out.subtrees = std::move(stored.segment.subtrees);
  out.reduced = stored.reduced;
  // The secret opens the leaf hashes of what is not shown.
  const auto hide_secret = [&] { out.head.secret.assign(record::kSegmentSecretBytes, '\0'); };
  if (stored.segment.body.empty()) {
    hide_secret();
    return out;
  }
  NOTP_ASSIGN(const std::vector<bool> seen,
              seen_records(stored.index.head, out.head.count, may_see));
  Bytes content;
  if (std::ranges::find(seen, false) != seen.end()) {
    NOTP_ASSIGN(const auto opened, StoredRecords::open(stored));
    NOTP_ASSIGN(content, opened.reduced([&](size_t index) { return seen.at(index); }));
    out.reduced = true;
    hide_secret();
  } else {
    content = std::move(stored.segment.body);
  }
  out.total = content.size();
  if (request.offset > content.size())
    return fail(ErrorCode::kUsage,
                fmt::format("the content of the segment has {} bytes", content.size()));
  out.content = content.substr(request.offset,
                               std::min(limits::kSegmentPartBytesMax, options_.page_bytes_max));
  return out;
}

}  // namespace notp::audit
