// The statement that binds a log to a node, signed with the key of the node's TLS certificate.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/clock.hpp"
#include "protocol/record/log_id.hpp"

namespace notp::record {

struct Announcement {
  std::string trust_domain;
  std::string node;  // SPIFFE id
  PublicKey log_key;
  TimeMs created_ms = 0;
  std::optional<LogId> previous;
  std::string reason;
  bool operator==(const Announcement&) const = default;
};

// Signs a message with the key of the certificate: SHA-256 for RSA (PSS) and ECDSA, RFC 8032 for
// Ed25519.
struct AnnouncementSigner {
  std::vector<Bytes> certificates;  // DER, the node's first
  std::function<Result<Bytes>(ByteView message)> sign;
};
// kLimit: more than kAnnouncementBytesMax.
Result<Bytes> sign_announcement(const Announcement& announcement, const AnnouncementSigner& signer);

// Reads an announcement and checks its signature by the key of the first certificate, whose one
// SPIFFE id must be `node`. The chain is not checked here: that is the work of TLS when it arrives,
// and of an auditor later. kMessage, kSignature, kIdentity.
Result<Announcement> verify_announcement(ByteView bytes);
// Returns the certificates of an announcement, DER, the node's first: for the check of the chain.
// kMessage.
Result<std::vector<Bytes>> announcement_certificates(ByteView bytes);

}  // namespace notp::record
