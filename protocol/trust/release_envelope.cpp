#include "protocol/trust/release_envelope.hpp"

#include <utility>

#include "common/assert.hpp"

namespace notp::trust {

ReleaseEnvelope::ReleaseEnvelope(Bytes bytes)
    : bytes_(std::make_shared<const Bytes>(std::move(bytes))) {}

ReleaseEnvelope::ReleaseEnvelope(ByteView bytes) : ReleaseEnvelope(Bytes(bytes)) {}

const Bytes& ReleaseEnvelope::bytes() const {
  static const Bytes kEmpty;
  return bytes_ ? *bytes_ : kEmpty;
}

Result<void> ReleaseEnvelope::open() {
  if (is_open()) return {};
  NOTP_ASSIGN(Envelope envelope, decode_envelope(bytes(), kReleaseType));
  const Hash hash = release_hash(envelope.payload);
  opened_ = std::make_shared<const Opened>(std::move(envelope), hash);
  return {};
}

Result<void> ReleaseEnvelope::read() {
  if (is_read()) return {};
  NOTP_ASSIGN(Release release, Release::decode(envelope().payload));
  release_ = std::make_shared<const Release>(std::move(release));
  return {};
}

const Envelope& ReleaseEnvelope::envelope() const {
  NOTP_ASSERT(is_open(), "an envelope is opened before it is looked into");
  return opened_->envelope;
}

const Hash& ReleaseEnvelope::hash() const {
  NOTP_ASSERT(is_open(), "an envelope is opened before it is looked into");
  return opened_->hash;
}

const Release& ReleaseEnvelope::release() const {
  NOTP_ASSERT(is_read(), "a statement is read before it is used");
  return *release_;
}

}  // namespace notp::trust
