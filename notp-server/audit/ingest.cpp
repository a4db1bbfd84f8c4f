#include "notp-server/audit/ingest.hpp"

#include <fmt/format.h>

#include "common/limits.hpp"
#include "common/log.hpp"
#include "notp-server/audit/segment_index.hpp"
#include "protocol/record/announcement.hpp"
#include "protocol/record/checkpoint.hpp"

namespace notp::audit {
namespace {

std::unexpected<Error> foreign(const record::LogId& log) {
  return fail(ErrorCode::kDenied,
              fmt::format("log {} was announced by another node; delete this node's spool, so that "
                          "it begins a log of its own",
                          log.hex()));
}

// What remains of a refused segment, beside its checkpoint: the places, the secret, the body.
Bytes evidence_of(const record::Segment& segment) {
  Bytes out;
  put_varint(out, segment.head.first);
  put_varint(out, segment.head.count);
  put_varint(out, segment.head.content_bytes);
  return out + segment.head.secret + segment.body;
}

Result<void> check_numbers(const record::SegmentHead& head) {
  if (head.count != 0 && head.count <= limits::kSegmentRecordsMax &&
      head.first <= limits::kPositionMax - head.count &&
      head.secret.size() == record::kSegmentSecretBytes &&
      head.checkpoint.size() <= limits::kCheckpointBytesMax)
    return {};
  return fail(ErrorCode::kMessage,
              fmt::format("the segment from position {} with {} records breaks the limits of a log",
                          head.first, head.count));
}

// Without a body because the node had none; where the registry has taken it out, the secret is
// zeros.
bool was_dropped(const record::Segment& segment) {
  return segment.body.empty() && segment.head.secret.find_first_not_of('\0') != Bytes::npos;
}

record::TreeEntry fault_entry(const StoredFault& fault) {
  record::TreeEntry out;
  out.kind = record::TreeEntryKind::kFault;
  out.time_ms = fault.at_ms;
  out.log = fault.log;
  out.first = fault.position;
  out.code = static_cast<uint32_t>(fault.code);
  if (!fault.checkpoint.empty()) out.digest = sha256(fault.checkpoint);
  return out;
}

}  // namespace

record::TreeEntry checkpoint_entry(const StoredSegment& stored) {
  record::TreeEntry out;
  out.kind = record::TreeEntryKind::kCheckpoint;
  out.time_ms = stored.stored_ms;
  out.log = stored.segment.head.log;
  out.size = stored.tree.size();
  out.root = stored.tree.root();
  if (was_dropped(stored.segment)) out.count = stored.segment.head.count;
  return out;
}

Result<void> LogIngest::load() {
  NOTP_ASSIGN(std::vector<StoredLog> logs, store_.logs());
  for (StoredLog& stored : logs) {
    const bool is_announced =
        !stored.announcement.empty() && record::LogId::of(stored.log_key) == stored.log;
    ++logs_of_node_[stored.node];
    logs_[stored.log] = {.node = std::move(stored.node),
                         .key = stored.log_key,
                         .is_announced = is_announced,
                         .tree = std::move(stored.tree),
                         .is_turned_away = false,
                         .last_fault = {}};
  }
  return {};
}

record::Position LogIngest::next_of(const record::LogId& log) const {
  const auto at = logs_.find(log);
  return at == logs_.end() ? 0 : at->second.tree.size();
}

std::optional<PublicKey> LogIngest::key_of(const record::LogId& log) const {
  const auto at = logs_.find(log);
  if (at == logs_.end() || !at->second.is_announced) return std::nullopt;
  return at->second.key;
}

wire::LogGrant LogIngest::grant(const record::LogId& log, record::Position next) const {
  wire::LogGrant out;
  out.log = log;
  out.next = next;
  out.window_bytes = limits::kLogWindowBytes;
  return out;
}

wire::LogGrant LogIngest::refuse(const record::LogId& log, const Error& error) const {
  counters_.count_fault(error.code);
  wire::LogGrant out;
  out.log = log;
  out.next = next_of(log);
  out.code = static_cast<uint32_t>(error.code);
  out.message = error.message;
  return out;
}

wire::LogGrant LogIngest::refuse_fault(const record::LogId& log, Error error,
                                       record::Position position, TimeMs now_ms,
                                       const record::Segment* segment) {
  Log& known = logs_.at(log);
  if (const std::pair fault{error.code, position}; known.last_fault != fault) {
    known.last_fault = fault;
    log::write(log::Level::kError, "log_fault", error,
               {{"identity", known.node}, {"log", log.hex()}, {"position", position}});
    const StoredFault stored{.log = log,
                             .code = error.code,
                             .position = position,
                             .message = error.message,
                             .at_ms = now_ms,
                             .checkpoint = segment ? segment->head.checkpoint : "",
                             .segment = segment ? evidence_of(*segment) : Bytes()};
    const auto kept = store_.put_fault(stored);
    if (!kept) log::write(log::Level::kError, "log_fault_not_kept", kept.error());
    if (log_entry_) log_entry_(fault_entry(stored));
  }
  return refuse(log, error);
}

wire::LogGrant LogIngest::turn_away(const record::LogId& log) {
  if (const auto at = logs_.find(log); at != logs_.end()) at->second.is_turned_away = true;
  wire::LogGrant out = grant(log, next_of(log));
  out.window_bytes = 0;
  return out;
}

wire::LogGrant LogIngest::regranted(const record::LogId& log) const {
  const auto at = logs_.find(log);
  wire::LogGrant out = grant(log, next_of(log));
  out.announce = at == logs_.end() || !at->second.is_announced;
  return out;
}

// --- offers

Result<void> LogIngest::check_new(const std::string& node) const {
  const auto at = logs_of_node_.find(node);
  if (at == logs_of_node_.end() || at->second < limits::kLogsPerNodeMax) return {};
  return fail(
      ErrorCode::kDenied,
      fmt::format("{} has {} logs already, which is the maximum: something deletes its spool "
                  "again and again",
                  node, at->second));
}

// What the node says of positions that the registry has must be what it has.
Result<void> LogIngest::check_offer(const Log& log, const wire::LogOffer& offer) const {
  Hash root = log.tree.root();
  if (offer.size == 0 || offer.size > log.tree.size()) return {};
  if (offer.size < log.tree.size()) {
    const auto stored = store_.find(offer.log, offer.size - 1);
    if (!stored) return {};  // nothing to compare with
    const auto checkpoint = record::parse_checkpoint(stored->segment.head.checkpoint);
    if (!checkpoint || checkpoint->size != offer.size) return {};
    root = checkpoint->root;
  }
  if (root == offer.root) return {};
  return fail(
      ErrorCode::kLogFork,
      fmt::format("the node's log {} has root {} at size {}, and {} was stored: the log was "
                  "changed or its spool restored from a copy; keep it, and begin a new log",
                  offer.log.hex(), offer.root.brief(), offer.size, root.brief()));
}

wire::LogGrant LogIngest::offered(const std::string& node, const wire::LogOffer& offer,
                                  TimeMs now_ms) {
  const auto at = logs_.find(offer.log);
  if (at == logs_.end()) {
    if (const auto room = check_new(node); !room) return refuse(offer.log, room.error());
    wire::LogGrant out = grant(offer.log, 0);
    out.announce = true;
    return out;
  }
  Log& known = at->second;
  if (known.node != node) return refuse(offer.log, foreign(offer.log).error());
  known.is_turned_away = false;
  if (auto checked = check_offer(known, offer); !checked)
    return refuse_fault(offer.log, std::move(checked).error(), offer.size, now_ms);
  wire::LogGrant out = grant(offer.log, known.tree.size());
  out.announce = !known.is_announced;
  return out;
}

Result<wire::LogGrant> LogIngest::announced(const std::string& node, const record::LogId& log,
                                            const Bytes& announcement, TimeMs now_ms) {
  const auto read = record::verify_announcement(announcement);
  if (!read) return refuse(log, read.error());
  const auto wrong = [&](ErrorCode code, std::string_view why) {
    return refuse(log,
                  fail(code, fmt::format("the announcement of log {} {}", log.hex(), why)).error());
  };
  if (record::LogId::of(read->log_key) != log)
    return wrong(ErrorCode::kMessage, "is about another log");
  if (read->node != node) return wrong(ErrorCode::kDenied, "is of another node: " + read->node);
  if (!node.starts_with("spiffe://" + read->trust_domain + "/"))
    return wrong(ErrorCode::kMessage, "is for another trust domain");
  const auto at = logs_.find(log);
  if (at != logs_.end() && at->second.node != node) return refuse(log, foreign(log).error());
  if (at == logs_.end())
    if (const auto room = check_new(node); !room) return refuse(log, room.error());
  if (at == logs_.end() || !at->second.is_announced) {
    NOTP_TRY(store_.put_log({.log = log,
                             .node = node,
                             .log_key = read->log_key,
                             .announcement = announcement,
                             .tree = {},
                             .first_ms = now_ms,
                             .last_ms = now_ms,
                             .pruned = 0}));
    if (at == logs_.end()) ++logs_of_node_[node];
    Log& known = logs_[log];
    known.node = node;
    known.key = read->log_key;
    known.is_announced = true;
    log::info("log_announced", {{"identity", node},
                                {"log", log.hex()},
                                {"previous", read->previous ? read->previous->hex() : ""},
                                {"reason", read->reason}});
  }
  return grant(log, next_of(log));
}

// --- segments

Result<void> LogIngest::check_again(const Log& log, const record::Segment& segment) const {
  const record::SegmentHead& head = segment.head;
  // Without a valid signature the node has not said it.
  NOTP_ASSIGN(const record::Checkpoint checkpoint,
              record::verify_checkpoint(head.checkpoint, log.key));
  if (checkpoint.size != head.end())
    return fail(ErrorCode::kMessage, fmt::format("the segment from position {} has a checkpoint of "
                                                 "size {}",
                                                 head.first, checkpoint.size));
  const auto stored = store_.find(head.log, head.first);
  if (!stored) return {};  // what was stored cannot be compared; its finding is elsewhere
  const record::SegmentHead& before = stored->segment.head;
  if (before.first == head.first && before.count == head.count &&
      before.checkpoint == head.checkpoint)
    return {};
  return fail(
      ErrorCode::kLogFork,
      fmt::format("log {} has two segments at position {}: records were changed after they "
                  "had been shipped; keep the node's spool as evidence, and begin a new log",
                  head.log.hex(), head.first));
}

Result<StoredSegment> LogIngest::take(const Log& log, const record::Segment& segment,
                                      TimeMs now_ms) const {
  const record::SegmentHead& head = segment.head;
  StoredSegment out{.node = log.node, .segment = {}, .index = {}, .tree = log.tree};
  out.stored_ms = now_ms;
  out.first_time_ns = out.last_time_ns = now_ms * 1'000'000;
  std::optional<record::OpenedSegment> opened;
  if (!segment.body.empty()) {
    NOTP_ASSIGN(opened, record::OpenedSegment::open(head, segment.body));
    NOTP_TRY(record::check_places(head, *opened));
  }
  NOTP_ASSIGN(const record::Checkpoint checkpoint,
              record::extend_tree(out.tree, segment, opened ? &*opened : nullptr, log.key));
  if (checkpoint.origin != record::log_origin(log.node, head.log))
    return fail(ErrorCode::kMessage, fmt::format("the checkpoint of the segment from position {} "
                                                 "has the origin of another log: {}",
                                                 head.first, printable(checkpoint.origin)));
  if (opened) {
    NOTP_ASSIGN(BuiltIndex index, build_index(head, *opened));
    out.index = std::move(index.index);
    out.first_time_ns = index.first_time_ns;
    out.last_time_ns = index.last_time_ns;
  }
  return out;
}

LogIngest::Decision LogIngest::arrived(const std::string& node, record::Segment segment,
                                       TimeMs now_ms) {
  const record::LogId log = segment.head.log;
  const record::Position first = segment.head.first;
  const auto at = logs_.find(log);
  if (at == logs_.end() || !at->second.is_announced)
    return {
        refuse(log, fail(ErrorCode::kState,
                         fmt::format("log {} sends segments before its announcement", log.hex()))
                        .error()),
        {}};
  Log& known = at->second;
  if (known.node != node) return {refuse(log, foreign(log).error()), {}};
  const auto refused = [&](Error error) {
    return Decision{refuse_fault(log, std::move(error), first, now_ms, &segment), {}};
  };
  if (auto checked = check_numbers(segment.head); !checked)
    return refused(std::move(checked).error());
  if (first < known.tree.size()) {
    if (auto checked = check_again(known, segment); !checked)
      return refused(std::move(checked).error());
    return {grant(log, known.tree.size()), {}};
  }
  if (first > known.tree.size()) {
    if (known.is_turned_away) return {turn_away(log), {}};
    return refused(fail(ErrorCode::kLogGap,
                        fmt::format("log {} goes on at position {} after {}: neither records nor "
                                    "hashes of what lies between were shipped",
                                    log.hex(), first, known.tree.size()))
                       .error());
  }
  auto stored = take(known, segment, now_ms);
  if (!stored) return refused(std::move(stored).error());
  stored->segment = std::move(segment);
  known.tree = stored->tree;
  return {grant(log, known.tree.size()), *std::move(stored)};
}

}  // namespace notp::audit
