// Feeds the bytes of a connection to two HTTP readers, one whole and one in fragments: both must
// see the same requests and refuse at the same place. The project's own decoders (escapes, names of
// hosts, codings, gzip) must keep to their limits. The first byte chooses the fragments.
#include <cstdint>

#include "common/assert.hpp"
#include "common/http/coding.hpp"
#include "common/http/guard.hpp"
#include "common/http/request_reader.hpp"
#include "common/random.hpp"

namespace {

using namespace notp;
using namespace notp::http;

constexpr size_t kHeaderBytesMax = 4'096, kBodyBytesMax = 8'192, kGzipBytesMax = 100'000;

struct Seen {
  std::string requests;
  unsigned refused = 0;
  bool operator==(const Seen&) const = default;
};

std::string text_of(const Request& request) {
  std::string out = request.method + ' ' + request.path + '?' + request.query + '\n';
  for (const auto& [name, value] : request.headers) out += name + ": " + value + '\n';
  return out + request.body + '\n';
}

// `next` returns the number of bytes in the next fragment.
template <typename Next>
Seen read(ByteView stream, Next next) {
  Seen seen;
  Bytes buffer;
  while (!stream.empty() || !buffer.empty()) {
    RequestReader reader({kHeaderBytesMax, kBodyBytesMax});
    while (!reader.is_done()) {
      size_t used = 0;
      if (!buffer.empty()) {
        auto fed = reader.feed(buffer);
        if (!fed) {
          seen.refused = fed.error().status;
          return seen;
        }
        used = *fed;
        NOTP_ASSERT(used <= buffer.size(), "no more is used than there is");
        buffer.erase(0, used);
      }
      if (used > 0) continue;
      if (stream.empty()) return seen;
      const ByteView piece = stream.substr(0, next());
      stream.remove_prefix(piece.size());
      buffer.append(piece);
    }
    const Request request = reader.take();
    NOTP_ASSERT(request.path.starts_with('/') && request.body.size() <= kBodyBytesMax,
                "a request keeps to the rules");
    seen.requests += text_of(request);
  }
  return seen;
}

void decode(ByteView text) {
  if (const auto decoded = percent_decode(text))
    NOTP_ASSERT(decoded->size() <= text.size() && !decoded->contains('\0'), "escapes only shrink");
  if (const auto name = host_name(text))
    NOTP_ASSERT(name->find_first_of("/@ ") == std::string::npos && host_name(*name) == name,
                "a name is a name");
  prefers_gzip(text);
  Request request;
  request.raw_path = "/" + Bytes(text.substr(0, text.find('?')));
  request.query = text;
  request.headers = {{"Host", Bytes(text)}, {"Origin", "http://" + Bytes(text)}};
  for (const std::string& segment : request.segments_below(""))
    NOTP_ASSERT(segment.size() < request.raw_path.size(), "segments are parts");
  request.parameters("q");
  refuse_stranger(request, {}, true);
}

void unpack(ByteView packed) {
  Gunzip gunzip(kGzipBytesMax);
  while (!packed.empty() || gunzip.is_full()) {
    const size_t before = packed.size() + (kGzipBytesMax - gunzip.content().size());
    if (!gunzip.step(packed)) return;
    NOTP_ASSERT(gunzip.content().size() <= kGzipBytesMax, "a bomb stays within the limit");
    if (packed.size() + (kGzipBytesMax - gunzip.content().size()) == before) break;
  }
  static_cast<void>(gunzip.finish());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const ByteView stream(reinterpret_cast<const char*>(data) + 1, size - 1);
  SeededRandom random(data[0]);
  const Seen bytewise = read(stream, [] { return size_t{1}; });
  const Seen pieces = read(stream, [&] { return 1 + random.below(64); });
  NOTP_ASSERT(bytewise == pieces, "fragmentation changes nothing");
  decode(stream);
  unpack(stream);
  return 0;
}
