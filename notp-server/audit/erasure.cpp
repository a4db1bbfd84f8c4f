#include "notp-server/audit/erasure.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "common/log.hpp"

namespace notp::audit {
namespace {

constexpr char kCursorVersion = 1;

// Where the next page begins: at which id, and where in the search for it.
struct EraseCursor {
  uint64_t id = 0;
  std::optional<SearchCursor> at;

  Bytes encode() const {
    Bytes out(1, kCursorVersion);
    put_varint(out, id);
    if (at) out += at->encode();
    return out;
  }
  static Result<EraseCursor> decode(ByteView bytes, size_t ids) {
    EraseCursor out;
    if (bytes.empty()) return out;
    const auto refused = [] {
      return fail(ErrorCode::kUsage, "the cursor is not one of this request; begin again");
    };
    if (bytes.front() != kCursorVersion) return refused();
    bytes.remove_prefix(1);
    const auto id = take_varint(bytes);
    if (!id || (ids == 0 ? *id != 0 : *id >= ids)) return refused();
    out.id = *id;
    if (bytes.empty()) return out;
    NOTP_ASSIGN(out.at, SearchCursor::decode(bytes, false));
    return out;
  }
};

// What one page finds, and what is left of it.
class ErasePage {
 public:
  ErasePage(const DayFiles& store, const FindTerms& find_terms, HoldFilters holds, TimeMs now_ms)
      : holds_(std::move(holds)), actives_(store), terms_(find_terms, actives_), now_ms_(now_ms) {}

  bool needs_filters() const { return holds_.needs_filters(); }

  // Looks at one segment.
  Result<void> look(SegmentRecords& records, const SegmentIndex& index, SearchFilter& filter) {
    const SegmentRow& row = records.row();
    NOTP_ASSIGN(std::vector<bool> selected, select_records(records, index, filter, actives_));
    if (std::ranges::find(selected, true) == selected.end()) return {};
    NOTP_ASSIGN(const std::vector<bool> held, holds_.covered(records, index, actives_));
    NOTP_ASSIGN(const HeadColumns head, HeadColumns::decode(index.head, row.count));
    NOTP_ASSIGN(const std::vector<record::Position> active, head.active());
    terms_.next_segment();
    // An entry without positions would stand for the whole segment: it is kept when all is known.
    std::set<record::Position> found;
    if (const auto at = found_.find(row.key); at != found_.end()) found = at->second;
    for (size_t i = 0; i < selected.size(); ++i) {
      if (!selected[i] || found.contains(row.first + i)) continue;
      const RecordShape& shape = head.shapes()[head.shape_of_record()[i]];
      if (held[i]) {
        ++out_.held;
        continue;
      }
      NOTP_ASSIGN(const auto* const terms, terms_.find(records, shape, active[i]));
      if (terms != nullptr && row.stored_ms + terms->terms.days_min * kDayMs > now_ms_)
        ++out_.young;
      else
        found.insert(row.first + i);
    }
    if (found.empty()) return {};
    files_.insert(day_of_key(row.key));
    found_[row.key] = std::move(found);
    return {};
  }

  bool is_full(size_t segments_max) const {
    return found_.size() >= segments_max || files_.size() >= limits::kErasePageFilesMax;
  }
  // Whether there is room for a segment: records in a file that is written anew anyway cost little.
  bool has_room_for(uint64_t key, size_t segments_max) const {
    return found_.size() < segments_max &&
           (files_.size() < limits::kErasePageFilesMax || files_.contains(day_of_key(key)));
  }
  wire::Erased counts() {
    out_.segments = found_.size();
    out_.records = 0;
    for (const auto& [key, positions] : found_) out_.records += positions.size();
    return out_;
  }
  Result<std::vector<PlannedRemoval>> plan(const DayFiles& store, const std::string& by,
                                           const std::string& reason) const {
    std::vector<PlannedRemoval> out;
    for (const auto& [key, positions] : found_) {
      NOTP_ASSIGN(const StoredSegment stored, store.read(key));
      NOTP_ASSIGN(const StoredRecords records, StoredRecords::open(stored));
      SegmentRow row;
      row.log = stored.segment.head.log;
      row.first = stored.segment.head.first;
      row.count = stored.segment.head.count;
      NOTP_ASSIGN(record::TreeEntry entry,
                  removal_entry(record::TreeEntryKind::kErasure, row, records,
                                {positions.begin(), positions.end()}, false));
      entry.time_ms = now_ms_;
      entry.by = by;
      entry.rule = reason;
      out.push_back({key, std::move(entry)});
    }
    return out;
  }

