// Content codings: a client's preference, and gzip (RFC 1952) piece by piece, without I/O.
#pragma once

#include <zlib.h>

#include <string_view>

#include "common/bytes.hpp"
#include "common/result.hpp"

namespace notp::http {

// Whether an Accept-Encoding field (RFC 9110 §12.5.3) prefers gzip to the identity coding. False
// for an empty and for a malformed one.
bool prefers_gzip(std::string_view accept_encoding);

// Unpacks all members of a gzip file.
class Gunzip {
 public:
  // `bytes_max` of content: kLimit above it.
  explicit Gunzip(size_t bytes_max);
  ~Gunzip();
  Gunzip(const Gunzip&) = delete;
  Gunzip& operator=(const Gunzip&) = delete;

  // Takes a part of the front of `packed` that gives at most kPieceBytes of content, and appends to
  // content(). kMessage: not gzip; kLimit.
  Result<void> step(ByteView& packed);
  // Whether the taken bytes hold more content.
  bool is_full() const { return stream_.avail_out == 0 && !at_end_; }
  // Called after the last byte: kMessage when the end is missing.
  Result<void> finish() const;

  const Bytes& content() const { return content_; }
  Bytes take() { return std::move(content_); }

  static constexpr size_t kPieceBytes = 256 << 10;

 private:
  const size_t bytes_max_;
  z_stream stream_{};
  bool ready_ = false;
  bool at_end_ = false;  // of a member
  Bytes content_;
};

// Packs in one stream, at a fast level.
class Gzip {
 public:
  Gzip();
  ~Gzip();
  Gzip(const Gzip&) = delete;
  Gzip& operator=(const Gzip&) = delete;

  // Takes at most kPieceBytes from the front of `content`. kInternal.
  Result<void> step(ByteView& content);
  // Ends the stream; once.
  Result<Bytes> finish();

  static constexpr size_t kPieceBytes = 256 << 10;

 private:
  Result<void> run(int flush);

  z_stream stream_{};
  bool ready_ = false;
  Bytes packed_;
};

}  // namespace notp::http
