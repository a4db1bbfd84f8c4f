#include "protocol/wire/messages/hello.hpp"

#include <algorithm>

#include "common/limits.hpp"
#include "protocol/wire/message_codec.hpp"
#include "protocol/wire/segment_codec.hpp"

namespace notp::wire {

template <>
struct Codec<ResumeToken> {
  using Proto = pb::ResumeToken;
  static constexpr FieldRule kFields[] = {rules::hash(1), rules::u64(2)};
  static constexpr Layout kLayout{"ResumeToken", kFields};

  static Result<void> check(const ResumeToken& in) {
    NOTP_TRY(require(!in.artifact.is_zero(), "a resume token has no artifact"));
    return require(in.offset <= limits::kArtifactBytesMax, "a resume offset is past any artifact");
  }
  static void put(Proto& out, const ResumeToken& in) {
    out.set_artifact(hash_bytes(in.artifact));
    out.set_offset(in.offset);
  }
  static Result<ResumeToken> take(const Proto& in) {
    ResumeToken out{{}, in.offset()};
    NOTP_ASSIGN(out.artifact, take_hash(in.artifact()));
    return out;
  }
};

template <>
struct Codec<Want> {
  using Proto = pb::Want;
  static constexpr FieldRule kFields[] = {
      rules::message(1, Codec<model::LedgerId>::kLayout),
      rules::message(2, Codec<Base>::kLayout),
      rules::message(3, Codec<Base>::kLayout, limits::kOlderBasesMax),
      rules::message(4, Codec<ResumeToken>::kLayout),
      rules::u64(5),
      rules::flag(6),
      rules::hash(7),
      rules::hash(8, limits::kLacksMax)};
  static constexpr Layout kLayout{"Want", kFields};

  static Result<void> check(const Want& in) {
    NOTP_TRY(check_ledger(in.ledger));
    NOTP_TRY(check_release_or_none(in.version, "wanted version"));
    if (in.base) NOTP_TRY(Codec<Base>::check(*in.base));
    NOTP_TRY(check_rows(in.older, limits::kOlderBasesMax, "too many older bases"));
    NOTP_TRY(require(in.pending_hash.is_zero() || in.version != 0,
                     "a pending release is wanted without its version"));
    NOTP_TRY(
        require(in.missing_blobs.size() <= limits::kLacksMax, "too many contents are lacking"));
    NOTP_TRY(require(std::ranges::none_of(in.missing_blobs, &Hash::is_zero),
                     "a lacking content has no hash"));
    return in.resume ? Codec<ResumeToken>::check(*in.resume) : Result<void>{};
  }
  static void put(Proto& out, const Want& in) {
    wire::put(out.mutable_ledger(), in.ledger);
    if (in.base) Codec<Base>::put(*out.mutable_base(), *in.base);
    put_rows(*out.mutable_older(), in.older);
    if (in.resume) Codec<ResumeToken>::put(*out.mutable_resume(), *in.resume);
    out.set_version(in.version);
    out.set_heads_only(in.heads_only);
    out.set_pending(hash_bytes_if_set(in.pending_hash));
    for (const Hash& content : in.missing_blobs) out.add_missing_blobs(hash_bytes(content));
  }
  static Result<Want> take(const Proto& in) {
    Want out;
    NOTP_ASSIGN(out.ledger, take_ledger(in));
    NOTP_ASSIGN(out.base, take_base(in));
    NOTP_ASSIGN(out.older, take_rows<Base>(in.older()));
    if (in.has_resume()) {
      NOTP_ASSIGN(out.resume, Codec<ResumeToken>::take(in.resume()));
    }
    out.version = in.version();
    out.heads_only = in.heads_only();
    NOTP_ASSIGN(out.pending_hash, take_hash(in.pending()));
    NOTP_ASSIGN(out.missing_blobs, take_hashes(in.missing_blobs()));
    return out;
  }
};

template <>
struct Codec<Hello> {
  using Proto = pb::Hello;
  static constexpr FieldRule kFields[] = {
      rules::packed_u32(1, limits::kProtocolVersionsMax),
      rules::name(2),
      rules::u64(3),
      rules::u64(4),
      rules::message(5, Codec<Want>::kLayout, limits::kLedgersPerSessionMax),
      rules::message(6, Codec<LogOffer>::kLayout),
      rules::flag(7),
      rules::u64(8)};
  static constexpr Layout kLayout{Hello::kName, kFields};

