#include "protocol/wire/messages/audit.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/limits.hpp"
#include "protocol/wire/filter_codec.hpp"
#include "protocol/wire/part_codec.hpp"
#include "protocol/wire/segment_codec.hpp"

namespace notp::wire {
// --- decisions

template <>
struct Codec<DecisionsRequest> {
  static constexpr FieldRule kFields[] = {rules::message(1, Codec<DecisionFilter>::kLayout),
                                          rules::bytes(2, limits::kCursorBytesMax), rules::u32(3),
                                          rules::flag(4)};
  static constexpr Layout kLayout{DecisionsRequest::kName, kFields};
  static constexpr FieldRule kPart[] = {rules::message(14, kLayout)};

  static Result<void> check(const DecisionsRequest& in) {
    NOTP_TRY(Codec<DecisionFilter>::check(in.filter));
    NOTP_TRY(check_cursor(in.cursor));
    return require(in.rows_max <= limits::kQueryRowsMax, "too many rows asked for");
  }
  static bool is_in(const pb::Request& in) { return in.has_decisions(); }
  static void put(pb::Request& envelope, const DecisionsRequest& in) {
    pb::DecisionsRequest& out = *envelope.mutable_decisions();
    Codec<DecisionFilter>::put(*out.mutable_filter(), in.filter);
    out.set_cursor(in.cursor);
    out.set_rows_max(in.rows_max);
    out.set_oldest_first(in.oldest_first);
  }
  static Result<DecisionsRequest> take(const pb::Request& envelope) {
    const pb::DecisionsRequest& in = envelope.decisions();
    DecisionsRequest out;
    NOTP_ASSIGN(out.filter, Codec<DecisionFilter>::take(in.filter()));
    out.cursor = in.cursor();
    out.rows_max = in.rows_max();
    out.oldest_first = in.oldest_first();
    return out;
  }
};

template <>
struct Codec<DecisionRow> {
  using Proto = pb::DecisionRow;
  static constexpr FieldRule kFields[] = {rules::identity(1), log_rule(2),
                                          rules::bytes(3, limits::kFrameBytesMax),
                                          rules::bytes(4, limits::kFrameBytesMax), rules::u64(5)};
  static constexpr Layout kLayout{"DecisionRow", kFields};

  static Result<void> check(const DecisionRow& in) {
    return check_position(in.position, "a row's position");
  }
  static void put(Proto& out, const DecisionRow& in) {
    out.set_node(clean_identity(in.node));
    out.set_log(log_bytes(in.log));
    out.set_record(in.record);
    out.set_active(in.active);
    out.set_position(in.position);
  }
  static Result<DecisionRow> take(const Proto& in) {
    DecisionRow out;
    out.node = in.node();
    NOTP_ASSIGN(out.log, record::LogId::from_bytes(in.log()));
    out.position = in.position();
    out.record = in.record();
    out.active = in.active();
    return out;
  }
};

template <>
struct Codec<DecisionsPage> {
  static constexpr FieldRule kPart[] = {
      rules::message(15, Codec<DecisionRow>::kLayout, limits::kQueryRowsMax),
      rules::bytes(16, limits::kCursorBytesMax), rules::u64(20)};

  static Result<void> check(const DecisionsPage& in) {
    NOTP_TRY(check_next(in.more, in.cursor));
    return check_rows(in.rows, limits::kQueryRowsMax, "too many decisions");
  }
  static bool is_in(const pb::Response& in) {
    return !in.decisions().empty() || !in.cursor().empty() || in.searched() != 0;
  }
  static void put(pb::Response& out, const DecisionsPage& in) {
    put_rows(*out.mutable_decisions(), in.rows);
    out.set_more(in.more);
    out.set_cursor(in.cursor);
    out.set_searched(in.searched);
  }
  static Result<DecisionsPage> take(const pb::Response& in) {
    NOTP_ASSIGN(auto rows, take_rows<DecisionRow>(in.decisions()));
    return DecisionsPage{std::move(rows), in.more(), in.cursor(), in.searched()};
  }
};

// --- counts

template <>
struct Codec<DecisionCountsRequest> {
  static constexpr FieldRule kFields[] = {rules::message(1, Codec<DecisionFilter>::kLayout),
                                          rules::bytes(2, limits::kCursorBytesMax)};
  static constexpr Layout kLayout{DecisionCountsRequest::kName, kFields};
  static constexpr FieldRule kPart[] = {rules::message(15, kLayout)};

