// The shell that ships a log: segments are loaded on its own thread, sent in order, and what a
// session leaves unacknowledged is sent again in the next one.
#include <doctest/doctest.h>

#include <boost/asio/io_context.hpp>

#include "common/limits.hpp"
#include "notp-client/agent/host/log_uploader.hpp"
#include "tests/support/wire/wire_messages.hpp"
#include "tests/support/wire/wire_samples.hpp"

namespace notp::agent {
namespace {

namespace asio = boost::asio;
using wire::samples::log_id;

constexpr Now kNow{1'000, 1'000};

// A log of segments with 10 records each.
class Log final : public spool::SegmentSource {
 public:
  spool::SealedLog sealed() const override {
    return {id,        kept_from, segments * 10, wire::samples::hash_of(0x21), "announcement",
            oldest_ms, 5};
  }
  Result<record::Segment> segment(record::Position first) override {
    loads.push_back(first);
    if (is_damaged) return fail(ErrorCode::kCorrupt, "the spool is damaged");
    record::SegmentHead head = wire::samples::segment_head();
    head.first = first;
    head.count = 10;
    head.content_bytes = 1'000;
    return record::Segment{head, Bytes(500, 'b'), {}};
  }
  void acknowledged(record::Position next) override { acknowledged_below = next; }
  void connected(bool is_connected) override { connections.push_back(is_connected); }
  void on_sealed(std::function<void()> handler) override { sealed_handler = std::move(handler); }
  Result<spool::NewLog> begin_new_log(std::string reason) override {
    reasons.push_back(std::move(reason));
    if (!can_begin) return fail(ErrorCode::kIo, "the disk is full");
    id.bytes.at(0) ^= 0xff;
    segments = 0;
    return spool::NewLog{id, "/spool/*.old-7"};
  }

  spool::TreeState tree() const override {
    spool::TreeState out;
    if (!witnesses.empty()) out.announcement = "announcement";
    if (!refused.empty()) out.refusal = spool::TreeRefusal{1, refused, {}, {}, {}};
    return out;
  }
  std::pair<std::optional<record::LogId>, uint64_t> offered_tree() const override {
    return {kTree, 7};
  }
  Result<wire::LogWitness> witness(const wire::LogReceipt& receipt, const spool::ReceiptPeer& peer,
                                   TimeMs wall_ms) override {
    witnesses.push_back(receipt.size);
    CHECK(peer.registry == "spiffe://core.internal/registry/main");
    CHECK(wall_ms == kNow.wall_ms);
    if (failing_witnesses > 0) {
      --failing_witnesses;
      return fail(ErrorCode::kIo, "the disk is full");
    }
    wire::LogWitness out;
    out.log = receipt.log;
    if (!refused.empty()) {
      out.code = static_cast<uint32_t>(ErrorCode::kRegistrySplit);
      out.message = refused;
      return out;
    }
    out.tree_size = receipt.size;
    out.signature = Bytes(kSignatureBytes, 's');
    return out;
  }

  static constexpr record::LogId kTree{{4, 5}};
  std::vector<uint64_t> witnesses;  // sizes of receipts
  size_t failing_witnesses = 0;
  std::string refused;
  record::LogId id = log_id();
  record::Position kept_from = 0;
  bool can_begin = true;
  std::vector<std::string> reasons;
  uint64_t segments = 0;
  TimeMs oldest_ms = 0;
  bool is_damaged = false;
  std::vector<record::Position> loads;
  record::Position acknowledged_below = 0;
  std::vector<bool> connections;
  std::function<void()> sealed_handler;
};

struct Shipping {
  asio::io_context context;
  Log log;
  std::vector<Error> failures;
  std::vector<TreeWitness> trees;
  Now now = kNow;
  size_t wakes = 0;
  std::unique_ptr<LogUploader> uploader = std::make_unique<LogUploader>(
      context.get_executor(), log,
      LogUploader::Handlers{.wake = [this] { ++wakes; },
                            .failed = [this](const Error& error) { failures.push_back(error); },
                            .tree = [this](const TreeWitness& seen) { trees.push_back(seen); },
                            .clock = [this] { return now; }});
  std::unique_ptr<session::ClientSession> session;