  static Result<void> check(const Hello& in) {
    NOTP_TRY(require(!in.versions.empty(), "no protocol version"));
    NOTP_TRY(
        require(in.versions.size() <= limits::kProtocolVersionsMax, "too many protocol versions"));
    if (in.log) NOTP_TRY(Codec<LogOffer>::check(*in.log));
    return check_rows(in.wants, limits::kLedgersPerSessionMax, "too many wants");
  }
  static void put(Proto& out, const Hello& in) {
    for (const uint32_t version : in.versions) out.add_versions(version);
    out.set_user_agent(clean_name(in.user_agent));
    out.set_root_version(in.root_version);
    out.set_freshness_sequence(in.freshness_sequence);
    put_rows(*out.mutable_wants(), in.wants);
    if (in.log) Codec<LogOffer>::put(*out.mutable_log(), *in.log);
    out.set_class_freshness(in.class_freshness);
    out.set_assignment_sequence(in.assignment_sequence);
  }
  static Result<Hello> take(const Proto& in) {
    Hello out;
    out.versions.assign(in.versions().begin(), in.versions().end());
    out.user_agent = in.user_agent();
    out.root_version = in.root_version();
    out.freshness_sequence = in.freshness_sequence();
    NOTP_ASSIGN(out.wants, take_rows<Want>(in.wants()));
    if (in.has_log()) {
      NOTP_ASSIGN(out.log, Codec<LogOffer>::take(in.log()));
    }
    out.class_freshness = in.class_freshness();
    out.assignment_sequence = in.assignment_sequence();
    return out;
  }
};

template <>
struct Codec<Welcome> {
  using Proto = pb::Welcome;
  static constexpr FieldRule kFields[] = {
      rules::u32(1),
      rules::name(2),
      rules::name(3),
      rules::u64(4),
      rules::message(6, Codec<trust::ReleaseRef>::kLayout, limits::kLedgersPerSessionMax),
      rules::message(7, Codec<Refusal>::kLayout, limits::kLedgersPerSessionMax)};
  static constexpr Layout kLayout{Welcome::kName, kFields};

  static Result<void> check(const Welcome& in) {
    NOTP_TRY(require(in.version != 0, "no protocol version"));
    if (auto named = model::check_trust_domain(in.trust_domain); !named)
      return bad(named.error().message);
    NOTP_TRY(check_rows(in.heads, limits::kLedgersPerSessionMax, "too many heads"));
    return check_rows(in.refusals, limits::kLedgersPerSessionMax, "too many refusals");
  }
  static void put(Proto& out, const Welcome& in) {
    out.set_version(in.version);
    out.set_server(clean_name(in.server));
    out.set_trust_domain(in.trust_domain);
    out.set_root_version(in.root_version);
    put_rows(*out.mutable_heads(), in.heads);
    put_rows(*out.mutable_refusals(), in.refusals);
  }
  static Result<Welcome> take(const Proto& in) {
    Welcome out;
    out.version = in.version();
    out.server = in.server();
    out.trust_domain = in.trust_domain();
    out.root_version = in.root_version();
    NOTP_ASSIGN(out.heads, take_rows<trust::ReleaseRef>(in.heads()));
    NOTP_ASSIGN(out.refusals, take_rows<Refusal>(in.refusals()));
    return out;
  }
};

template <>
struct Codec<WantMore> {
  using Proto = pb::WantMore;
  static constexpr FieldRule kFields[] = {
      rules::message(1, Codec<Want>::kLayout, limits::kLedgersPerSessionMax)};
  static constexpr Layout kLayout{WantMore::kName, kFields};

  static Result<void> check(const WantMore& in) {
    NOTP_TRY(require(!in.wants.empty(), "no want"));
    return check_rows(in.wants, limits::kLedgersPerSessionMax, "too many wants");
  }
  static void put(Proto& out, const WantMore& in) { put_rows(*out.mutable_wants(), in.wants); }
  static Result<WantMore> take(const Proto& in) {
    WantMore out;
    NOTP_ASSIGN(out.wants, take_rows<Want>(in.wants()));
    return out;
  }
};

template struct MessageCodec<Hello>;
template struct MessageCodec<Welcome>;
template struct MessageCodec<WantMore>;

}  // namespace notp::wire