  static Result<void> check(const DecisionCountsRequest& in) {
    NOTP_TRY(Codec<DecisionFilter>::check(in.filter));
    return check_cursor(in.cursor);
  }
  static bool is_in(const pb::Request& in) { return in.has_decision_counts(); }
  static void put(pb::Request& envelope, const DecisionCountsRequest& in) {
    pb::DecisionCountsRequest& out = *envelope.mutable_decision_counts();
    Codec<DecisionFilter>::put(*out.mutable_filter(), in.filter);
    out.set_cursor(in.cursor);
  }
  static Result<DecisionCountsRequest> take(const pb::Request& envelope) {
    const pb::DecisionCountsRequest& in = envelope.decision_counts();
    NOTP_ASSIGN(DecisionFilter filter, Codec<DecisionFilter>::take(in.filter()));
    return DecisionCountsRequest{std::move(filter), in.cursor()};
  }
};

template <>
struct Codec<DecisionCount> {
  using Proto = pb::DecisionCount;
  static constexpr FieldRule kFields[] = {rules::text(1), rules::text(2), rules::u32(3),
                                          rules::u64(4)};
  static constexpr Layout kLayout{"DecisionCount", kFields};

  static Result<void> check(const DecisionCount&) { return {}; }
  static void put(Proto& out, const DecisionCount& in) {
    out.set_path(clean_text(in.path));
    out.set_ledger(clean_text(in.ledger));
    out.set_outcome(static_cast<uint32_t>(in.outcome));
    out.set_count(in.count);
  }
  static Result<DecisionCount> take(const Proto& in) {
    NOTP_ASSIGN(const record::Outcome outcome, take_outcome(in.outcome()));
    return DecisionCount{in.path(), in.ledger(), outcome, in.count()};
  }
};

template <>
struct Codec<DecisionCountsPage> {
  static constexpr FieldRule kPart[] = {
      rules::message(17, Codec<DecisionCount>::kLayout, limits::kDecisionCountsMax),
      rules::bytes(21, limits::kCursorBytesMax)};

  static Result<void> check(const DecisionCountsPage& in) {
    NOTP_TRY(check_next(in.more, in.cursor));
    return check_rows(in.rows, limits::kDecisionCountsMax, "too many counts");
  }
  static bool is_in(const pb::Response& in) {
    return !in.decision_counts().empty() || !in.counts_cursor().empty();
  }
  static void put(pb::Response& out, const DecisionCountsPage& in) {
    put_rows(*out.mutable_decision_counts(), in.rows);
    out.set_more(in.more);
    out.set_counts_cursor(in.cursor);
  }
  static Result<DecisionCountsPage> take(const pb::Response& in) {
    NOTP_ASSIGN(auto rows, take_rows<DecisionCount>(in.decision_counts()));
    return DecisionCountsPage{std::move(rows), in.more(), in.counts_cursor()};
  }
};

// --- logs

template <>
struct Codec<LogsRequest> {
  static constexpr FieldRule kFields[] = {rules::identity(1), log_rule(2)};
  static constexpr Layout kLayout{LogsRequest::kName, kFields};
  static constexpr FieldRule kPart[] = {rules::message(16, kLayout)};

