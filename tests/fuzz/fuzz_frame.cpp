// Feeds a byte stream to two frame parsers, one whole and one in fragments: both must see the same
// messages and the same error, and each decoded message must survive encoding and decoding. The
// first byte of the input chooses the fragments.
#include <cstdint>

#include "common/assert.hpp"
#include "common/random.hpp"
#include "protocol/wire/frame.hpp"

namespace {

using namespace notp;

struct Seen {
  Bytes frames;  // every message, encoded again
  std::optional<ErrorCode> error;
  bool operator==(const Seen&) const = default;
};

void drain(wire::FrameParser& parser, Seen& seen) {
  while (!seen.error) {
    const auto next = parser.next();
    if (!next) seen.error = next.error().code;
    if (!next || !*next) return;
    seen.frames += wire::encode_frame(**next);
  }
}

Seen read_whole(ByteView stream) {
  Seen seen;
  wire::FrameParser parser;
  parser.feed(stream);
  drain(parser, seen);
  return seen;
}

Seen read_fragments(ByteView stream, uint64_t seed) {
  Seen seen;
  wire::FrameParser parser;
  SeededRandom random(seed);
  const uint64_t longest = seed % 8 == 0 ? 1 : 1 + random.below(64);
  while (!stream.empty() && !seen.error) {
    const ByteView fragment = stream.substr(0, 1 + random.below(longest));
    stream.remove_prefix(fragment.size());
    parser.feed(fragment);
    drain(parser, seen);
  }
  return seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const ByteView stream(reinterpret_cast<const char*>(data) + 1, size - 1);
  const Seen whole = read_whole(stream);
  NOTP_ASSERT(read_fragments(stream, data[0]) == whole, "fragmentation changes nothing");
  const Seen again = read_whole(whole.frames);
  NOTP_ASSERT(!again.error && again.frames == whole.frames, "what is accepted round-trips");
  return 0;
}
