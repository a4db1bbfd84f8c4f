#include "notp-server/audit_tree/proofs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "notp-server/audit_tree/tree_limits.hpp"
#include "protocol/wire/log_limits.hpp"

namespace notp::audit {
namespace {

// The id before, so that a list that begins above it begins with this one.
std::optional<record::LogId> before(record::LogId log) {
  for (auto byte = log.bytes.rbegin(); byte != log.bytes.rend(); ++byte)
    if ((*byte)-- != 0) return log;
  return std::nullopt;
}

Result<void> check_may_see(const StoredSegment& stored, record::Position position,
                           const MaySee& may_see) {
  const record::SegmentHead& head = stored.segment.head;
  NOTP_ASSIGN(const HeadColumns columns, HeadColumns::decode(stored.index.head, head.count));
  const RecordShape& shape =
      columns.shapes()[columns.shape_of_record()[static_cast<size_t>(position - head.first)]];
  if (shape.is_closed)
    return fail(ErrorCode::kNotFound,
                fmt::format("record {} of log {} is erased: only its leaf hash is left", position,
                            head.log.hex()));
  if (shape.kind != record::Kind::kDecision || may_see(shape.ledger)) return {};
  return fail(ErrorCode::kDenied,
              fmt::format("record {} of log {} is about a ledger that you may not audit", position,
                          head.log.hex()));
}

}  // namespace

Result<wire::TreePart> Proofs::part(const wire::TreeRequest& request) const {
  const SealedCheckpoint newest = tree_.newest();
  wire::TreePart out;
  out.announcement = announcement_;
  out.checkpoint = newest.note;
  out.size = newest.size;
  out.first = std::min(request.from, newest.size);
  const uint64_t end =
      out.first + std::min<uint64_t>(limits::kTreeEntriesPageMax, newest.size - out.first);
  if (out.first == end) return out;
  NOTP_ASSIGN(out.entries, tree_.entries(out.first, end, limits::kTreePageBytesMax));
  return out;
}

Result<wire::RecordProof> Proofs::prove(const wire::ProofRequest& request,
                                        const MaySee& may_see) const {
  NOTP_ASSIGN(const StoredSegment stored, store_.find(request.log, request.position));
  const record::SegmentHead& head = stored.segment.head;
  if (stored.segment.body.empty())
    return fail(ErrorCode::kNotFound,
                fmt::format("record {} of log {} is not kept any more: only hashes of its segment "
                            "are left",
                            request.position, request.log.hex()));
  NOTP_TRY(check_may_see(stored, request.position, may_see));
  NOTP_ASSIGN(const auto leaf, tree_.leaf_of(head.log, head.end()));
  if (!leaf)
    return fail(ErrorCode::kNotFound,
                fmt::format("the checkpoint of log {} at {} is not sealed yet: try again in {} s",
                            head.log.hex(), head.end(), limits::kTreeSealMs / 1'000));
  NOTP_ASSIGN(const SealedCheckpoint checkpoint, tree_.best_for(leaf->index));
  wire::RecordProof out;
  out.first = head.first;
  NOTP_ASSIGN(const record::Frontier frontier, frontier_before(head));
  out.before = frontier.encode();
  out.index = leaf->index;
  NOTP_ASSIGN(out.inclusion, tree_.inclusion(leaf->index, checkpoint.size));
  NOTP_ASSIGN(std::vector<Bytes> entries, tree_.entries(leaf->index, leaf->index + 1, 1));
  out.entry = std::move(entries.front());
  out.checkpoint = checkpoint.note;
  out.announcement = announcement_;
  NOTP_ASSIGN(const StoredLog log, log_of(head.log));
  out.log_announcement = log.announcement;
  out.cosigners = cosigners_of(checkpoint.note);
  return out;
}

Result<StoredLog> Proofs::log_of(const record::LogId& log) const {
  NOTP_ASSIGN(std::vector<StoredLog> logs, store_.logs(before(log), 1));
  if (!logs.empty() && logs.front().log == log) return std::move(logs.front());
  return fail(ErrorCode::kNotFound, fmt::format("log {} is not known here", log.hex()));
}

Result<record::Frontier> Proofs::frontier_before(const record::SegmentHead& head) const {
  if (head.first == 0) return record::Frontier();
  NOTP_ASSIGN(StoredSegment stored, store_.find(head.log, head.first - 1));
  if (stored.tree.size() == head.first) return std::move(stored.tree);
  return fail(ErrorCode::kCorrupt,
              fmt::format("the segment of log {} before position {} ends at {}", head.log.hex(),
                          head.first, stored.tree.size()));
}

// Those whose announcements have room: the keys of others are not in the proof.
std::vector<wire::Cosigner> Proofs::cosigners_of(std::string_view note) const {
  std::vector<wire::Cosigner> out;
  size_t bytes = 0;
  for (const std::string& name : record::signer_names(note)) {
    const auto id = record::LogId::from_hex(name.substr(name.rfind('/') + 1));
    if (!id || name == tree_.origin()) continue;
    const auto log = log_of(*id);
    if (!log || record::log_origin(log->node, *id) != name) continue;
    bytes += log->announcement.size() + log->node.size();
    if (bytes > limits::kTreePageBytesMax) break;
    out.push_back({log->node, log->announcement});
  }
  return out;
}

}  // namespace notp::audit
