// A node ships its log of decisions over a session: what the registry's end takes, in which order,
// and how much of it.
#include <doctest/doctest.h>

#include "common/limits.hpp"
#include "protocol/session/client/client_session.hpp"
#include "protocol/wire/log_limits.hpp"
#include "tests/support/registry/served_session.hpp"
#include "tests/support/wire/wire_samples.hpp"

namespace notp::session {
namespace {

namespace wired = wire::samples;

wire::LogGrant grant_of(uint64_t next, uint64_t window = limits::kLogWindowBytes) {
  wire::LogGrant grant;
  grant.log = wired::log_id();
  grant.next = next;
  grant.window_bytes = window;
  return grant;
}

wire::LogGrant refusal_of(ErrorCode code) {
  wire::LogGrant grant = grant_of(0, 0);
  grant.code = static_cast<uint32_t>(code);
  grant.message = "refused";
  return grant;
}

// A segment of 10 records from `first` on, with a body of this size, on stream 0.
wire::Segment segment_at(uint64_t first, uint64_t size = 100) {
  wire::Segment segment{wired::segment_head(), size, 0, {}};
  segment.head.first = first;
  segment.head.count = 10;
  segment.head.content_bytes = std::max<uint64_t>(size, 1);
  return segment;
}

wire::Segment pruned_at(uint64_t first, size_t hashes) {
  wire::Segment segment = segment_at(first, 0);
  segment.subtrees.assign(hashes, wired::hash_of(0x23));
  return segment;
}

wire::Hello hello_with_log() {
  wire::Hello hello{{wire::kProtocolVersion}, "test", 1, 0, {}};
  hello.log = wired::log_offer();
  return hello;
}

// A session whose peer has offered its log, and was granted it unless a case says otherwise.
struct Shipped : Served {
  explicit Shipped(bool may_record = true) {
    if (may_record) registry.granted.insert(wire::Action::kRecord);
    said = after(hello_with_log());
  }
  std::vector<wire::Message> said;