 private:
  HoldFilters holds_;
  ActiveSets actives_;
  TermsOfRecords terms_;
  const TimeMs now_ms_;
  std::map<uint64_t, std::set<record::Position>> found_;
  std::set<uint32_t> files_;
  wire::Erased out_;
};

// Looks for one filter, from a cursor on. Returns where the page ended; nullopt: all was looked at.
Result<std::optional<SearchCursor>> look_for(const DayFiles& store, SearchFilter& filter,
                                             const std::optional<SearchCursor>& from,
                                             const ErasureOptions& options, TimeMs deadline_ms,
                                             ErasePage& page) {
  AuditStore::Range range = filter.range();
  range.with_filters = range.with_filters || page.needs_filters();
  if (from) range.key = from->key;
  std::optional<SearchCursor> next;
  Result<void> failed;
  uint64_t done_key = 0;
  NOTP_TRY(store.list(range, [&](const SegmentRow& row, const SegmentIndex& index) {
    if (done_key != 0 && (options.clock().boot_ms >= deadline_ms ||
                          !page.has_room_for(row.key, options.page_segments_max))) {
      next = SearchCursor{done_key, SearchCursor::kBeyond, false};
      return false;
    }
    SegmentRecords records(store, row);
    if (auto looked = page.look(records, index, filter); !looked) {
      if (looked.error().code == ErrorCode::kIo) {
        failed = std::unexpected(std::move(looked).error());
        return false;
      }
      log::write(log::Level::kError, "audit_segment_not_read", looked.error(),
                 {{"log", row.log.hex()}, {"position", row.first}});
    }
    done_key = row.key;
    return true;
  }));
  if (!failed) return std::unexpected(std::move(failed).error());
  return next;
}

// Looks at the one segment that an address names, if it is there.
Result<void> look_at(const DayFiles& store, const record::DecisionAddress& address,
                     SearchFilter& filter, ErasePage& page) {
  const ByteView prefix(reinterpret_cast<const char*>(address.log_prefix.data()),
                        address.log_prefix.size());
  for (const record::LogId& log : store.logs_by_prefix(prefix)) {
    const auto stored = store.find(log, address.position);
    if (!stored && stored.error().code == ErrorCode::kNotFound) continue;
    if (!stored) return std::unexpected(stored.error());
    const record::SegmentHead& head = stored->segment.head;
    const SegmentRow row{.key = stored->key,
                         .node = stored->node,
                         .log = log,
                         .first = head.first,
                         .count = head.count,
                         .first_time_ns = stored->first_time_ns,
                         .last_time_ns = stored->last_time_ns,
                         .stored_ms = stored->stored_ms};
    SegmentRecords records(store, row);
    NOTP_TRY(page.look(records, stored->index, filter));
  }
  return {};
}

Result<void> check_kinds(const wire::DecisionFilter& filter) {
  for (const record::Kind kind : filter.kinds)
    if (kind != record::Kind::kDecision)
      return fail(ErrorCode::kUsage,
                  "only decisions are erased: what a node says of itself stays for ever");
  return {};
}

}  // namespace

Result<wire::Erased> Erasure::erase(const wire::EraseRequest& request, const std::string& by,
                                    const MaySee& may_erase) {
  NOTP_TRY(check_kinds(request.filter));
  NOTP_ASSIGN(EraseCursor cursor, EraseCursor::decode(request.cursor, request.ids.size()));
  const Now began = options_.clock();
  const TimeMs deadline_ms = began.boot_ms + options_.page_ms;
  NOTP_ASSIGN(Removals::Turn turn, Removals::Turn::begin(removals_, began.wall_ms));
  NOTP_ASSIGN(const std::vector<wire::Hold> in_force, turn.holds().in_force());
  NOTP_ASSIGN(HoldFilters holds, HoldFilters::prepare(in_force));
  const DayFiles& store = removals_.store();
  ErasePage page(store, find_terms_, std::move(holds), began.wall_ms);
  const size_t searches = std::max<size_t>(request.ids.size(), 1);
  bool is_done = false;
  while (!is_done) {
    wire::DecisionFilter wanted;
    if (request.ids.empty())
      wanted = request.filter;
    else
      wanted.decision_id = request.ids[cursor.id];
    NOTP_ASSIGN(SearchFilter filter, SearchFilter::prepare(wanted, may_erase));
    if (const auto address = record::DecisionAddress::parse(wanted.decision_id)) {
      NOTP_TRY(look_at(store, *address, filter, page));
      cursor.at.reset();
    } else {
      NOTP_ASSIGN(cursor.at, look_for(store, filter, cursor.at, options_, deadline_ms, page));
    }
    if (cursor.at) break;
    is_done = ++cursor.id >= searches;
    if (page.is_full(options_.page_segments_max) || options_.clock().boot_ms >= deadline_ms) break;
  }
  wire::Erased out = page.counts();
  out.more = !is_done;
  if (out.more) out.cursor = cursor.encode();
  if (request.dry_run || out.records == 0) return out;
  NOTP_ASSIGN(const std::vector<PlannedRemoval> planned, page.plan(store, by, request.reason));
  NOTP_TRY(turn.run(planned));
  log::warn("audit_records_erased", {{"identity", by},
                                     {"records", out.records},
                                     {"segments", out.segments},
                                     {"held", out.held},
                                     {"young", out.young},
                                     {"reason", request.reason}});
  return out;
}

Result<wire::HoldsPage> Erasure::put_hold(const wire::PutHold& order, const std::string& by,
                                          const MaySee& may_erase) {
  const TimeMs now_ms = options_.clock().wall_ms;
  NOTP_ASSIGN(Removals::Turn turn, Removals::Turn::begin(removals_, now_ms));
  return turn.holds().put(order, by, may_erase, now_ms);
}

Result<wire::HoldsPage> Erasure::holds(const wire::HoldsRequest& request, const MaySee& may_see) {
  NOTP_ASSIGN(Removals::Turn turn, Removals::Turn::begin(removals_, options_.clock().wall_ms));
  return turn.holds().list(request, may_see);
}

}  // namespace notp::audit