  static Result<void> check(const LogsRequest& in) {
    return check_filter_text(in.node, limits::kIdentityBytesMax, "node");
  }
  static bool is_in(const pb::Request& in) { return in.has_logs(); }
  static void put(pb::Request& envelope, const LogsRequest& in) {
    pb::LogsRequest& out = *envelope.mutable_logs();
    out.set_node(in.node);
    if (in.after) out.set_after(log_bytes(*in.after));
  }
  static Result<LogsRequest> take(const pb::Request& envelope) {
    const pb::LogsRequest& in = envelope.logs();
    LogsRequest out;
    out.node = in.node();
    if (in.after().empty()) return out;
    NOTP_ASSIGN(out.after, record::LogId::from_bytes(in.after()));
    return out;
  }
};

template <>
struct Codec<LogFault> {
  using Proto = pb::LogFault;
  static constexpr FieldRule kFields[] = {rules::u32(1), rules::u64(2), rules::text(3),
                                          rules::u64(4),
                                          rules::bytes(5, limits::kCheckpointBytesMax)};
  static constexpr Layout kLayout{"LogFault", kFields};

  static Result<void> check(const LogFault& in) {
    NOTP_TRY(check_position(in.position, "a fault's position"));
    return require(in.checkpoint.size() <= limits::kCheckpointBytesMax,
                   "a fault's checkpoint is too long");
  }
  static void put(Proto& out, const LogFault& in) {
    out.set_code(static_cast<uint32_t>(in.code));
    out.set_position(in.position);
    out.set_message(clean_text(in.message));
    out.set_at_ms(in.at_ms);
    out.set_checkpoint(in.checkpoint);
  }
  static Result<LogFault> take(const Proto& in) {
    return LogFault{error_code_from_wire(in.code()), in.position(), in.message(), in.at_ms(),
                    in.checkpoint()};
  }
};

template <>
struct Codec<LogRow> {
  using Proto = pb::LogRow;
  static constexpr FieldRule kFields[] = {
      rules::identity(1),
      log_rule(2),
      rules::u64(3),
      rules::hash(4),
      rules::bytes(5, limits::kAnnouncementBytesMax),
      rules::u64(6),
      rules::u64(7),
      rules::message(8, Codec<LogFault>::kLayout, limits::kLogFaultsListedMax),
      rules::u64(9)};
  static constexpr Layout kLayout{"LogRow", kFields};

  static Result<void> check(const LogRow& in) {
    NOTP_TRY(check_position(in.size, "a log's size"));
    NOTP_TRY(require(in.announcement.size() <= limits::kAnnouncementBytesMax,
                     "an announcement is too long"));
    for (const LogFault& fault : in.faults) NOTP_TRY(Codec<LogFault>::check(fault));
    return {};
  }
  static void put(Proto& out, const LogRow& in) {
    out.set_node(clean_identity(in.node));
    out.set_log(log_bytes(in.log));
    out.set_size(in.size);
    out.set_root(hash_bytes_if_set(in.root));
    out.set_announcement(in.announcement);
    out.set_first_ms(in.first_ms);
    out.set_last_ms(in.last_ms);
    for (size_t i = 0; i < std::min(in.faults.size(), limits::kLogFaultsListedMax); ++i)
      Codec<LogFault>::put(*out.add_faults(), in.faults[i]);
    out.set_pruned(in.pruned);
  }
  static Result<LogRow> take(const Proto& in) {
    LogRow out;
    out.node = in.node();
    NOTP_ASSIGN(out.log, record::LogId::from_bytes(in.log()));
    out.size = in.size();
    NOTP_ASSIGN(out.root, take_hash(in.root()));
    out.announcement = in.announcement();
    out.first_ms = in.first_ms();
    out.last_ms = in.last_ms();
    NOTP_ASSIGN(out.faults, take_rows<LogFault>(in.faults()));
    out.pruned = in.pruned();
    return out;
  }
};

template <>
struct Codec<LogsPage> {
  static constexpr FieldRule kPart[] = {
      rules::message(18, Codec<LogRow>::kLayout, limits::kQueryRowsMax)};

