#include "protocol/trust/envelope.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "common/limits.hpp"
#include "protocol/trust/proto_codec.hpp"
#include "schemas/model.pb.h"

namespace notp::trust {

Bytes Envelope::encode() const {
  model::v1::Envelope message;
  message.set_payload(payload);
  message.set_payload_type(payload_type);
  for (const EnvelopeSignature& entry : signatures) {
    model::v1::Signature* out = message.add_signatures();
    out->set_sig(entry.signature);
    out->set_keyid(entry.keyid);
  }
  return serialize(message);
}

Result<Envelope> Envelope::decode(ByteView bytes) {
  if (bytes.size() > limits::kEnvelopeBytesMax)
    return fail(ErrorCode::kEnvelope, fmt::format("an envelope of {} bytes is over the limit of {}",
                                                  bytes.size(), limits::kEnvelopeBytesMax));
  model::v1::Envelope message;
  if (!parse(bytes, message)) return fail(ErrorCode::kEnvelope, "the bytes are not an envelope");
  if (message.payload().empty() || message.payload_type().empty())
    return fail(ErrorCode::kEnvelope, "an envelope without a payload or its type");
  if (static_cast<size_t>(message.signatures_size()) > limits::kSignaturesMax)
    return fail(ErrorCode::kEnvelope,
                fmt::format("an envelope with {} signatures, {} are allowed",
                            message.signatures_size(), limits::kSignaturesMax));
  Envelope out{message.payload(), message.payload_type(), {}};
  for (const model::v1::Signature& entry : message.signatures()) {
    if (entry.sig().size() != kSignatureBytes || entry.keyid().size() > limits::kKeyidBytesMax)
      return fail(ErrorCode::kEnvelope, "an envelope with a signature of a wrong length");
    out.signatures.push_back({entry.sig(), entry.keyid()});
  }
  if (out.encode() != bytes)
    return fail(ErrorCode::kEnvelope, "an envelope that is not in canonical form");
  return out;
}

Bytes pre_authentication_encoding(std::string_view payload_type, ByteView payload) {
  return fmt::format("DSSEv1 {} {} {} {}", payload_type.size(), payload_type, payload.size(),
                     payload);
}

void sign_envelope(Envelope& envelope, const PrivateKey& key) {
  const Bytes signed_bytes = pre_authentication_encoding(envelope.payload_type, envelope.payload);
  const PublicKey public_key = key.public_key();
  std::erase_if(envelope.signatures, [&](const EnvelopeSignature& entry) {
    return verify_signature(public_key, signed_bytes, entry.signature);
  });
  envelope.signatures.push_back({key.sign(signed_bytes), public_key.keyid()});
}

std::vector<EnvelopeSignature> valid_signatures(const Envelope& envelope,
                                                std::span<const PublicKey> keys) {
  const Bytes signed_bytes = pre_authentication_encoding(envelope.payload_type, envelope.payload);
  std::vector<const EnvelopeSignature*> unused;
  for (const EnvelopeSignature& entry : envelope.signatures) unused.push_back(&entry);
  std::vector<EnvelopeSignature> valid;
  for (const PublicKey& key : std::set<PublicKey>(keys.begin(), keys.end())) {
    const std::string keyid = key.keyid();
    std::ranges::partition(unused, [&](auto* entry) { return entry->keyid == keyid; });
    const auto found = std::ranges::find_if(
        unused, [&](auto* entry) { return verify_signature(key, signed_bytes, entry->signature); });
    if (found == unused.end()) continue;
    valid.push_back({(*found)->signature, keyid});
    unused.erase(found);
  }
  return valid;
}

size_t count_signers(const Envelope& envelope, std::span<const PublicKey> keys) {
  return valid_signatures(envelope, keys).size();
}

}  // namespace notp::trust
