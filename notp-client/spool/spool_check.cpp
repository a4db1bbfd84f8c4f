#include "notp-client/spool/spool_check.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "notp-client/spool/recovery.hpp"

namespace notp::spool {
namespace {

SpoolTree summary_of(const TreeState& state, const record::LogId& log) {
  SpoolTree out;
  if (const auto announcement = record::verify_announcement(state.announcement)) {
    out.registry = announcement->node;
    out.tree = record::LogId::of(announcement->log_key);
  }
  if (const auto checkpoint = record::parse_checkpoint(state.checkpoint))
    out.size = checkpoint->size;
  if (state.log == log) out.witnessed = state.size;
  out.at_ms = state.time_ms;
  if (state.refusal) {
    out.refused = state.refusal->message;
    out.refused_tree = state.refusal->tree;
  }
  out.accepted = state.accepted;
  return out;
}

class Checker {
 public:
  Checker(const std::filesystem::path& folder, SegmentTable& table, LogState state)
      : folder_(folder), table_(table), state_(std::move(state)) {}

  Result<SpoolReport> describe() {
    NOTP_TRY(read_state());
    NOTP_TRY(table_.for_each([&](const SegmentRow& row) {
      count(row);
      return true;
    }));
    read_ring_file(/*and_records=*/false);
    return std::move(report_);
  }

  Result<SpoolReport> verify() {
    NOTP_TRY(read_state());
    tree_ = state_.kept;
    const auto listed = table_.for_each([&](const SegmentRow& row) {
      count(row);
      return verify(row);
    });
    if (!listed) fault(tree_.size(), listed.error().message);
    read_ring_file(/*and_records=*/true);
    return std::move(report_);
  }

 private:
  Result<void> read_state() {
    NOTP_ASSIGN(const PrivateKey key, PrivateKey::from_pem(state_.key_pem));
    key_ = key.public_key();
    report_.log = record::LogId::of(key_);
    report_.node = state_.node;
    report_.trust_domain = state_.trust_domain;
    report_.previous = state_.previous;
    report_.reason = state_.reason;
    report_.is_announced = !state_.announcement.empty();
    report_.run = state_.run;
    report_.first = state_.kept.size();
    report_.sealed = report_.next = state_.tree.size();
    report_.acknowledged = state_.acknowledged;
    read_tree_state();
    return {};
  }

  void read_tree_state() {
    auto tree = table_.tree();
    const auto book =
        tree ? ReceiptBook::open(*tree) : Result<ReceiptBook>(std::unexpected(tree.error()));
    if (!book) return fault(state_.tree.size(), book.error().message);
    if (book->knows_tree() || tree->refusal) report_.tree = summary_of(*tree, report_.log);
  }

  void count(const SegmentRow& row) {
    ++report_.segments;
    report_.body_bytes += row.body_bytes;
    report_.content_bytes += row.head.content_bytes;
    if (report_.oldest_ms == 0) report_.oldest_ms = row.oldest_ms;
    report_.newest_ms = row.sealed_ms;
    if (row.body_bytes != 0) return;
    ++report_.bodies_dropped;
    report_.records_dropped += row.head.count;
  }

  void fault(record::Position position, std::string problem) {
    if (++report_.fault_count <= kFaultsNamedMax)
      report_.faults.push_back({position, std::move(problem)});
  }

  void count(const record::Record& record) {
    ++report_.kinds.at(static_cast<size_t>(record.kind()));
    if (const auto* decision = std::get_if<record::DecisionContent>(&record.content))
      ++report_.outcomes.at(static_cast<size_t>(decision->outcome));
    if (const auto* gap = std::get_if<record::Gap>(&record.content))
      if (++report_.gap_count <= kGapsNamedMax)
        report_.gaps.push_back({record.place.position, record.time_ns, *gap});
  }

  // False: what follows cannot be verified.
  bool verify(const SegmentRow& row) {
    if (row.head.first != tree_.size()) {
      fault(tree_.size(), fmt::format("the segment before position {} is missing", row.head.first));
      return false;
    }
    if (row.body_bytes != 0) verify_body(row);
    const record::Segment without_body{row.head, {}, row.subtrees};
    const auto checkpoint = record::extend_tree(tree_, without_body, nullptr, key_);
    if (checkpoint) return true;
    fault(row.head.first, fmt::format("the segment of {} records does not lead to its checkpoint: "
                                      "{}",
                                      row.head.count, checkpoint.error().message));
    return tree_.extend(row.head.count, row.subtrees).has_value();
  }

  void verify_body(const SegmentRow& row) {
    const auto body = table_.body(row.head.first);
    if (!body) return fault(row.head.first, body.error().message);
    const auto opened = record::OpenedSegment::open(row.head, *body);
    if (!opened)
      return fault(row.head.first, fmt::format("the segment of {} records cannot be read: {}",
                                               row.head.count, opened.error().message));
    verify_hashes(row, *opened);
    for (size_t i = 0; i < opened->records().size(); ++i) {
      const auto record = record::decode(opened->records()[i]);
      const record::Position position = row.head.first + i;
      if (!record)
        return fault(position,
                     fmt::format("the record cannot be read: {}", record.error().message));
      if (record->place.position != position)
        return fault(position, fmt::format("the record says that it is at position {}",
                                           record->place.position));
      count(*record);
    }
  }

