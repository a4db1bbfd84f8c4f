#include "protocol/wire/messages/enrollment.hpp"

#include "common/limits.hpp"
#include "protocol/wire/part_codec.hpp"

namespace notp::wire {
namespace {

Result<void> check_certificate_request(ByteView request) {
  NOTP_TRY(require(!request.empty(), "no certificate request"));
  return require(request.size() <= limits::kCertificateRequestBytesMax,
                 "the certificate request is too long");
}

}  // namespace

// --- join tokens

template <>
struct Codec<NewJoinToken> {
  static constexpr FieldRule kFields[] = {rules::name(1), rules::u64(2), rules::flag(3)};
  static constexpr Layout kLayout{NewJoinToken::kName, kFields};
  static constexpr FieldRule kPart[] = {rules::message(12, kLayout)};

  // The registry decides whether the node may have this name for so long.
  static Result<void> check(const NewJoinToken& in) {
    NOTP_TRY(require(!in.node.empty(), "no node"));
    NOTP_TRY(require(in.node.size() <= limits::kNameBytesMax, "the node's name is too long"));
    return require(in.lifetime_ms <= static_cast<uint64_t>(limits::kTimestampMsMax),
                   "a lifetime is past any instant");
  }
  static bool is_in(const pb::Request& in) { return in.has_new_join_token(); }
  static void put(pb::Request& envelope, const NewJoinToken& in) {
    pb::NewJoinToken& out = *envelope.mutable_new_join_token();
    out.set_node(in.node);
    out.set_lifetime_ms(in.lifetime_ms);
    out.set_replace(in.replace);
  }
  static Result<NewJoinToken> take(const pb::Request& envelope) {
    const pb::NewJoinToken& in = envelope.new_join_token();
    return NewJoinToken{in.node(), in.lifetime_ms(), in.replace()};
  }
};

template <>
struct Codec<IssuedToken> {
  static constexpr FieldRule kPart[] = {rules::bytes(12, limits::kJoinTokenBytesMax)};

  static Result<void> check(const IssuedToken& in) {
    return require(in.token.size() <= limits::kJoinTokenBytesMax, "the join token is too long");
  }
  static bool is_in(const pb::Response& in) { return !in.join_token().empty(); }
  static void put(pb::Response& out, const IssuedToken& in) { out.set_join_token(in.token); }
  static Result<IssuedToken> take(const pb::Response& in) { return IssuedToken{in.join_token()}; }
};

// --- certificates

template <>
struct Codec<RenewCertificate> {
  static constexpr FieldRule kFields[] = {rules::bytes(1, limits::kCertificateRequestBytesMax)};
  static constexpr Layout kLayout{RenewCertificate::kName, kFields};
  static constexpr FieldRule kPart[] = {rules::message(13, kLayout)};

  static Result<void> check(const RenewCertificate& in) {
    return check_certificate_request(in.request);
  }
  static bool is_in(const pb::Request& in) { return in.has_renew_certificate(); }
  static void put(pb::Request& out, const RenewCertificate& in) {
    out.mutable_renew_certificate()->set_request(in.request);
  }
  static Result<RenewCertificate> take(const pb::Request& in) {
    return RenewCertificate{in.renew_certificate().request()};
  }
};

// Used in Joined, and as the part of a Response to RenewCertificate.
template <>
struct Codec<Certificate> {
  using Proto = pb::Certificate;
  static constexpr FieldRule kFields[] = {rules::bytes(1, limits::kPemBytesMax),
                                          rules::bytes(2, limits::kPemBytesMax)};
  static constexpr Layout kLayout{"Certificate", kFields};
  static constexpr FieldRule kPart[] = {rules::message(13, kLayout)};

  static Result<void> check(const Certificate& in) {
    NOTP_TRY(require(!in.certificate.empty(), "no certificate"));
    NOTP_TRY(require(!in.authorities.empty(), "no authority"));
    NOTP_TRY(require(in.certificate.size() <= limits::kPemBytesMax, "the certificate is too long"));
    return require(in.authorities.size() <= limits::kPemBytesMax, "the authorities are too long");
  }
  static void put(Proto& out, const Certificate& in) {
    out.set_certificate(in.certificate);
    out.set_authorities(in.authorities);
  }
  static Result<Certificate> take(const Proto& in) {
    return Certificate{in.certificate(), in.authorities()};
  }

  static bool is_in(const pb::Response& in) { return in.has_certificate(); }
  static void put(pb::Response& out, const Certificate& in) { put(*out.mutable_certificate(), in); }
  static Result<Certificate> take(const pb::Response& in) { return take(in.certificate()); }
};

// --- exchange with a node without a certificate

template <>
struct Codec<Join> {
  using Proto = pb::Join;
  static constexpr FieldRule kFields[] = {rules::bytes(1, limits::kJoinTokenBytesMax),
                                          rules::bytes(2, limits::kCertificateRequestBytesMax)};
  static constexpr Layout kLayout{Join::kName, kFields};

  static Result<void> check(const Join& in) {
    NOTP_TRY(require(!in.token.empty(), "no join token"));
    NOTP_TRY(require(in.token.size() <= limits::kJoinTokenBytesMax, "the join token is too long"));
    return check_certificate_request(in.request);
  }
  static void put(Proto& out, const Join& in) {
    out.set_token(in.token);
    out.set_request(in.request);
  }
  static Result<Join> take(const Proto& in) { return Join{in.token(), in.request()}; }
};

template <>
struct Codec<Joined> {
  using Proto = pb::Joined;
  static constexpr FieldRule kFields[] = {rules::message(1, Codec<Certificate>::kLayout),
                                          rules::envelope(2, limits::kRootStepsMax)};
  static constexpr Layout kLayout{Joined::kName, kFields};

  static Result<void> check(const Joined& in) {
    NOTP_TRY(Codec<Certificate>::check(in.certificate));
    NOTP_TRY(require(!in.root_chain.empty(), "no root"));
    return check_roots(in.root_chain);
  }
  // RootUpdate sends the remaining roots in the first session.
  static void put(Proto& out, const Joined& in) {
    Codec<Certificate>::put(*out.mutable_certificate(), in.certificate);
    size_t room = limits::kFrameBytesMax - out.ByteSizeLong();
    put_envelopes_that_fit(*out.mutable_roots(), in.root_chain, room);
  }
  static Result<Joined> take(const Proto& in) {
    NOTP_ASSIGN(Certificate certificate, Codec<Certificate>::take(in.certificate()));
    return Joined{std::move(certificate), {in.roots().begin(), in.roots().end()}};
  }
};

template struct MessageCodec<Join>;
template struct MessageCodec<Joined>;
template struct PartCodec<NewJoinToken, pb::Request>;
template struct PartCodec<IssuedToken, pb::Response>;
template struct PartCodec<RenewCertificate, pb::Request>;
template struct PartCodec<Certificate, pb::Response>;

}  // namespace notp::wire
