#include "protocol/wire/messages/decision_log.hpp"

#include "common/limits.hpp"
#include "protocol/wire/segment_codec.hpp"

namespace notp::wire {

template <>
struct Codec<LogGrant> {
  using Proto = pb::LogGrant;
  static constexpr FieldRule kFields[] = {log_rule(1),    rules::u64(2), rules::u64(3),
                                          rules::flag(4), rules::u32(5), rules::text(6)};
  static constexpr Layout kLayout{LogGrant::kName, kFields};

  static Result<void> check(const LogGrant& in) {
    NOTP_TRY(check_position(in.next, "the next position"));
    return require(in.window_bytes <= limits::kLogWindowBytes, "the window is too large");
  }
  static void put(Proto& out, const LogGrant& in) {
    out.set_log(log_bytes(in.log));
    out.set_next(in.next);
    out.set_window(in.window_bytes);
    out.set_announce(in.announce);
    out.set_code(in.code);
    out.set_message(clean_text(in.message));
  }
  static Result<LogGrant> take(const Proto& in) {
    LogGrant out;
    NOTP_ASSIGN(out.log, record::LogId::from_bytes(in.log()));
    out.next = in.next();
    out.window_bytes = in.window();
    out.announce = in.announce();
    out.code = in.code();
    out.message = in.message();
    return out;
  }
};

template <>
struct Codec<LogAnnouncement> {
  using Proto = pb::LogAnnouncement;
  static constexpr FieldRule kFields[] = {rules::bytes(1, limits::kAnnouncementBytesMax)};
  static constexpr Layout kLayout{LogAnnouncement::kName, kFields};

  static Result<void> check(const LogAnnouncement& in) {
    NOTP_TRY(require(!in.announcement.empty(), "an empty announcement"));
    return require(in.announcement.size() <= limits::kAnnouncementBytesMax,
                   "an announcement is too long");
  }
  static void put(Proto& out, const LogAnnouncement& in) { out.set_announcement(in.announcement); }
  static Result<LogAnnouncement> take(const Proto& in) {
    return LogAnnouncement{in.announcement()};
  }
};

template <>
struct Codec<Segment> {
  using Proto = pb::Segment;
  using Outline = Codec<SegmentOutline>;
  static constexpr Layout kLayout = Outline::kLayout;

  static Result<void> check(const Segment& in) {
    NOTP_TRY(Outline::check(in.head, in.subtrees, in.size != 0));
    NOTP_TRY(check_oldest_age(in.oldest_age_ms));
    return require(in.size <= limits::segment_body_bytes_max(in.head.content_bytes),
                   "a segment's body is larger than its content can make it");
  }
  static void put(Proto& out, const Segment& in) {
    Outline::put(out, in.head, in.subtrees);
    out.set_size(in.size);
    out.set_stream(in.stream);
    out.set_oldest_age_ms(in.oldest_age_ms);
  }
  static Result<Segment> take(const Proto& in) {
    NOTP_ASSIGN(SegmentOutline outline, Outline::take(in));
    return Segment{std::move(outline.head), in.size(), in.stream(), std::move(outline.subtrees),
                   in.oldest_age_ms()};
  }
};

template <>
struct Codec<LogReceipt> {
  using Proto = pb::LogReceipt;
  static constexpr FieldRule kFields[] = {log_rule(1),
                                          rules::u64(2),
                                          rules::u64(3),
                                          rules::bytes(4, limits::kCheckpointBytesMax),
                                          rules::hash(5, limits::kProofHashesMax),
                                          rules::hash(6, limits::kProofHashesMax),
                                          rules::bytes(7, limits::kAnnouncementBytesMax),
                                          rules::u64(8),
                                          rules::u64(9)};
  static constexpr Layout kLayout{LogReceipt::kName, kFields};

  static Result<void> check(const LogReceipt& in) {
    NOTP_TRY(check_position(in.size, "the size of the log"));
    NOTP_TRY(check_position(in.index, "the leaf's index"));
    NOTP_TRY(require(!in.checkpoint.empty() && in.checkpoint.size() <= limits::kCheckpointBytesMax,
                     "a receipt has no checkpoint, or one that is too long"));
    NOTP_TRY(require(in.inclusion.size() <= limits::kProofHashesMax &&
                         in.consistency.size() <= limits::kProofHashesMax,
                     "a proof is too long"));
    NOTP_TRY(require(in.time_ms > 0 && in.time_ms <= limits::kTimestampMsMax,
                     "the time of a leaf is out of range"));
    return require(in.announcement.size() <= limits::kAnnouncementBytesMax,
                   "an announcement is too long");
  }
  static void put(Proto& out, const LogReceipt& in) {
    out.set_log(log_bytes(in.log));
    out.set_size(in.size);
    out.set_index(in.index);
    out.set_checkpoint(in.checkpoint);
    for (const Hash& hash : in.inclusion) out.add_inclusion(hash_bytes(hash));
    for (const Hash& hash : in.consistency) out.add_consistency(hash_bytes(hash));
    out.set_announcement(in.announcement);
    out.set_time_ms(in.time_ms);
    out.set_dropped(in.dropped);
  }
  static Result<LogReceipt> take(const Proto& in) {
    LogReceipt out;
    NOTP_ASSIGN(out.log, record::LogId::from_bytes(in.log()));
    out.size = in.size();
    out.index = in.index();
    out.checkpoint = in.checkpoint();
    NOTP_ASSIGN(out.inclusion, take_hashes(in.inclusion()));
    NOTP_ASSIGN(out.consistency, take_hashes(in.consistency()));
    out.announcement = in.announcement();
    out.time_ms = in.time_ms();
    out.dropped = in.dropped();
    return out;
  }
};

template <>
struct Codec<LogWitness> {
  using Proto = pb::LogWitness;
  static constexpr FieldRule kFields[] = {log_rule(1),
                                          rules::u64(2),
                                          rules::u64(3),
                                          rules::signature(4),
                                          rules::u32(5),
                                          rules::text(6),
                                          rules::bytes(7, limits::kCheckpointBytesMax)};
  static constexpr Layout kLayout{LogWitness::kName, kFields};

  static Result<void> check(const LogWitness& in) {
    NOTP_TRY(check_position(in.tree_size, "the size of the tree"));
    NOTP_TRY(require(in.time_s >= 0 && in.time_s <= limits::kTimestampMsMax / 1000,
                     "the time of a cosignature is out of range"));
    NOTP_TRY(require((in.code == 0) == (in.signature.size() == kSignatureBytes),
                     "neither a cosignature nor a refusal, or both"));
    return require(in.kept.size() <= limits::kCheckpointBytesMax, "a kept checkpoint is too long");
  }
  static void put(Proto& out, const LogWitness& in) {
    out.set_log(log_bytes(in.log));
    out.set_tree_size(in.tree_size);
    out.set_time_s(in.time_s);
    out.set_signature(in.signature);
    out.set_code(in.code);
    out.set_message(clean_text(in.message));
    out.set_kept(in.kept);
  }
  static Result<LogWitness> take(const Proto& in) {
    LogWitness out;
    NOTP_ASSIGN(out.log, record::LogId::from_bytes(in.log()));
    out.tree_size = in.tree_size();
    out.time_s = in.time_s();
    out.signature = in.signature();
    out.code = in.code();
    out.message = in.message();
    out.kept = in.kept();
    return out;
  }
};

template struct MessageCodec<LogReceipt>;
template struct MessageCodec<LogWitness>;
template struct MessageCodec<LogGrant>;
template struct MessageCodec<LogAnnouncement>;
template struct MessageCodec<Segment>;

}  // namespace notp::wire