  // The subtrees that were stored with the segment narrow the fault down.
  void verify_hashes(const SegmentRow& row, const record::OpenedSegment& opened) {
    const std::vector<Hash> leaves = record::leaf_hashes(row.head, opened);
    const std::vector<Hash> found = record::subtrees(row.head.first, leaves);
    record::Position begin = row.head.first;
    for (size_t i = 0; i < std::min(found.size(), row.subtrees.size()); ++i) {
      const record::Position end = subtree_end(begin, row.head.end());
      if (found[i] != row.subtrees[i])
        return fault(begin, fmt::format("a record in {} to {} is not the one that was hashed",
                                        begin, end - 1));
      begin = end;
    }
  }

  // Of the largest aligned subtree that begins at `begin` and ends at `limit` at the latest.
  static record::Position subtree_end(record::Position begin, record::Position limit) {
    uint64_t size = 1;
    while (begin % (2 * size) == 0 && begin + 2 * size <= limit) size *= 2;
    return begin + size;
  }

  void read_ring_file(bool and_records) {
    const auto ring = RingFile::open(folder_ / kRingFile);
    if (!ring) return fault(state_.tree.size(), ring.error().message);
    report_.ring_capacity = (*ring)->header().capacity;
    if ((*ring)->header().log != report_.log)
      return fault(state_.tree.size(), "the ring belongs to another log");
    const auto content = read_ring(**ring, state_.live);
    if (!content) return fault(state_.tree.size(), content.error().message);
    report_.next = content->end.position;
    report_.ring_bytes = content->end.offset - content->head.offset;
    if (!and_records) return;
    for (const UnsealedPtr& unsealed : content->backlog)
      if (const auto record = record::decode(unsealed->record())) count(*record);
    const record::Position known =
        std::max((*ring)->header().synced, report_.next + content->hidden);
    if (known > report_.next)
      fault(report_.next,
            fmt::format("{} records of the ring cannot be read", known - report_.next));
  }

  const std::filesystem::path& folder_;
  SegmentTable& table_;
  const LogState state_;
  PublicKey key_;
  record::Frontier tree_;  // up to the segment at hand
  SpoolReport report_;
};

Result<FolderLock> lock_spool(const std::filesystem::path& folder) {
  if (!std::filesystem::exists(folder / kTableFile))
    return fail(ErrorCode::kNotFound,
                fmt::format("{} holds no spool: there is no {}", folder.string(), kTableFile));
  return FolderLock::acquire(folder);
}

Result<SpoolReport> damaged(const Error& error) {
  if (error.code != ErrorCode::kCorrupt) return std::unexpected(error);
  SpoolReport report;
  report.faults.push_back({0, error.message});
  report.fault_count = 1;
  return report;
}

}  // namespace

Result<SpoolReport> describe_spool(const std::filesystem::path& folder) {
  NOTP_ASSIGN(const FolderLock lock, lock_spool(folder));
  NOTP_ASSIGN(const auto table, SegmentTable::open_to_read(folder / kTableFile));
  NOTP_ASSIGN(auto state, table->load());
  if (!state)
    return fail(ErrorCode::kNotFound, fmt::format("{} holds no log yet", folder.string()));
  return Checker(folder, *table, *std::move(state)).describe();
}

Result<SpoolTree> accept_registry_tree(const std::filesystem::path& folder,
                                       const record::LogId& tree) {
  NOTP_ASSIGN(const FolderLock lock, lock_spool(folder));
  NOTP_ASSIGN(const auto table, SegmentTable::open(folder / kTableFile));
  NOTP_ASSIGN(const TreeState before, table->tree());
  NOTP_ASSIGN(const TreeState after, accept_tree(before, tree));
  PastTree past;
  past.announcement = before.announcement;
  past.checkpoint = before.checkpoint;
  past.until_ms = read_clock().wall_ms;
  if (before.refusal) {
    past.message = before.refusal->message;
    past.contradiction = before.refusal->note;
  }
  NOTP_TRY(table->keep_trees(after, {past}));
  return summary_of(after, after.log);
}

Result<SpoolReport> verify_spool(const std::filesystem::path& folder) {
  NOTP_ASSIGN(const FolderLock lock, lock_spool(folder));
  const auto table = SegmentTable::open_to_read(folder / kTableFile);
  if (!table) return damaged(table.error());
  auto state = (*table)->load();
  if (!state) return damaged(state.error());
  if (!*state)
    return fail(ErrorCode::kNotFound, fmt::format("{} holds no log yet", folder.string()));
  return Checker(folder, **table, **std::move(state)).verify();
}

}  // namespace notp::spool
