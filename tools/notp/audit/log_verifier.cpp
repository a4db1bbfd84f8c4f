#include "tools/notp/audit/log_verifier.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/limits.hpp"
#include "protocol/record/announcement.hpp"

namespace notp::cli {

std::string_view log_state_name(LogState state) {
  switch (state) {
    case LogState::kWhole:
      return "whole";
    case LogState::kGaps:
      return "gaps";
    case LogState::kDiffers:
      return "differs";
  }
  return "";
}

LogState LogReport::state() const {
  const bool forked = std::ranges::any_of(
      row.faults, [](const wire::LogFault& fault) { return fault.code != ErrorCode::kLogGap; });
  if (problem || forked) return LogState::kDiffers;
  return gaps.empty() && dropped == 0 && row.faults.empty() ? LogState::kWhole : LogState::kGaps;
}

LogVerifier::LogVerifier(wire::LogRow row, const std::string& trust_domain, Options options)
    : options_(options) {
  report_.row = std::move(row);
  if (auto checked = check_announcement(trust_domain); !checked)
    stop(0, std::move(checked).error());
}

Result<void> LogVerifier::check_announcement(const std::string& trust_domain) {
  const wire::LogRow& row = report_.row;
  auto read = record::verify_announcement(row.announcement);
  if (!read) return std::unexpected(std::move(read).error().in("the log's announcement"));
  if (record::LogId::of(read->log_key) != row.log)
    return fail(ErrorCode::kIdentity, "the announcement is of another log: its key is another");
  if (read->node != row.node)
    return fail(
        ErrorCode::kIdentity,
        fmt::format("the announcement is of {}, and the registry says that the log is of {}",
                    printable(read->node), printable(row.node)));
  if (read->trust_domain != trust_domain)
    return fail(ErrorCode::kIdentity,
                fmt::format("the announcement is for the trust domain {}, not {}",
                            printable(read->trust_domain), trust_domain));
  key_ = read->log_key;
  return options_.authorities ? options_.authorities->check(row.announcement) : Result<void>();
}

std::optional<record::Position> LogVerifier::wanted() const {
  if (report_.problem || tree_.size() >= report_.row.size) return std::nullopt;
  return tree_.size();
}

void LogVerifier::stop(record::Position position, Error why) {
  report_.problem = LogProblem{position, std::move(why)};
}

void LogVerifier::refuse(Error why) {
  stop(tree_.size(),
       std::move(why).in(fmt::format("the segment of record {} cannot be had", tree_.size())));
}

Result<record::Checkpoint> LogVerifier::check_head(const record::SegmentHead& head) const {
  const wire::LogRow& row = report_.row;
  if (head.log != row.log || head.first != tree_.size())
    return fail(ErrorCode::kMessage,
                fmt::format("the registry has no segment that begins there: it gave records {} to "
                            "{} of log {}",
                            head.first, head.end(), head.log.hex()));
  if (head.count == 0 || head.count > limits::kSegmentRecordsMax || head.end() > row.size)
    return fail(
        ErrorCode::kMessage,
        fmt::format("the segment has {} records, and the log ends at {}", head.count, row.size));
  auto checkpoint = record::verify_checkpoint(head.checkpoint, key_);
  if (!checkpoint)
    return std::unexpected(std::move(checkpoint).error().in("the segment's checkpoint"));
  const std::string origin = record::log_origin(row.node, row.log);
  if (checkpoint->origin != origin)
    return fail(ErrorCode::kSignature, fmt::format("the segment's checkpoint is of {}, not {}",
                                                   printable(checkpoint->origin), origin));
  if (checkpoint->size != head.end())
    return fail(ErrorCode::kLogFork,
                fmt::format("the segment ends at {}, and the node signed a log of {}", head.end(),
                            checkpoint->size));
  return checkpoint;
}

Result<void> LogVerifier::check_in_tree(const record::SegmentHead& head,
                                        const record::Checkpoint& checkpoint) {
  if (options_.in_tree == nullptr) return {};
  const auto& checkpoints = options_.in_tree->checkpoints;
  const auto at = checkpoints.find(checkpoint.size);
  if (at != checkpoints.end() && at->second.root == checkpoint.root) return {};
  if (at != checkpoints.end())
    return fail(ErrorCode::kRegistrySplit,
                fmt::format("the registry's tree has the root {} at {}, and the node signed {}: "
                            "records were changed after the registry had taken them",
                            at->second.root.brief(), checkpoint.size, checkpoint.root.brief()));
  if (checkpoints.empty() || checkpoint.size > checkpoints.rbegin()->first) {
    report_.unsealed += head.count;
    return {};
  }
  return fail(ErrorCode::kRegistrySplit,
              fmt::format("the registry's tree has no leaf for the checkpoint at {}: it has left "
                          "out what it had taken",
                          checkpoint.size));
}

namespace {

std::string deletion_text(const DeletionFound& found) {
  const record::TreeEntry& entry = found.entry;
  const bool is_rule = entry.kind == record::TreeEntryKind::kDeletion;
  return fmt::format("{} {}, leaf {}",
                     is_rule ? "deleted by the rule" : "erased:", printable(entry.rule),
                     found.index);
}

}  // namespace

Result<void> LogVerifier::explain_dropped(const record::SegmentHead& head) {
  if (options_.in_tree == nullptr) {
    report_.dropped += head.count;
    return {};
  }
  const auto at = options_.in_tree->checkpoints.find(head.end());
  if (at == options_.in_tree->checkpoints.end() || at->second.dropped == head.count) {
    report_.dropped += head.count;
    return {};
  }
  for (record::Position position = head.first; position < head.end(); ++position) {
    const DeletionFound* found = options_.in_tree->deletion_of(position, std::nullopt);
    if (found == nullptr)
      return fail(ErrorCode::kRegistrySplit,
                  fmt::format("record {} is missing: the registry had it, and no statement in its "
                              "tree says that it was deleted",
                              position));
    ++report_.deleted[deletion_text(*found)];
  }
  return {};
}

Result<void> LogVerifier::explain_closed(record::Position position, const Hash& leaf) {
  const DeletionFound* found =
      options_.in_tree ? options_.in_tree->deletion_of(position, leaf) : nullptr;
  if (found != nullptr) {
    ++report_.deleted[deletion_text(*found)];
  } else if (options_.in_tree != nullptr && options_.may_see_all) {
    return fail(ErrorCode::kRegistrySplit,
                fmt::format("record {} is missing: only its hash is there, and no statement in the "
                            "registry's tree says that it was deleted",
                            position));
  } else {
    ++report_.closed;
  }
  return {};
}

void LogVerifier::note_record(record::Position position, ByteView bytes) {
  // Reading the decisions, which say nothing about the log, would cost a third of all the time.
  const auto start = record::decode_start(bytes);
  if (start && start->kind == record::Kind::kDecision) return;
  const auto decoded = record::decode(bytes);
  if (!decoded) {
    ++report_.unreadable;
    return;
  }
  const auto* gap = std::get_if<record::Gap>(&decoded->content);
  if (!gap) return;
  report_.gaps.push_back({position, decoded->time_ns, *gap});
  report_.lost += gap->count;
}

Result<std::vector<SegmentRecord>> LogVerifier::check_records(const FetchedSegment& fetched) {
  const record::SegmentHead& head = fetched.segment.head;
  NOTP_ASSIGN(std::vector<SegmentRecord> records, records_of(fetched));
  if (records.size() != head.count)
    return fail(ErrorCode::kMessage,
                fmt::format("the segment holds {} records, and its head says {}", records.size(),
                            head.count));
  for (size_t i = 0; i < records.size(); ++i) {
    suspect_ = head.first + i;
    if (!records[i].record) continue;
    auto start = record::decode_start(*records[i].record);
    if (!start) return std::unexpected(std::move(start).error().in("it is not a record"));
    if (start->place.position != suspect_)
      return fail(ErrorCode::kLogFork,
                  fmt::format("record {} stands in its place: a record was removed, added or moved",
                              start->place.position));
  }
  return records;
}

Result<void> LogVerifier::extend(const record::Segment& segment,
                                 const std::vector<SegmentRecord>& records,
                                 const record::Checkpoint& checkpoint) {
  record::Frontier tree = tree_;
  for (const SegmentRecord& each : records) tree.append(each.leaf);
  if (segment.body.empty())
    if (auto extended = tree.extend(segment.head.count, segment.subtrees); !extended)
      return std::unexpected(std::move(extended).error().in("the hashes of a dropped segment"));
  if (tree.root() != checkpoint.root)
    return fail(ErrorCode::kLogFork,
                fmt::format("records {} to {} do not continue the log as the node signed it: the "
                            "root is {}, signed was {}",
                            segment.head.first, segment.head.end() - 1, tree.root().hex(),
                            checkpoint.root.hex()));
  tree_ = std::move(tree);
  return {};
}

void LogVerifier::take(const FetchedSegment& fetched) {
  const record::SegmentHead& head = fetched.segment.head;
  suspect_ = tree_.size();
  auto checkpoint = check_head(head);
  if (!checkpoint) return stop(suspect_, std::move(checkpoint).error());
  Result<std::vector<SegmentRecord>> records;
  if (fetched.has_body()) records = check_records(fetched);
  if (!records) return stop(suspect_, std::move(records).error());
  if (auto extended = extend(fetched.segment, *records, *checkpoint); !extended)
    return stop(head.first, std::move(extended).error());
  if (auto checked = check_in_tree(head, *checkpoint); !checked)
    return stop(head.first, std::move(checked).error());
  // What a record says counts only now that it is known to be the node's.
  for (size_t i = 0; i < records->size(); ++i) {
    const record::Position position = head.first + i;
    if ((*records)[i].record)
      note_record(position, *(*records)[i].record);
    else if (auto explained = explain_closed(position, (*records)[i].leaf); !explained)
      return stop(position, std::move(explained).error());
  }
  if (!fetched.has_body())
    if (auto explained = explain_dropped(head); !explained)
      return stop(head.first, std::move(explained).error());
  ++report_.segments;
  report_.verified = tree_.size();
}

LogReport LogVerifier::finish() && {
  if (!report_.problem && tree_.root() != report_.row.root)
    stop(tree_.size(), Error{ErrorCode::kLogFork,
                             fmt::format("the registry says that the log's root is {}, and its "
                                         "{} records have {}",
                                         report_.row.root.hex(), tree_.size(), tree_.root().hex()),
                             {}});
  if (!report_.problem && options_.in_tree && !options_.in_tree->checkpoints.empty())
    if (const uint64_t taken = options_.in_tree->checkpoints.rbegin()->first;
        taken > report_.row.size)
      stop(report_.row.size,
           Error{ErrorCode::kRegistrySplit,
                 fmt::format("the registry's tree says that {} records of the log were taken, and "
                             "{} are there: the others are missing",
                             taken, report_.row.size),
                 {}});
  return std::move(report_);
}

}  // namespace notp::cli
