#include "protocol/record/announcement.hpp"

#include <fmt/format.h>

#include "common/crypto/x509.hpp"
#include "common/limits.hpp"
#include "common/tls/peer_chain.hpp"
#include "protocol/model/ledger.hpp"
#include "protocol/model/spiffe_id.hpp"
#include "protocol/trust/proto_codec.hpp"
#include "schemas/record.pb.h"

namespace notp::record {
namespace {

constexpr ByteView kTag{"notp.decisions.announcement.v1\0", 31};

std::unexpected<Error> refuse(std::string_view why) {
  return fail(ErrorCode::kMessage, fmt::format("an announcement of a log: {}", why));
}

Bytes payload_of(const Announcement& announcement) {
  v1::Announcement m;
  m.set_trust_domain(announcement.trust_domain);
  m.set_node(announcement.node);
  m.set_log_key(Bytes(announcement.log_key.view()));
  m.set_created_ms(announcement.created_ms);
  if (announcement.previous) m.set_previous(Bytes(announcement.previous->view()));
  m.set_reason(announcement.reason);
  return trust::serialize(m);
}

Result<void> check(const Announcement& announcement) {
  if (auto ok = model::check_trust_domain(announcement.trust_domain); !ok)
    return refuse(ok.error().message);
  const auto id = model::SpiffeId::parse(announcement.node);
  if (!id || id->trust_domain != announcement.trust_domain)
    return refuse("node is not a SPIFFE id of the trust domain");
  if (announcement.created_ms <= 0 || announcement.created_ms > limits::kTimestampMsMax)
    return refuse("created_ms is missing or out of range");
  if (announcement.previous == LogId::of(announcement.log_key))
    return refuse("the log would follow itself");
  return {};
}

Result<Announcement> read_payload(ByteView payload) {
  v1::Announcement m;
  if (!trust::parse(payload, m, limits::kAnnouncementBytesMax))
    return refuse("the payload does not decode");
  Announcement out;
  out.trust_domain = m.trust_domain();
  out.node = m.node();
  const auto key = PublicKey::from_bytes(m.log_key());
  if (!key) return refuse("log_key is not 32 bytes");
  out.log_key = *key;
  out.created_ms = m.created_ms();
  if (!m.previous().empty()) {
    const auto previous = LogId::from_bytes(m.previous());
    if (!previous) return refuse("previous is not a log id");
    out.previous = *previous;
  }
  out.reason = m.reason();
  NOTP_TRY(check(out));
  if (payload_of(out) != payload)
    return refuse(
        "the payload is not in its one encoding, or has a field that this program is too "
        "old to understand");
  return out;
}

Bytes encode(ByteView payload, const auto& certificates, ByteView signature) {
  v1::SignedAnnouncement m;
  m.set_payload(Bytes(payload));
  for (const auto& certificate : certificates) m.add_certificates(certificate);
  m.set_signature(Bytes(signature));
  return trust::serialize(m);
}

Result<void> check_signature(const Announcement& announcement, ByteView payload,
                             ByteView certificate, ByteView signature) {
  const auto read = x509::read_der(certificate);
  if (!read) return refuse(read.error().message);
  const std::vector<std::string> uris = tls::uris_of(read->get());
  if (uris.size() != 1 || uris.front() != announcement.node)
    return fail(ErrorCode::kIdentity,
                fmt::format("the certificate of an announcement is not one of its node {} alone",
                            announcement.node));
  EVP_PKEY* const key = X509_get0_pubkey(read->get());
  if (key == nullptr || !x509::verify_message(key, Bytes(kTag).append(payload), signature))
    return fail(ErrorCode::kSignature,
                fmt::format("the announcement of a log of {} is not signed by the key of its "
                            "certificate",
                            announcement.node));
  return {};
}

}  // namespace

Result<Bytes> sign_announcement(const Announcement& announcement,
                                const AnnouncementSigner& signer) {
  NOTP_TRY(check(announcement));
  const Bytes payload = payload_of(announcement);
  NOTP_ASSIGN(const Bytes signature, signer.sign(Bytes(kTag).append(payload)));
  Bytes out = encode(payload, signer.certificates, signature);
  if (out.size() > limits::kAnnouncementBytesMax)
    return fail(ErrorCode::kLimit,
                fmt::format("the announcement of a log of {} would have {} bytes, at most {} are "
                            "allowed: leave certificates out of the node's chain that its "
                            "registry has anyway",
                            announcement.node, out.size(), limits::kAnnouncementBytesMax));
  return out;
}

Result<Announcement> verify_announcement(ByteView bytes) {
  v1::SignedAnnouncement m;
  if (!trust::parse(bytes, m, limits::kAnnouncementBytesMax))
    return refuse(fmt::format("it does not decode, or has more than {} bytes",
                              limits::kAnnouncementBytesMax));
  if (m.certificates().empty()) return refuse("it has no certificate");
  if (encode(m.payload(), m.certificates(), m.signature()) != bytes)
    return refuse("it is not in its one encoding");
  NOTP_ASSIGN(Announcement out, read_payload(m.payload()));
  NOTP_TRY(check_signature(out, m.payload(), m.certificates(0), m.signature()));
  return out;
}

Result<std::vector<Bytes>> announcement_certificates(ByteView bytes) {
  v1::SignedAnnouncement m;
  if (!trust::parse(bytes, m, limits::kAnnouncementBytesMax)) return refuse("it does not decode");
  return std::vector<Bytes>(m.certificates().begin(), m.certificates().end());
}

}  // namespace notp::record
