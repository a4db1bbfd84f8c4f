#include "notp-server/audit/removals.hpp"

#include <algorithm>
#include <iterator>

#include "common/failpoint.hpp"
#include "common/log.hpp"

namespace notp::audit {

Result<record::TreeEntry> removal_entry(record::TreeEntryKind kind, const SegmentRow& row,
                                        const StoredRecords& records,
                                        std::vector<record::Position> positions, bool is_whole) {
  record::TreeEntry out;
  out.kind = kind;
  out.log = row.log;
  out.first = row.first;
  out.count = row.count;
  if (is_whole) {
    out.hashes = record::subtrees(row.first, records.leaves());
    return out;
  }
  for (const record::Position position : positions) {
    if (position < row.first || position - row.first >= records.leaves().size())
      return fail(ErrorCode::kInternal, "a removal is about a record of another segment");
    out.hashes.push_back(records.leaves()[position - row.first]);
  }
  out.positions = std::move(positions);
  return out;
}

Removals::Removals(DayFiles& store, TreeSink& tree)
    : store_(store), tree_(tree), table_(store.table()), holds_(store.table(), tree) {}

Result<Removals::Turn> Removals::Turn::begin(Removals& removals, TimeMs now_ms) {
  Turn turn(removals);
  if (!removals.has_finished_begun_) {
    NOTP_TRY(removals.holds_.finish_begun(now_ms));
    NOTP_TRY(removals.finish_begun());
    removals.has_finished_begun_ = true;
  }
  return turn;
}

// Whether a removal was stated is not known, so it is stated again; that of records which are gone
// already only makes sure that no byte of them is left.
Result<void> Removals::finish_begun() {
  NOTP_ASSIGN(const std::vector<HoldsTable::Begun> begun, table_.begun());
  for (const HoldsTable::Begun& each : begun) {
    const auto stored = store_.find(*each.entry.log, each.entry.first);
    if (!stored) {
      // Its file is damaged: the removal waits until it is back.
      log::write(log::Level::kError, "audit_removal_not_finished", stored.error(),
                 {{"log", each.entry.log->hex()}, {"position", each.entry.first}});
      continue;
    }
    log::warn("audit_removal_finished",
              {{"log", each.entry.log->hex()}, {"position", each.entry.first}});
    NOTP_TRY(tree_.append_now(each.entry));
    NOTP_TRY(store_.redact({{stored->key, each.entry.positions}}));
    NOTP_TRY(table_.end(each.id, 1));
  }
  return {};
}

Result<void> Removals::run(const std::vector<PlannedRemoval>& planned) {
  if (planned.empty()) return {};
  std::vector<record::TreeEntry> entries;
  std::vector<Removal> bytes;
  entries.reserve(planned.size());
  bytes.reserve(planned.size());
  for (const PlannedRemoval& each : planned) {
    entries.push_back(each.entry);
    bytes.push_back({each.key, each.entry.positions});
  }
  NOTP_ASSIGN(const int64_t first, table_.begin(entries));
  failpoint("audit.removal_begun");
  if (auto stated = tree_.append_now(entries); !stated) {
    // What may have been stated and is not done is a statement too many, which is allowed.
    NOTP_TRY(table_.end(first, entries.size()));
    return std::unexpected(std::move(stated).error());
  }
  failpoint("audit.removal_stated");
  NOTP_TRY(store_.redact(bytes));
  failpoint("audit.removal_done");
  return table_.end(first, entries.size());
}

}  // namespace notp::audit
