#include "protocol/wire/messages/publish.hpp"

#include "common/limits.hpp"
#include "protocol/wire/part_codec.hpp"

namespace notp::wire {

template <>
struct Codec<Publish> {
  using Proto = pb::Publish;
  static constexpr FieldRule kFields[] = {rules::u64(1),
                                          rules::message(2, Codec<model::LedgerId>::kLayout),
                                          rules::message(3, Codec<Base>::kLayout),
                                          rules::u64(4),
                                          rules::hash(5),
                                          rules::u64(6),
                                          rules::text(7),
                                          rules::u32(8),
                                          rules::flag(9),
                                          rules::flag(10),
                                          rules::bytes(11, TraceContext::kSize)};
  static constexpr Layout kLayout{Publish::kName, kFields};

  static Result<void> check(const Publish& in) {
    NOTP_TRY(check_ledger(in.ledger));
    NOTP_TRY(check_release(in.version, "published version"));
    if (in.base) NOTP_TRY(Codec<Base>::check(*in.base));
    return require(in.size <= limits::kArtifactBytesMax, "the artifact is too large");
  }
  static void put(Proto& out, const Publish& in) {
    out.set_request(in.request);
    wire::put(out.mutable_ledger(), in.ledger);
    if (in.base) Codec<Base>::put(*out.mutable_base(), *in.base);
    out.set_version(in.version);
    out.set_expected_head(hash_bytes_if_set(in.expected_head_hash));
    out.set_size(in.size);
    out.set_message(clean_text(in.message));
    out.set_stream(in.stream);
    out.set_pending(in.pending);
    out.set_break_dependants(in.break_dependants);
    if (in.trace) out.set_trace(in.trace->bytes());
  }
  static Result<Publish> take(const Proto& in) {
    Publish out;
    out.request = in.request();
    NOTP_ASSIGN(out.ledger, take_ledger(in));
    NOTP_ASSIGN(out.base, take_base(in));
    out.version = in.version();
    NOTP_ASSIGN(out.expected_head_hash, take_hash(in.expected_head()));
    out.size = in.size();
    out.message = in.message();
    out.stream = in.stream();
    out.pending = in.pending();
    out.break_dependants = in.break_dependants();
    NOTP_ASSIGN(out.trace, take_trace(in.trace()));
    return out;
  }
};

template <>
struct Codec<Finding> {
  using Proto = pb::Finding;
  static constexpr FieldRule kFields[] = {rules::text(1), rules::u32(2), rules::name(3),
                                          rules::text(4)};
  static constexpr Layout kLayout{"Finding", kFields};

  static Result<void> check(const Finding&) { return {}; }
  static void put(Proto& out, const Finding& in) {
    out.set_path(clean_text(in.path));
    out.set_line(in.line);
    out.set_rule(clean_name(in.rule));
    out.set_message(clean_text(in.message));
  }
  static Result<Finding> take(const Proto& in) {
    return Finding{in.path(), in.line(), in.rule(), in.message()};
  }
};

// A separate message, and the part of a Response to Cosign.
template <>
struct Codec<PublishResult> {
  using Proto = pb::PublishResult;
  static constexpr FieldRule kFields[] = {
      rules::u64(1),
      rules::u64(2),
      rules::hash(3),
      rules::name(4),
      rules::u32(5),
      rules::text(6),
      rules::message(7, Codec<trust::ReleaseRef>::kLayout),
      rules::identity(8),
      rules::u64(9),
      rules::message(10, Codec<Finding>::kLayout, limits::kFindingsMax),
      rules::u32(11),
      rules::u32(12),
      rules::message(13, Codec<Finding>::kLayout, limits::kFindingsMax)};
  static constexpr Layout kLayout{PublishResult::kName, kFields};
  static constexpr FieldRule kPart[] = {rules::message(10, kLayout)};

  static Result<void> check(const PublishResult& in) {
    NOTP_TRY(check_release_or_none(in.version, "published version"));
    NOTP_TRY(check_rows(in.findings, limits::kFindingsMax, "too many findings"));
    NOTP_TRY(check_rows(in.warnings, limits::kFindingsMax, "too many warnings"));
    return in.head ? Codec<trust::ReleaseRef>::check(*in.head) : Result<void>{};
  }
  static void put(Proto& out, const PublishResult& in) {
    out.set_request(in.request);
    out.set_version(in.version);
    out.set_release_hash(hash_bytes_if_set(in.release_hash));
    out.set_commit(clean_name(in.commit));
    out.set_code(in.code);
    out.set_message(clean_text(in.message));
    if (in.head) Codec<trust::ReleaseRef>::put(*out.mutable_head(), *in.head);
    out.set_head_publisher(clean_identity(in.head_publisher));
    out.set_head_issued_ms(in.head_issued_ms);
    put_rows(*out.mutable_findings(), in.findings);
    out.set_signers(in.signers);
    out.set_threshold(in.threshold);
    put_rows(*out.mutable_warnings(), in.warnings);
  }
  static Result<PublishResult> take(const Proto& in) {
    PublishResult out;
    out.request = in.request();
    out.version = in.version();
    NOTP_ASSIGN(out.release_hash, take_hash(in.release_hash()));
    out.commit = in.commit();
    out.code = in.code();
    out.message = in.message();
    if (in.has_head()) {
      NOTP_ASSIGN(out.head, Codec<trust::ReleaseRef>::take(in.head()));
    }
    out.head_publisher = in.head_publisher();
    out.head_issued_ms = in.head_issued_ms();
    NOTP_ASSIGN(out.findings, take_rows<Finding>(in.findings()));
    out.signers = in.signers();
    out.threshold = in.threshold();
    NOTP_ASSIGN(out.warnings, take_rows<Finding>(in.warnings()));
    return out;
  }

  static bool is_in(const pb::Response& in) { return in.has_published(); }
  static void put(pb::Response& out, const PublishResult& in) { put(*out.mutable_published(), in); }
  static Result<PublishResult> take(const pb::Response& in) { return take(in.published()); }
};

template struct MessageCodec<Publish>;
template struct MessageCodec<PublishResult>;
template struct PartCodec<PublishResult, pb::Response>;

}  // namespace notp::wire