  explicit Shipping(uint64_t segments) { log.segments = segments; }
  ~Shipping() {
    uploader.reset();
    run();
  }

  // Until nothing is left to do: a load counts as work of the context.
  void run() {
    context.restart();
    context.run();
  }
  void begin() {
    wire::Hello hello{{wire::kProtocolVersion}, "test", 1, 0, {}};
    hello.log = uploader->next_offer();
    REQUIRE(hello.log);
    session = std::make_unique<session::ClientSession>(
        hello, std::vector<session::PartialArtifact>{}, kNow);
    session->take_output(1 << 20);
    uploader->session_begins(*session, {"spiffe://core.internal/registry/main", "core.internal"});
  }
  void end() {
    uploader->session_ended();
    session.reset();
  }
  Result<void> grant(uint64_t next, bool announce = false, uint32_t code = 0) {
    wire::LogGrant grant;
    grant.log = log_id();
    grant.next = next;
    grant.window_bytes = limits::kLogWindowBytes;
    grant.announce = announce;
    grant.code = code;
    grant.message = "refused";
    const auto outcome = uploader->granted(grant);
    run();
    return outcome;
  }
  // The first positions of the segments that were sent; -1: the announcement.
  std::vector<int64_t> sent() {
    std::vector<int64_t> out;
    wire::FrameParser parser;
    for (Bytes bytes = session->take_output(1 << 20); !bytes.empty();
         bytes = session->take_output(1 << 20))
      parser.feed(bytes), collect(parser, out);
    return out;
  }
  static void collect(wire::FrameParser& parser, std::vector<int64_t>& out) {
    for (auto next = parser.next(); next && *next; next = parser.next()) {
      if (const auto* segment = std::get_if<wire::Segment>(&**next))
        out.push_back(static_cast<int64_t>(segment->head.first));
      if (std::holds_alternative<wire::LogAnnouncement>(**next)) out.push_back(-1);
    }
  }
};

using Sent = std::vector<int64_t>;

TEST_CASE("an offer says how long the oldest record has waited, a segment when others follow") {
  Shipping shipping(2);
  CHECK(shipping.uploader->next_offer()->oldest_age_ms == 0);
  shipping.now.wall_ms = 100'000;
  shipping.log.oldest_ms = 40'000;
  CHECK(shipping.uploader->next_offer()->oldest_age_ms == 60'000);
  shipping.begin();
  CHECK(shipping.grant(0));
  std::vector<uint64_t> waits;
  wire::FrameParser parser;
  for (Bytes bytes = shipping.session->take_output(1 << 20); !bytes.empty();
       bytes = shipping.session->take_output(1 << 20)) {
    parser.feed(bytes);
    for (auto next = parser.next(); next && *next; next = parser.next())
      if (const auto* segment = std::get_if<wire::Segment>(&**next))
        waits.push_back(segment->oldest_age_ms);
  }
  CHECK(waits == std::vector<uint64_t>{60'000, 0});
  shipping.end();
  shipping.log.oldest_ms = 200'000;  // the clock was set back
  CHECK(shipping.uploader->next_offer()->oldest_age_ms == 1);
}

TEST_CASE("nothing is loaded before a grant, and then every segment in order") {
  Shipping shipping(3);
  shipping.begin();
  shipping.run();
  CHECK(shipping.log.loads.empty());
  CHECK(shipping.grant(10));
  CHECK(shipping.sent() == Sent{10, 20});
  CHECK(shipping.wakes >= 2);
  CHECK(shipping.log.connections == std::vector<bool>{true});
  CHECK(shipping.log.acknowledged_below == 10);
}

TEST_CASE("the announcement goes first when the registry asks for it") {
  Shipping shipping(2);
  shipping.begin();
  CHECK(shipping.grant(0, /*announce=*/true));
  CHECK(shipping.sent() == Sent{-1, 0, 10});
}

TEST_CASE("a segment that is sealed in a session is sent in it") {
  Shipping shipping(1);
  shipping.begin();
  CHECK(shipping.grant(0));
  CHECK(shipping.sent() == Sent{0});
  shipping.log.segments = 2;
  shipping.log.sealed_handler();
  shipping.run();
  CHECK(shipping.sent() == Sent{10});
  CHECK(shipping.grant(20));
  CHECK(shipping.log.acknowledged_below == 20);
}

TEST_CASE("an empty log is offered, too: its first segment may be sealed in the session") {
  Shipping shipping(0);
  shipping.begin();
  CHECK(shipping.grant(0, /*announce=*/true));
  shipping.log.segments = 1;
  shipping.log.sealed_handler();
  shipping.run();
  CHECK(shipping.sent() == Sent{-1, 0});
}

TEST_CASE("what a session leaves unacknowledged is sent again in the next one") {
  Shipping shipping(3);
  shipping.begin();
  CHECK(shipping.grant(0));
  CHECK(shipping.sent() == Sent{0, 10, 20});
  shipping.end();
  CHECK_FALSE(shipping.log.connections.back());
  shipping.begin();
  CHECK(shipping.grant(10));
  CHECK(shipping.sent() == Sent{10, 20});
}

TEST_CASE("a load of a session that has ended is not sent in the next one") {
  Shipping shipping(2);
  shipping.begin();
  wire::LogGrant grant;
  grant.log = log_id();
  grant.window_bytes = limits::kLogWindowBytes;
  CHECK(shipping.uploader->granted(grant));  // a load is under way
  shipping.end();
  shipping.begin();
  shipping.run();
  CHECK(shipping.sent().empty());
  CHECK(shipping.grant(0));
  CHECK(shipping.sent() == Sent{0, 10});
}

TEST_CASE("a refusal stops shipping, and the next session offers again") {
  Shipping shipping(2);
  shipping.begin();
  const auto refused = shipping.grant(0, false, static_cast<uint32_t>(ErrorCode::kLogGap));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kLogGap);
  CHECK(shipping.log.reasons.empty());
  CHECK(shipping.sent().empty());
  CHECK_FALSE(shipping.log.connections.back());
  shipping.log.sealed_handler();
  shipping.run();
  CHECK(shipping.sent().empty());
  shipping.end();
  shipping.begin();
  CHECK(shipping.grant(0));
  CHECK(shipping.sent() == Sent{0, 10});
}

TEST_CASE("a fork begins a new log, once, says so, and ends the session to offer it") {
  Shipping shipping(2);
  shipping.begin();
  CHECK(shipping.grant(0));
  CHECK_FALSE(shipping.session->is_closed());
  const record::LogId before = shipping.log.id;
  const auto refused = shipping.grant(0, false, static_cast<uint32_t>(ErrorCode::kLogFork));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kLogFork);
  REQUIRE(shipping.log.reasons.size() == 1);
  CHECK(shipping.log.reasons[0].contains("refused"));
  CHECK(shipping.log.acknowledged_below == 5);  // what was before counts for this branch
  CHECK(shipping.session->is_closed());
  REQUIRE(shipping.failures.size() == 1);
  CHECK(shipping.failures[0].code == ErrorCode::kLogGap);
  CHECK(shipping.failures[0].message.contains(shipping.log.id.hex()));
  CHECK(shipping.failures[0].message.contains("/spool/*.old-7"));
  // What the registry has of the log before means nothing for this one.
  shipping.log.acknowledged_below = 77;
  CHECK(shipping.grant(10));
  CHECK(shipping.log.acknowledged_below == 77);
  shipping.end();
  const auto offer = shipping.uploader->next_offer();
  REQUIRE(offer);
  CHECK(offer->log == shipping.log.id);
  CHECK(offer->log != before);
  CHECK(offer->size == 0);
}

TEST_CASE("forks begin a new log once a minute at most; one that failed is begun then") {
  Shipping shipping(2);
  const auto fork = [&] {
    shipping.begin();
    wire::LogGrant grant;
    grant.log = shipping.log.id;
    grant.code = static_cast<uint32_t>(ErrorCode::kLogFork);
    CHECK_FALSE(shipping.uploader->granted(grant));
    shipping.run();
  };
  shipping.log.can_begin = false;
  fork();
  CHECK(shipping.log.reasons.size() == 1);
  CHECK_FALSE(shipping.session->is_closed());
  REQUIRE(shipping.failures.size() == 1);
  CHECK(shipping.failures[0].message.contains("the disk is full"));
  shipping.end();
  shipping.log.can_begin = true;
  shipping.now.boot_ms += kNewLogMs - 1;
  fork();
  CHECK(shipping.log.reasons.size() == 1);
  // In a session that goes on, the next seal looks again.
  shipping.now.boot_ms += 1;
  shipping.log.sealed_handler();
  shipping.run();
  CHECK(shipping.log.reasons.size() == 2);
  CHECK(shipping.session->is_closed());
  shipping.end();
  fork();
  CHECK(shipping.log.reasons.size() == 2);
  shipping.end();
}

TEST_CASE("a gap begins a new log only when what the registry lacks is deleted here") {
  Shipping shipping(4);
  SUBCASE("deleted") { shipping.log.kept_from = 20; }
  SUBCASE("kept") {}
  const bool is_deleted = shipping.log.kept_from != 0;
  shipping.begin();
  CHECK(shipping.grant(10));
  CHECK_FALSE(shipping.grant(10, false, static_cast<uint32_t>(ErrorCode::kLogGap)));
  CHECK(shipping.log.reasons.size() == (is_deleted ? 1 : 0));
  CHECK(shipping.session->is_closed() == is_deleted);
  if (!is_deleted) return;
  CHECK(shipping.log.reasons[0].contains("lacks deleted records"));
  REQUIRE(shipping.failures.size() == 1);
  CHECK(shipping.failures[0].message.contains("/spool/*.old-7"));
}

TEST_CASE("a log that was not open before is offered in a session of its own") {
  Shipping shipping(0);
  const record::LogId later = std::exchange(shipping.log.id, {});
  CHECK_FALSE(shipping.uploader->next_offer());
  wire::Hello hello{{wire::kProtocolVersion}, "test", 1, 0, {}};
  session::ClientSession session(hello, {}, kNow);
  shipping.uploader->session_begins(session, {});
  shipping.log.sealed_handler();
  shipping.run();
  CHECK_FALSE(session.is_closed());
  shipping.log.id = later;
  shipping.log.sealed_handler();
  shipping.run();
  CHECK(session.is_closed());
  shipping.uploader->session_ended();
  CHECK(shipping.uploader->next_offer()->log == later);
}

TEST_CASE("a log that is refused after some of it was taken counts as not taken") {
  Shipping shipping(2);
  shipping.begin();
  CHECK(shipping.grant(0));
  CHECK(shipping.log.connections.back());
  CHECK_FALSE(shipping.grant(0, false, static_cast<uint32_t>(ErrorCode::kLogGap)));
  CHECK_FALSE(shipping.log.connections.back());
}

TEST_CASE("a segment that cannot be loaded stops shipping, and says so") {
  Shipping shipping(2);
  shipping.log.is_damaged = true;
  shipping.begin();
  CHECK(shipping.grant(0));
  CHECK(shipping.sent().empty());
  REQUIRE(shipping.failures.size() == 1);
  CHECK(shipping.failures[0].code == ErrorCode::kCorrupt);
}

// The sizes of the tree that were cosigned; 0: refused.
std::vector<uint64_t> answers(session::ClientSession& session) {
  std::vector<uint64_t> out;
  wire::FrameParser parser;
  for (Bytes bytes = session.take_output(1 << 20); !bytes.empty();
       bytes = session.take_output(1 << 20))
    parser.feed(bytes);
  for (auto next = parser.next(); next && *next; next = parser.next())
    if (const auto* witness = std::get_if<wire::LogWitness>(&**next))
      out.push_back(witness->code == 0 ? witness->tree_size : 0);
  return out;
}

wire::LogReceipt receipt_of(uint64_t size) {
  wire::LogReceipt out;
  out.log = log_id();
  out.size = size;
  return out;
}

TEST_CASE("an offer names the tree, and a receipt is verified by the log and answered") {
  Shipping shipping(2);
  CHECK(shipping.uploader->next_offer()->tree == Log::kTree);
  CHECK(shipping.uploader->next_offer()->tree_size == 7);
  shipping.begin();
  CHECK(shipping.grant(0));
  (void)shipping.sent();
  shipping.uploader->on_receipt(receipt_of(10));
  CHECK(answers(*shipping.session).empty());  // it is being verified
  shipping.run();
  CHECK(answers(*shipping.session) == std::vector<uint64_t>{10});
  REQUIRE(shipping.trees.size() == 1);
  CHECK(shipping.trees[0].is_known);
  CHECK(shipping.trees[0].refused.empty());
}

TEST_CASE("receipts that come too fast wait, and the newest one counts") {
  Shipping shipping(2);
  shipping.begin();
  for (uint64_t size : {10, 20, 30, 40}) shipping.uploader->on_receipt(receipt_of(size));
  shipping.context.restart();
  shipping.context.poll();
  while (shipping.log.witnesses.empty() || answers(*shipping.session).empty())
    shipping.context.run_one();
  CHECK(shipping.log.witnesses == std::vector<uint64_t>{10});
  shipping.now.boot_ms += kReceiptMs;
  shipping.run();
  CHECK(shipping.log.witnesses == std::vector<uint64_t>{10, 40});
}

TEST_CASE("a receipt that the disk cannot keep is tried again, and answered then alone") {
  Shipping shipping(2);
  shipping.log.failing_witnesses = 1;
  shipping.begin();
  shipping.uploader->on_receipt(receipt_of(10));
  shipping.context.restart();
  while (shipping.log.witnesses.empty()) shipping.context.run_one();
  CHECK(answers(*shipping.session).empty());
  shipping.now.boot_ms += kReceiptMs;
  shipping.run();
  CHECK(shipping.log.witnesses.size() == 2);
  CHECK(answers(*shipping.session) == std::vector<uint64_t>{10});
}

TEST_CASE("a refused receipt is answered, and an alarm that lasts") {
  Shipping shipping(2);
  shipping.log.refused = "the registry's tree shrank";
  shipping.begin();
  shipping.uploader->on_receipt(receipt_of(10));
  shipping.run();
  CHECK(answers(*shipping.session) == std::vector<uint64_t>{0});
  REQUIRE(shipping.trees.size() == 1);
  CHECK(shipping.trees[0].refused == "the registry's tree shrank");
  CHECK(shipping.uploader->tree_witness().refused == "the registry's tree shrank");
}

TEST_CASE("a receipt of an earlier session is not answered in the next one") {
  Shipping shipping(2);
  shipping.begin();
  shipping.uploader->on_receipt(receipt_of(10));
  shipping.end();
  shipping.begin();
  shipping.run();
  CHECK(shipping.log.witnesses == std::vector<uint64_t>{10});
  CHECK(answers(*shipping.session).empty());
}

TEST_CASE("an uploader that ends while a segment is loaded is not called any more") {
  Shipping shipping(2);
  shipping.begin();
  wire::LogGrant grant;
  grant.log = log_id();
  grant.window_bytes = limits::kLogWindowBytes;
  CHECK(shipping.uploader->granted(grant));
  shipping.uploader.reset();
  shipping.log.sealed_handler();
  shipping.run();
  CHECK(shipping.sent().empty());
}

}  // namespace
}  // namespace notp::agent
