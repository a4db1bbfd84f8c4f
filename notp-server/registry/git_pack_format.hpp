// The parts of a pack file and of its index (gitformat-pack(5), version 2).
#pragma once

#include <openssl/evp.h>
#include <zlib.h>

#include <limits>
#include <span>
#include <vector>

#include "common/assert.hpp"
#include "common/bytes.hpp"
#include "notp-server/registry/git_library.hpp"

namespace notp::registry::git_pack_format {

// Entry types besides those of objects.
inline constexpr unsigned kOffsetDelta = 6;
inline constexpr size_t kHeaderBytes = 12;

class Sha1 {
 public:
  Sha1();
  void update(ByteView bytes);
  GitId finish();

 private:
  CPointer<EVP_MD_CTX, EVP_MD_CTX_free> context_;
};

ByteView view(const GitId& id);
Bytes pack_header(uint32_t objects);
// The type and size at the start of each entry.
Bytes entry_header(unsigned type, size_t size);
// The encoded distance from a kOffsetDelta entry back to its base.
Bytes base_distance(uint64_t bytes);
uint32_t crc_of(uint32_t crc, ByteView bytes);

// One object of a pack, for its index.
struct IndexedEntry {
  GitId id;
  uint32_t crc;  // of the entry's bytes
  uint32_t offset;
};
// The index of a pack of less than 2 GiB with that checksum.
Bytes pack_index(std::vector<IndexedEntry> entries, const GitId& pack_checksum);

class Deflater {
 public:
  Deflater() = default;
  Deflater(const Deflater&) = delete;
  Deflater& operator=(const Deflater&) = delete;
  ~Deflater() {
    if (ready_) deflateEnd(&stream_);
  }
  Result<void> start(int level);
  // Feeds all of `content`, at most 4 GiB; `sink` takes each piece of output.
  template <typename Sink>
  Result<void> run(ByteView content, Sink&& sink) {
    NOTP_ASSERT(content.size() <= std::numeric_limits<uInt>::max(), "kBlobBytesMax is far below");
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(content.data()));
    stream_.avail_in = static_cast<uInt>(content.size());
    int status = Z_OK;
    while (status != Z_STREAM_END) {
      stream_.next_out = reinterpret_cast<Bytef*>(output_.data());
      stream_.avail_out = static_cast<uInt>(output_.size());
      status = deflate(&stream_, Z_FINISH);
      NOTP_ASSERT(status == Z_OK || status == Z_STREAM_END, "deflate has room for output");
      NOTP_TRY(sink(ByteView(output_.data(), output_.size() - stream_.avail_out)));
    }
    return {};
  }

 private:
  static constexpr size_t kOutputBytes = 256 << 10;

  z_stream stream_{};
  bool ready_ = false;
  Bytes output_ = Bytes(kOutputBytes, '\0');
};

}  // namespace notp::registry::git_pack_format
