// The envelope of a release on its way between the parts of a program: the verbatim bytes, and what
// has been read of them so far. Each part is parsed once, however many steps follow, and because
// only this class parses, what it says can never differ from the bytes that signatures cover.
#pragma once

#include <memory>

#include "protocol/trust/statements.hpp"

namespace notp::trust {

// Copies share their parts, which never change: copying is cheap, and a const object may be read
// from several threads. Nothing in it is verified.
class ReleaseEnvelope {
 public:
  ReleaseEnvelope() = default;  // empty bytes, which do not open
  // Wraps bytes without parsing them, so conversions are implicit in both directions.
  ReleaseEnvelope(Bytes bytes);     // NOLINT(google-explicit-constructor)
  ReleaseEnvelope(ByteView bytes);  // NOLINT(google-explicit-constructor)
  const Bytes& bytes() const;
  operator ByteView() const { return bytes(); }  // NOLINT(google-explicit-constructor)

  // Parses the envelope, so that its signatures can be verified before the statement is read.
  // kEnvelope: as Envelope::decode(), or of another payload type. Without effect when it is open.
  Result<void> open();
  bool is_open() const { return opened_ != nullptr; }
  // Parses the statement, which requires an open envelope. The errors of Release::decode(). Without
  // effect when it is read.
  Result<void> read();
  bool is_read() const { return release_ != nullptr; }

  // Require an open envelope.
  const Envelope& envelope() const;
  const Hash& hash() const;  // release_hash() of the payload
  // Requires a read statement.
  const Release& release() const;

  // Compare the bytes.
  bool operator==(const ReleaseEnvelope& other) const { return bytes() == other.bytes(); }
  bool operator==(const Bytes& other) const { return bytes() == other; }
  bool operator==(ByteView other) const { return bytes() == other; }

 private:
  struct Opened {
    Envelope envelope;
    Hash hash;
  };

  std::shared_ptr<const Bytes> bytes_;  // null: empty
  std::shared_ptr<const Opened> opened_;
  std::shared_ptr<const Release> release_;
};

}  // namespace notp::trust
