// The frames of an offer that sessions share: the same bytes as those that each would encode.
#include <doctest/doctest.h>

#include "common/limits.hpp"
#include "protocol/session/send_queue.hpp"
#include "protocol/session/server/offer_frames.hpp"
#include "protocol/wire/frame.hpp"

namespace notp {
namespace {

model::Content content_of(size_t bytes) { return std::make_shared<const Bytes>(Bytes(bytes, 'a')); }

wire::Offer short_offer(const model::Content& artifact, uint32_t stream, uint32_t subscription) {
  return {.stream = stream,
          .ledger = {},
          .version = 9,
          .base = {},
          .artifact = {},
          .size = artifact->size(),
          .offset = 0,
          .content_root = {},
          .subscription = subscription,
          .base_distance = 2};
}

// What a session sends that shares nothing.
Bytes sent_alone(const wire::Offer& offer, const model::Content& artifact) {
  session::SendQueue queue;
  REQUIRE(queue.push(offer));
  queue.push_transfer(offer.stream, artifact, offer.offset);
  Bytes out;
  while (!queue.empty()) out += queue.take(16 << 10);
  return out;
}

}  // namespace

TEST_CASE("offer frames: sessions get one buffer, with the bytes that each would have sent") {
  for (const size_t size : {size_t{1}, size_t{150}, session::OfferFrames::kArtifactBytesMax}) {
    const model::Content artifact = content_of(size);
    session::OfferFrames frames;
    const wire::Offer first = short_offer(artifact, 0, 0), other = short_offer(artifact, 1, 3);
    const model::Content shared = frames.get(first, artifact);
    REQUIRE(shared);
    CHECK(frames.get(first, artifact) == shared);
    CHECK(*shared == sent_alone(first, artifact));
    const model::Content differs = frames.get(other, artifact);
    REQUIRE(differs);
    CHECK(*differs == sent_alone(other, artifact));
    CHECK(frames.get(first, artifact) == shared);
    // The whole content may also go to a reader that has a release, of which it can read nothing.
    wire::Offer whole = first;
    whole.base_distance = 0;
    CHECK(*frames.get(whole, artifact) == sent_alone(whole, artifact));
    CHECK(shared->size() <= 16 << 10);  // one TLS record
  }
}

TEST_CASE("offer frames: what only one session sends is not shared, nor without bound") {
  const model::Content artifact = content_of(100);
  session::OfferFrames frames;
  wire::Offer offer = short_offer(artifact, 0, 0);
  offer.offset = 10;
  CHECK_FALSE(frames.get(offer, artifact));
  offer = short_offer(artifact, 0, 0);
  offer.ledger = {273165098782, "payments"};
  CHECK_FALSE(frames.get(offer, artifact));
  offer = short_offer(artifact, 0, 0);
  offer.trace = TraceContext{};
  CHECK_FALSE(frames.get(offer, artifact));
  CHECK_FALSE(frames.get(short_offer(artifact, 0, 0), content_of(0)));
  const model::Content large = content_of(session::OfferFrames::kArtifactBytesMax + 1);
  CHECK_FALSE(frames.get(short_offer(large, 0, 0), large));
  // A peer that uses many streams and subscriptions makes the registry keep four buffers.
  size_t shared = 0;
  for (uint32_t stream = 0; stream < 20; ++stream)
    if (frames.get(short_offer(artifact, stream, stream), artifact)) ++shared;
  CHECK(shared == 4);
}

TEST_CASE("send queue: shared frames keep their place among the others") {
  session::SendQueue queue;
  const auto frame = [](uint64_t nonce) {
    return std::make_shared<const Bytes>(wire::encode_frame(wire::Ping{nonce}));
  };
  const model::Content one = frame(1);
  queue.push_frames(one);
  REQUIRE(queue.push(wire::Ping{2}));
  queue.push_frames(frame(3));
  CHECK(queue.control_bytes() == 3 * one->size());
  CHECK(queue.take_shared() == one);
  CHECK_FALSE(queue.take_shared());
  CHECK(queue.take(1 << 20) ==
        wire::encode_frame(wire::Ping{2}) + wire::encode_frame(wire::Ping{3}));
  CHECK(queue.empty());
  // A reader that does not know of shared buffers gets the same order.
  queue.push_frames(one);
  REQUIRE(queue.push(wire::Ping{2}));
  CHECK(queue.take(1) == *one + wire::encode_frame(wire::Ping{2}));
  // Dropped with the rest.
  queue.push_frames(one);
  queue.clear();
  CHECK(queue.empty());
  CHECK(queue.control_bytes() == 0);
}

TEST_CASE("send queue: a turn of a large transfer is within what was asked for") {
  session::SendQueue queue;
  queue.push_transfer(3, content_of(1'000'000), 0);
  while (!queue.empty()) CHECK(queue.take(16 << 10).size() <= 16 << 10);
}

}  // namespace notp
