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

template struct MessageCodec<LogGrant>;
template struct MessageCodec<LogAnnouncement>;
template struct MessageCodec<Segment>;

}  // namespace notp::wire