  template <typename T>
  std::vector<T> events_of() {
    std::vector<T> out;
    for (ServerEvent& event : events)
      if (auto* one = std::get_if<T>(&event)) out.push_back(std::move(*one));
    return out;
  }
  void grant(const wire::LogGrant& grant) {
    session.log_granted(grant);
    output();
  }
  // Sends the head and the whole body.
  void ship(const wire::Segment& segment) {
    after(segment);
    for (uint64_t sent = 0; sent < segment.size && !session.is_closed();) {
      const Bytes piece(std::min<uint64_t>(segment.size - sent, limits::kChunkBytesMax), 'b');
      after(wire::Chunk{segment.stream, piece});
      sent += piece.size();
    }
  }
  // Error code that the session ended with; 0: it is open.
  uint32_t ended_with() {
    if (!session.is_closed()) return 0;
    const auto closed = events_of<server_event::Closed>();
    return closed.empty() ? 0 : static_cast<uint32_t>(closed.back().error.code);
  }
};

constexpr auto kStateCode = static_cast<uint32_t>(ErrorCode::kState);
constexpr auto kLimitCode = static_cast<uint32_t>(ErrorCode::kLimit);

TEST_CASE("an offer goes to the host, whose grant goes to the node") {
  Shipped shipped;
  const auto offers = shipped.events_of<server_event::LogOffered>();
  REQUIRE(offers.size() == 1);
  CHECK(offers[0].offer.log == wired::log_id());
  CHECK(offers[0].offer.size == 2048);
  CHECK(all_of<wire::LogGrant>(shipped.said).empty());
  shipped.session.log_granted(grant_of(1024));
  const auto grants = all_of<wire::LogGrant>(shipped.output());
  REQUIRE(grants.size() == 1);
  CHECK(grants[0].next == 1024);
  CHECK(grants[0].window_bytes == limits::kLogWindowBytes);
}

TEST_CASE("a peer without the right to record gets no grant and no refusal") {
  Shipped shipped(/*may_record=*/false);
  CHECK(shipped.events_of<server_event::LogOffered>().empty());
  CHECK(shipped.events_of<server_event::Refused>().empty());
  CHECK(all_of<wire::Welcome>(shipped.said).size() == 1);
  shipped.session.log_granted(grant_of(0));
  CHECK(all_of<wire::LogGrant>(shipped.output()).empty());
  shipped.after(segment_at(0));
  CHECK(shipped.ended_with() == kStateCode);
}

TEST_CASE("segments reach the host whole and in order, with and without a body") {
  Shipped shipped;
  shipped.grant(grant_of(0));
  shipped.after(segment_at(0, 5));
  shipped.after(wire::Chunk{0, "12"});
  CHECK(shipped.events_of<server_event::SegmentArrived>().empty());
  shipped.after(wire::Chunk{0, "345"});
  shipped.after(pruned_at(10, 3));  // [10, 12) [12, 16) [16, 20)
  shipped.ship(segment_at(20, 300'000));
  const auto arrived = shipped.events_of<server_event::SegmentArrived>();
  REQUIRE(arrived.size() == 3);
  CHECK(arrived[0].body == "12345");
  CHECK(arrived[0].segment.head == segment_at(0, 5).head);
  CHECK(arrived[1].segment.head.first == 10);
  CHECK(arrived[1].segment.subtrees.size() == 3);
  CHECK(arrived[1].body.empty());
  CHECK(arrived[2].body.size() == 300'000);
  CHECK(shipped.ended_with() == 0);
}

TEST_CASE("a first segment may begin anywhere: what is missing or twice is the host's to judge") {
  for (const uint64_t first : {0, 10, 1'000'000}) {
    Shipped shipped;
    shipped.grant(grant_of(10));
    shipped.ship(segment_at(first));
    CHECK(shipped.events_of<server_event::SegmentArrived>().size() == 1);
    CHECK(shipped.ended_with() == 0);
  }
}

TEST_CASE("segments out of place end the session with STATE") {
  Shipped early;
  early.after(segment_at(0));
  CHECK(early.ended_with() == kStateCode);

  Served without_offer;
  without_offer.registry.granted.insert(wire::Action::kRecord);
  without_offer.subscribe({});
  without_offer.after(segment_at(0));
  CHECK(without_offer.session.is_closed());

  Shipped other_log;
  other_log.grant(grant_of(0));
  wire::Segment foreign = segment_at(0);
  foreign.head.log.bytes[0] ^= 1;
  other_log.after(foreign);
  CHECK(other_log.ended_with() == kStateCode);

  for (const uint64_t next : {0, 9, 11, 20}) {
    CAPTURE(next);
    Shipped out_of_order;
    out_of_order.grant(grant_of(0));
    out_of_order.ship(segment_at(0));
    out_of_order.ship(segment_at(next));
    CHECK(out_of_order.ended_with() == kStateCode);
  }

  Shipped inside;
  inside.grant(grant_of(0));
  inside.after(segment_at(0));
  wire::Segment second = segment_at(10);
  second.stream = 1;
  inside.after(second);
  CHECK(inside.ended_with() == kStateCode);
}

TEST_CASE("chunks past a body's end, or after it, end the session with STATE") {
  Shipped longer;
  longer.grant(grant_of(0));
  longer.after(segment_at(0, 5));
  longer.after(wire::Chunk{0, "123456"});
  CHECK(longer.ended_with() == kStateCode);
  Shipped later;
  later.grant(grant_of(0));
  later.after(segment_at(0, 5));
  later.after(wire::Chunk{0, "12345"});
  CHECK(later.ended_with() == 0);
  later.after(wire::Chunk{0, "6"});
  CHECK(later.ended_with() == kStateCode);
}

TEST_CASE("segments and uploads share the numbers of streams") {
  wire::Publish publish;
  publish.ledger = samples::kLedger;
  publish.version = 4;
  publish.size = 5;
  publish.stream = 7;
  wire::Segment segment = segment_at(0, 5);
  segment.stream = 7;
  Shipped after_upload;
  after_upload.registry.granted.insert(wire::Action::kPublish);
  after_upload.grant(grant_of(0));
  after_upload.after(publish);
  after_upload.after(segment);
  CHECK(after_upload.ended_with() == kStateCode);
  Shipped after_segment;
  after_segment.registry.granted.insert(wire::Action::kPublish);
  after_segment.grant(grant_of(0));
  after_segment.after(segment);
  after_segment.after(publish);
  CHECK(after_segment.ended_with() == kStateCode);
  Shipped apart;
  apart.registry.granted.insert(wire::Action::kPublish);
  apart.grant(grant_of(0));
  apart.after(segment);
  publish.stream = 8;
  apart.after(publish);
  apart.after(wire::Chunk{8, "abcde"});
  apart.after(wire::Chunk{7, "fghij"});
  CHECK(apart.events_of<server_event::PublishArrived>().size() == 1);
  CHECK(apart.events_of<server_event::SegmentArrived>().at(0).body == "fghij");
  CHECK(apart.ended_with() == 0);
}

TEST_CASE("what waits for its commit is bounded by the window and one segment") {
  Shipped shipped;
  shipped.grant(grant_of(0));
  constexpr uint64_t kBody = 200'000, kCost = kBody + limits::kSegmentOverheadBytes;
  uint64_t first = 0, taken = 0;
  for (; shipped.ended_with() == 0 && first < 10'000; first += 10) {
    shipped.ship(segment_at(first, kBody));
    if (shipped.ended_with() == 0) taken += kCost;
  }
  CHECK(shipped.ended_with() == kLimitCode);
  CHECK(taken > limits::kLogWindowBytes);
  CHECK(taken <= limits::kLogWindowBytes + kCost);
}

TEST_CASE("segments without a body count against the window, too") {
  Shipped shipped;
  shipped.grant(grant_of(0));
  size_t taken = 0;
  // Ten records from a multiple of 20 on are two or three subtrees.
  for (uint64_t first = 0; shipped.ended_with() == 0 && taken < 10'000; first += 10, ++taken)
    shipped.after(pruned_at(first, record::subtree_count(first, 10)));
  CHECK(shipped.ended_with() == kLimitCode);
  CHECK(taken <= limits::kLogWindowBytes / limits::kSegmentOverheadBytes + 2);
}

TEST_CASE("an acknowledgement frees the window") {
  Shipped shipped;
  shipped.grant(grant_of(0));
  for (uint64_t first = 0; first < 1'000; first += 10) {
    shipped.ship(segment_at(first, 400'000));
    shipped.grant(grant_of(first < 10 ? 0 : first));  // two wait
  }
  CHECK(shipped.ended_with() == 0);
  CHECK(shipped.events_of<server_event::SegmentArrived>().size() == 100);
}

TEST_CASE(
    "a window of 0 from the start allows nothing; one that closes later allows what is sent") {
  Shipped never;
  never.grant(grant_of(0, 0));
  never.after(segment_at(0));
  CHECK(never.ended_with() == kLimitCode);

  Shipped closing;
  closing.grant(grant_of(0));
  closing.grant(grant_of(0, 0));
  closing.ship(segment_at(0));  // it was on its way
  CHECK(closing.ended_with() == 0);
  CHECK(closing.events_of<server_event::SegmentArrived>().size() == 1);
}

TEST_CASE("the announcement comes when it is asked for, before the first segment") {
  Shipped unasked;
  unasked.grant(grant_of(0));
  unasked.after(wire::LogAnnouncement{"announcement"});
  CHECK(unasked.ended_with() == kStateCode);

  wire::LogGrant asking = grant_of(0);
  asking.announce = true;
  Shipped asked;
  asked.grant(asking);
  asked.after(wire::LogAnnouncement{"announcement"});
  asked.ship(segment_at(0));
  const auto announced = asked.events_of<server_event::LogAnnounced>();
  REQUIRE(announced.size() == 1);
  CHECK(announced[0].log == wired::log_id());
  CHECK(announced[0].announcement == "announcement");
  CHECK(asked.ended_with() == 0);
  asked.after(wire::LogAnnouncement{"announcement"});
  CHECK(asked.ended_with() == kStateCode);

  Shipped silent;
  silent.grant(asking);
  silent.after(segment_at(0));
  CHECK(silent.ended_with() == kStateCode);
}

TEST_CASE("after a refusal what is on its way is dropped, and the session goes on") {
  Shipped shipped;
  shipped.grant(grant_of(0));
  shipped.after(segment_at(0, 10));
  shipped.after(wire::Chunk{0, "12345"});
  shipped.session.log_granted(refusal_of(ErrorCode::kLogFork));
  CHECK(all_of<wire::LogGrant>(shipped.output()).size() == 1);
  shipped.after(wire::Chunk{0, "67890"});
  shipped.ship(segment_at(10, 300));
  CHECK(shipped.events_of<server_event::SegmentArrived>().empty());
  CHECK(shipped.ended_with() == 0);
  // It stays refused.
  shipped.session.log_granted(grant_of(0));
  CHECK(all_of<wire::LogGrant>(shipped.output()).empty());
  // The window still bounds what its peer may send.
  for (uint64_t first = 20; shipped.ended_with() == 0 && first < 10'000; first += 10)
    shipped.ship(segment_at(first, 200'000));
  CHECK(shipped.ended_with() == kLimitCode);
}

TEST_CASE("a right to record that is withdrawn refuses the log, and nothing else") {
  Shipped shipped;
  shipped.grant(grant_of(0));
  shipped.ship(segment_at(0));
  shipped.registry.granted.erase(wire::Action::kRecord);
  const auto refused = all_of<wire::LogGrant>(shipped.after(segment_at(10)));
  REQUIRE(refused.size() == 1);
  CHECK(refused[0].code == static_cast<uint32_t>(ErrorCode::kDenied));
  shipped.after(wire::Chunk{0, Bytes(100, 'b')});
  CHECK(shipped.events_of<server_event::SegmentArrived>().size() == 1);
  CHECK(shipped.ended_with() == 0);
}

// Advances time; the peer keeps pinging.
void pings(Served& served, TimeMs until_ms) {
  while (!served.session.is_closed() && served.now.boot_ms < until_ms) {
    served.now.boot_ms += 1'000;
    served.session.on_deadline(served.now);
    served.after(wire::Ping{1});
  }
}

TEST_CASE("a segment may be slow, because everything else goes first, but must move") {
  Shipped shipped;
  shipped.grant(grant_of(0));
  shipped.after(segment_at(0, 1'000));
  for (int piece = 0; piece < 5; ++piece) {
    pings(shipped, shipped.now.boot_ms + limits::kIdleMs - 1'000);
    shipped.after(wire::Chunk{0, "x"});
  }
  CHECK(shipped.ended_with() == 0);
  pings(shipped, shipped.now.boot_ms + limits::kIdleMs);
  CHECK(shipped.ended_with() == static_cast<uint32_t>(ErrorCode::kTimeout));
}

TEST_CASE("between segments a log has no deadline") {
  Shipped shipped;
  shipped.grant(grant_of(0));
  shipped.ship(segment_at(0));
  pings(shipped, shipped.now.boot_ms + 5 * limits::kIdleMs);
  CHECK(shipped.ended_with() == 0);
}

// --- both ends

struct Node {
  ClientSession session;
  explicit Node(wire::Hello hello) : session(std::move(hello), {}, kStart) {}

  // Hands everything over, in both directions, until both are silent.
  void converse(Served& served) {
    for (bool moved = true; moved;) {
      const Bytes up = session.take_output(1 << 16);
      served.session.receive(up, served.now);
      for (ServerEvent& event : served.session.take_events())
        served.events.push_back(std::move(event));
      const Bytes down = served.session.take_output(1 << 16);
      session.receive(down, served.now);
      moved = !up.empty() || !down.empty();
    }
  }
};

record::Segment recorded(uint64_t first, size_t bytes) {
  record::Segment segment{segment_at(first, bytes).head, Bytes(bytes, 'b'), {}};
  if (bytes == 0) segment.subtrees.assign(record::subtree_count(first, 10), wired::hash_of(0x23));
  return segment;
}

TEST_CASE("a client ships announcement and segments, and hears grants") {
  Served served;
  served.registry.granted.insert(wire::Action::kRecord);
  Node node(hello_with_log());
  node.converse(served);
  wire::LogGrant asking = grant_of(0);
  asking.announce = true;
  served.session.log_granted(asking);
  node.converse(served);
  node.session.announce_log("announcement");
  node.session.send_segment(recorded(0, 100'000));
  node.session.send_segment(recorded(10, 0));
  node.session.send_segment(recorded(20, 70'000));
  node.converse(served);
  std::vector<record::Position> arrived;
  size_t announced = 0;
  for (const ServerEvent& event : served.events) {
    announced += std::holds_alternative<server_event::LogAnnounced>(event);
    if (const auto* one = std::get_if<server_event::SegmentArrived>(&event)) {
      arrived.push_back(one->segment.head.first);
      CHECK(one->body.size() == one->segment.size);
    }
  }
  CHECK(announced == 1);
  CHECK(arrived == std::vector<record::Position>{0, 10, 20});
  CHECK_FALSE(served.session.is_closed());
  size_t grants = 0;
  for (const ClientEvent& event : node.session.take_events())
    grants += std::holds_alternative<client_event::LogGranted>(event);
  CHECK(grants == 1);
}

TEST_CASE("a client takes a grant of the log that it offered, and of no other") {
  wire::Welcome welcome;
  welcome.trust_domain = std::string(samples::kDomain);
  const auto answer = [&](const wire::Hello& hello, const wire::LogGrant& grant) {
    ClientSession client(hello, {}, kStart);
    client.receive(wire::encode_frame(welcome) + wire::encode_frame(grant), kStart);
    return client.is_closed();
  };
  CHECK_FALSE(answer(hello_with_log(), grant_of(0)));
  wire::LogGrant foreign = grant_of(0);
  foreign.log.bytes[0] ^= 1;
  CHECK(answer(hello_with_log(), foreign));
  CHECK(answer(wire::Hello{{1}, "test", 1, 0, {}}, grant_of(0)));
}

TEST_CASE("a report of the client waits for one chunk of a segment at most") {
  Served served;
  served.registry.granted.insert(wire::Action::kRecord);
  Node node(hello_with_log());
  node.converse(served);
  served.session.log_granted(grant_of(0));
  node.converse(served);
  node.session.send_segment(recorded(0, 500'000));
  const Bytes begun = node.session.take_output(1 << 16);
  CHECK(begun.size() <= limits::kSegmentChunkBytes + 1'000);
  node.session.request(wire::Request{7, wire::TrustRequest{}});
  const auto next = messages_in(node.session.take_output(1 << 16));
  REQUIRE(next.size() == 1);
  CHECK(std::holds_alternative<wire::Request>(next[0]));
}

}  // namespace
}  // namespace notp::session
