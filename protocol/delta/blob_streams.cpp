#include "protocol/delta/blob_streams.hpp"

#include <algorithm>

namespace notp::delta {
namespace {

constexpr uint64_t kContextPerLiteral = 64;  // old bytes for each literal byte

}  // namespace

Bytes literal_context(ByteView base, const Frame& frame, uint64_t copies,
                      const std::vector<uint32_t>& copy_ends, uint64_t literal_bytes) {
  const uint64_t all = std::min(kContextBytesMax, literal_bytes * kContextPerLiteral);
  const uint64_t share = all / (copies + 2);
  Bytes out;
  if (share == 0) return out;
  out.reserve(all);
  const auto add_before = [&](uint64_t end) {
    const uint64_t bytes = std::min(share, end);
    out += base.substr(end - bytes, bytes);
  };
  out += base.substr(base.size() - frame.end_bytes, share);
  for (const uint32_t end : copy_ends) add_before(end);
  add_before(frame.front_bytes);
  return out;
}

}  // namespace notp::delta
