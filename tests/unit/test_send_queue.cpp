// A session's order of sending: several releases at once, small ones first.
#include <doctest/doctest.h>

#include <map>

#include "common/limits.hpp"
#include "common/random.hpp"
#include "protocol/session/send_queue.hpp"
#include "tests/support/wire/wire_messages.hpp"

namespace notp {
namespace {

model::Content content_of(size_t bytes, uint64_t seed) {
  SeededRandom random(seed);
  Bytes out;
  while (out.size() < bytes) out.push_back(static_cast<char>(random.next_u64()));
  return std::make_shared<const Bytes>(std::move(out));
}

// Reassembles streams, and records the order in which they start and end.
struct Reader {
  std::map<uint32_t, Bytes> streams;
  std::map<uint32_t, size_t> wholes;  // the size of each
  std::vector<uint32_t> ended;
  size_t others = 0;  // messages other than chunks
  uint64_t bytes = 0;
  wire::FrameParser parser;

  void read(ByteView said) {
    bytes += said.size();
    parser.feed(said);
    for (auto next = parser.next(); next && *next; next = parser.next()) {
      const auto* chunk = std::get_if<wire::Chunk>(&**next);
      if (chunk == nullptr) {
        ++others;
        continue;
      }
      CHECK(chunk->bytes.size() <= limits::kChunkBytesMax);
      Bytes& stream = streams[chunk->stream];
      stream += chunk->bytes;
      if (stream.size() == wholes[chunk->stream]) ended.push_back(chunk->stream);
    }
  }
};

}  // namespace

TEST_CASE("a small release overtakes a large one that is on its way, and nothing gets lost") {
  const model::Content large = content_of(5'000'000, 1), middle = content_of(700'000, 2),
                       small = content_of(900, 3);
  session::SendQueue queue;
  Reader reader;
  reader.wholes = {{0, large->size()}, {1, middle->size()}, {2, small->size()}};
  queue.push_transfer(0, large, 0);
  reader.read(queue.take(1'000'000));
  CHECK(reader.streams[0].size() > 500'000);
  queue.push_transfer(1, middle, 0);
  reader.read(queue.take(300'000));
  queue.push_transfer(2, small, 0);
  // The small one is complete before more than a chunk of any other.
  const uint64_t before = reader.bytes;
  while (reader.ended.empty()) reader.read(queue.take(10'000));
  CHECK(reader.ended.front() == 2);
  CHECK(reader.bytes - before <= limits::kChunkBytesMax + 20'000);

  queue.push(wire::Ping{7});
  reader.read(queue.take(1'000));
  CHECK(reader.others == 1);
  while (!queue.empty()) reader.read(queue.take(65'536));
  CHECK(reader.ended == std::vector<uint32_t>{2, 1, 0});
  CHECK(reader.streams[0] == *large);
  CHECK(reader.streams[1] == *middle);
  CHECK(reader.streams[2] == *small);
}

TEST_CASE("releases of any sizes interleave without a gap, whatever the socket takes at a time") {
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    SeededRandom random(seed);
    session::SendQueue queue;
    Reader reader;
    std::map<uint32_t, model::Content> contents;
    const auto count = static_cast<uint32_t>(2 + random.below(6));
    for (uint32_t stream = 0; stream < count || !queue.empty();) {
      if (stream < count && random.below(4) == 0) {
        contents[stream] = content_of(1 + random.below(random.below(2) ? 2'000 : 600'000), stream);
        reader.wholes[stream] = contents[stream]->size();
        queue.push_transfer(stream, contents[stream], 0);
        ++stream;
      }
      if (random.below(8) == 0) queue.push(wire::Ping{random.next_u64()});
      reader.read(queue.take(1 + random.below(300'000)));
    }
    CAPTURE(seed);
    for (const auto& [stream, content] : contents) CHECK(reader.streams[stream] == *content);
    CHECK(reader.ended.size() == count);
  }
}

}  // namespace notp