  static Result<void> check(const LogsPage& in) {
    return check_rows(in.rows, limits::kQueryRowsMax, "too many logs");
  }
  static bool is_in(const pb::Response& in) { return !in.logs().empty(); }
  static void put(pb::Response& out, const LogsPage& in) {
    size_t room = room_for_rows(out);
    const bool all = put_rows_that_fit(*out.mutable_logs(), in.rows, room);
    out.set_more(in.more || !all);
  }
  static Result<LogsPage> take(const pb::Response& in) {
    NOTP_ASSIGN(auto rows, take_rows<LogRow>(in.logs()));
    return LogsPage{std::move(rows), in.more()};
  }
};

// --- segments

template <>
struct Codec<SegmentRequest> {
  static constexpr FieldRule kFields[] = {log_rule(1), rules::u64(2), rules::u64(3)};
  static constexpr Layout kLayout{SegmentRequest::kName, kFields};
  static constexpr FieldRule kPart[] = {rules::message(17, kLayout)};

  static Result<void> check(const SegmentRequest& in) {
    NOTP_TRY(check_position(in.position, "position"));
    return require(in.offset <= limits::kSegmentAnswerBytesMax, "an offset past any segment");
  }
  static bool is_in(const pb::Request& in) { return in.has_segment(); }
  static void put(pb::Request& envelope, const SegmentRequest& in) {
    pb::SegmentRequest& out = *envelope.mutable_segment();
    out.set_log(log_bytes(in.log));
    out.set_position(in.position);
    out.set_offset(in.offset);
  }
  static Result<SegmentRequest> take(const pb::Request& envelope) {
    const pb::SegmentRequest& in = envelope.segment();
    NOTP_ASSIGN(const record::LogId log, record::LogId::from_bytes(in.log()));
    return SegmentRequest{log, in.position(), in.offset()};
  }
};

template <>
struct Codec<SegmentPart> {
  using Proto = pb::SegmentPart;
  static constexpr FieldRule kFields[] = {
      rules::message(1, Codec<SegmentOutline>::kLayout), rules::u64(2),
      rules::bytes(3, limits::kSegmentPartBytesMax), rules::flag(4), rules::u64(5)};
  static constexpr Layout kLayout{SegmentPart::kName, kFields};
  static constexpr FieldRule kPart[] = {rules::message(19, kLayout)};

  static Result<void> check(const SegmentPart& in) {
    NOTP_TRY(Codec<SegmentOutline>::check(in.head, in.subtrees, in.total != 0));
    NOTP_TRY(require(in.total <= limits::kSegmentAnswerBytesMax, "a segment is too large"));
    return require(in.content.size() <= std::min<uint64_t>(in.total, limits::kSegmentPartBytesMax),
                   "a part of a segment is too long");
  }
  static bool is_in(const pb::Response& in) { return in.has_segment(); }
  static void put(pb::Response& envelope, const SegmentPart& in) {
    Proto& out = *envelope.mutable_segment();
    Codec<SegmentOutline>::put(*out.mutable_head(), in.head, in.subtrees);
    out.set_total(in.total);
    out.set_content(in.content);
    out.set_reduced(in.reduced);
    out.set_stored_ms(in.stored_ms);
  }
  static Result<SegmentPart> take(const pb::Response& envelope) {
    const Proto& in = envelope.segment();
    NOTP_ASSIGN(SegmentOutline outline, Codec<SegmentOutline>::take(in.head()));
    return SegmentPart{std::move(outline.head),
                       std::move(outline.subtrees),
                       in.total(),
                       in.content(),
                       in.reduced(),
                       in.stored_ms()};
  }
};

template struct PartCodec<DecisionsRequest, pb::Request>;
template struct PartCodec<DecisionsPage, pb::Response>;
template struct PartCodec<DecisionCountsRequest, pb::Request>;
template struct PartCodec<DecisionCountsPage, pb::Response>;
template struct PartCodec<LogsRequest, pb::Request>;
template struct PartCodec<LogsPage, pb::Response>;
template struct PartCodec<SegmentRequest, pb::Request>;
template struct PartCodec<SegmentPart, pb::Response>;

}  // namespace notp::wire
