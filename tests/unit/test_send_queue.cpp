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

TEST_CASE("background work goes when nothing else waits, a chunk at a time and in order") {
  const model::Content first = content_of(100'000, 1), second = content_of(40'000, 2),
                       release = content_of(300'000, 3);
  session::SendQueue queue;
  Reader reader;
  CHECK(queue.push_background(wire::Ping{1}, 0, first));
  CHECK(queue.push_background(wire::Ping{2}, 0, nullptr));
  CHECK(queue.push_background(wire::Ping{3}, 0, second));
  CHECK_FALSE(queue.empty());
  const auto take = [&] {
    const Bytes taken = queue.take(1 << 20);
    reader.read(taken);
    return taken;
  };
  const auto began = messages_in(take());
  REQUIRE(began.size() == 2);
  CHECK(std::get<wire::Ping>(began[0]).nonce == 1);
  CHECK(reader.streams[0].size() == limits::kSegmentChunkBytes);

  // A release and a frame overtake the body that is on its way.
  queue.push_transfer(5, release, 0);
  CHECK(queue.push(wire::Pong{9}));
  CHECK(std::holds_alternative<wire::Pong>(messages_in(take()).at(0)));
  CHECK(reader.streams[5] == *release);
  CHECK(reader.streams[0].size() == limits::kSegmentChunkBytes);

  std::vector<uint64_t> heads;
  while (!queue.empty()) {
    const Bytes taken = take();
    CHECK(taken.size() <= limits::kSegmentChunkBytes + 64);
    for (const auto& message : messages_in(taken))
      if (const auto* ping = std::get_if<wire::Ping>(&message)) heads.push_back(ping->nonce);
  }
  CHECK(heads == std::vector<uint64_t>{2, 3});
  CHECK(reader.streams[0] == *first + *second);
}

TEST_CASE("background work is dropped with the transfers of a session that ends") {
  session::SendQueue queue;
  CHECK(queue.push_background(wire::Ping{1}, 0, content_of(100'000, 1)));
  queue.take(1 << 20);
  queue.cancel_transfers();
  CHECK(queue.empty());
  // A socket that takes little gets little.
  CHECK(queue.push_background(wire::Ping{1}, 0, content_of(100'000, 1)));
  CHECK(queue.take(100).size() <= 110);
}

TEST_CASE("batches of a lane overtake a release, and snapshots wait for it") {
  const model::Content release = content_of(600'000, 1);
  const auto frame = [](uint64_t nonce) {
    return std::make_shared<const Bytes>(wire::encode_frame(wire::Ping{nonce}));
  };
  session::SendQueue queue;
  Reader reader;
  reader.wholes = {{0, release->size()}};
  queue.push_transfer(0, release, 0);
  queue.push_lane(frame(1), /*bulk=*/true);
  queue.push_lane(frame(2), /*bulk=*/false);
  CHECK(queue.push_background(wire::Ping{3}, 1, nullptr));
  std::vector<uint64_t> nonces;
  while (!queue.empty()) {
    const Bytes taken = queue.take(200'000);
    reader.read(taken);
    for (const auto& message : messages_in(taken))
      if (const auto* ping = std::get_if<wire::Ping>(&message)) {
        nonces.push_back(ping->nonce);
        CHECK(reader.ended.empty() == (ping->nonce == 2));  // the release has arrived or not
      }
  }
  CHECK(nonces == std::vector<uint64_t>{2, 1, 3});
  CHECK(queue.lane_bytes() == 0);
}

}  // namespace notp
