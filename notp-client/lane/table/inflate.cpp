#include "notp-client/lane/table/inflate.hpp"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>

namespace notp::lane {
namespace {

struct Stream {
  z_stream z{};
  bool is_open = false;
  ~Stream() {
    if (is_open) ::inflateEnd(&z);
  }
};

constexpr size_t kFirstBytes = 64 << 10;

}  // namespace

Result<Bytes> inflate_list(ByteView zlib, size_t bytes_max) {
  Stream stream;
  z_stream& z = stream.z;
  if (::inflateInit(&z) != Z_OK) return fail(ErrorCode::kInternal, "zlib has no memory");
  stream.is_open = true;
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(zlib.data()));
  z.avail_in = static_cast<uInt>(zlib.size());
  Bytes out;
  for (size_t size = std::min(kFirstBytes, bytes_max);; size = std::min(2 * size, bytes_max)) {
    const size_t done = out.size();
    out.resize(size);
    z.next_out = reinterpret_cast<Bytef*>(out.data() + done);
    z.avail_out = static_cast<uInt>(size - done);
    const int state = ::inflate(&z, Z_NO_FLUSH);
    out.resize(size - z.avail_out);
    if (state == Z_STREAM_END) break;
    if (state != Z_OK && state != Z_BUF_ERROR)
      return fail(ErrorCode::kMessage, "a status list is not ZLIB (RFC 1950)");
    if (z.avail_out > 0) return fail(ErrorCode::kMessage, "a status list is cut off");
    if (size == bytes_max)
      return fail(ErrorCode::kLimit,
                  fmt::format("a status list inflates to more than {} bytes", bytes_max));
  }
  if (z.avail_in > 0) return fail(ErrorCode::kMessage, "a status list is followed by other bytes");
  return out;
}

}  // namespace notp::lane
