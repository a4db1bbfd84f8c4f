// DSSE envelopes (secure-systems-lab DSSE 1.0.2, protocol "DSSEv1") with Ed25519 signatures.
// Payload bytes are kept verbatim: the parsed bytes are the verified bytes.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "common/crypto/signature.hpp"

namespace notp::trust {

struct EnvelopeSignature {
  Bytes signature;
  std::string keyid;
};

struct Envelope {
  Bytes payload;
  std::string payload_type;
  std::vector<EnvelopeSignature> signatures;

  Bytes encode() const;
  // kEnvelope when over kEnvelopeBytesMax, undecodable, not in the canonical form that encode()
  // writes (unknown fields, a field twice …), without payload or type, with more than
  // kSignaturesMax signatures or one that is not 64 bytes. An envelope without signatures decodes,
  // but never verifies.
  static Result<Envelope> decode(ByteView bytes);
};

// Returns "DSSEv1 <len(type)> <type> <len(payload)> <payload>": the bytes that a signature covers.
Bytes pre_authentication_encoding(std::string_view payload_type, ByteView payload);

// Adds a signature by `key`, which replaces an earlier one of that key.
void sign_envelope(Envelope& envelope, const PrivateKey& key);

// Returns the valid signatures by `keys`, one for each key that has one, with its real keyid, in
// the order of the keys. An envelope's keyid only orders the attempts.
std::vector<EnvelopeSignature> valid_signatures(const Envelope& envelope,
                                                std::span<const PublicKey> keys);
// Returns the number of distinct keys of `keys` with a valid signature.
size_t count_signers(const Envelope& envelope, std::span<const PublicKey> keys);

}  // namespace notp::trust
