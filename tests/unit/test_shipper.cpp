// What of a log goes to the registry: offers, grants, windows, acknowledgements, refusals.
#include <doctest/doctest.h>

#include "notp-client/spool/shipper.hpp"

namespace notp::spool {
namespace {

constexpr record::LogId kLog{{1, 2, 3}};

SealedLog log_of(record::Position size, record::Position first = 0) {
  return {kLog, first, size, sha256("root"), "announcement"};
}

wire::LogGrant grant_of(uint64_t next, uint64_t window, bool announce = false) {
  wire::LogGrant grant;
  grant.log = kLog;
  grant.next = next;
  grant.window_bytes = window;
  grant.announce = announce;
  return grant;
}

ErrorCode code_of(const Result<void>& result) {
  REQUIRE_FALSE(result);
  return result.error().code;
}

// The position of the next segment; nullopt: nothing, or an announcement.
std::optional<record::Position> segment_of(const std::optional<ShipStep>& step) {
  if (!step || step->kind != ShipStep::Kind::kSegment) return std::nullopt;
  return step->first;
}

}  // namespace

TEST_CASE("a log is offered with its size and root, and one without a log id is not") {
  Shipper shipper;
  CHECK_FALSE(shipper.session_begins({}));
  const auto offer = shipper.session_begins(log_of(10));
  REQUIRE(offer);
  CHECK(offer->log == kLog);
  CHECK(offer->size == 10);
  CHECK(offer->root == sha256("root"));
  CHECK_FALSE(shipper.is_granted());
  CHECK_FALSE(shipper.next(log_of(10)));
}

TEST_CASE("segments go in order, one at a time, and within the window") {
  Shipper shipper;
  (void)shipper.session_begins(log_of(30));
  REQUIRE(shipper.granted(grant_of(0, 150), log_of(30)));
  CHECK(shipper.is_granted());
  CHECK(segment_of(shipper.next(log_of(30))) == 0);
  CHECK_FALSE(shipper.next(log_of(30)));  // it is being loaded
  shipper.sent(10, 100);
  CHECK(segment_of(shipper.next(log_of(30))) == 10);
  shipper.sent(20, 100);
  CHECK_FALSE(shipper.next(log_of(30)));  // 200 of 150 bytes are on their way
  REQUIRE(shipper.granted(grant_of(10, 150), log_of(30)));
  CHECK(shipper.acknowledged() == 10);
  CHECK(segment_of(shipper.next(log_of(30))) == 20);
  shipper.sent(30, 100);
  REQUIRE(shipper.granted(grant_of(30, 150), log_of(30)));
  CHECK(shipper.acknowledged() == 30);
  CHECK_FALSE(shipper.next(log_of(30)));
  CHECK(segment_of(shipper.next(log_of(40))) == 30);
}

TEST_CASE("a window of 0 stops, and a later grant goes on") {
  Shipper shipper;
  (void)shipper.session_begins(log_of(10));
  REQUIRE(shipper.granted(grant_of(0, 0), log_of(10)));
  CHECK_FALSE(shipper.next(log_of(10)));
  REQUIRE(shipper.granted(grant_of(0, 1), log_of(10)));
  CHECK(segment_of(shipper.next(log_of(10))) == 0);
}

TEST_CASE("an announcement goes first, and waits until it is signed") {
  Shipper shipper;
  SealedLog log = log_of(10);
  log.announcement.clear();
  (void)shipper.session_begins(log);
  REQUIRE(shipper.granted(grant_of(0, 100, /*announce=*/true), log));
  CHECK_FALSE(shipper.next(log));
  const auto step = shipper.next(log_of(10));
  REQUIRE(step);
  CHECK(step->kind == ShipStep::Kind::kAnnounce);
  CHECK(segment_of(shipper.next(log_of(10))) == 0);
}

TEST_CASE("a session resumes where the registry is, and sends again what was on its way") {
  Shipper shipper;
  (void)shipper.session_begins(log_of(30));
  REQUIRE(shipper.granted(grant_of(0, 1000), log_of(30)));
  CHECK(segment_of(shipper.next(log_of(30))) == 0);
  shipper.sent(10, 100);
  CHECK(segment_of(shipper.next(log_of(30))) == 10);
  shipper.session_ended();
  CHECK_FALSE(shipper.next(log_of(30)));
  (void)shipper.session_begins(log_of(30));
  REQUIRE(shipper.granted(grant_of(10, 1000), log_of(30)));
  CHECK(shipper.acknowledged() == 10);
  CHECK(segment_of(shipper.next(log_of(30))) == 10);
}

TEST_CASE("a registry that has lost segments gets what is kept") {
  Shipper shipper;
  (void)shipper.session_begins(log_of(30, 20));
  REQUIRE(shipper.granted(grant_of(10, 1000), log_of(30, 20)));
  CHECK(shipper.acknowledged() == 10);
  CHECK(segment_of(shipper.next(log_of(30, 20))) == 20);
}

TEST_CASE("a registry that has more than the node is a fork, and nothing is sent") {
  Shipper shipper;
  (void)shipper.session_begins(log_of(10));
  CHECK(code_of(shipper.granted(grant_of(11, 1000), log_of(10))) == ErrorCode::kLogFork);
  CHECK_FALSE(shipper.is_granted());
  CHECK_FALSE(shipper.next(log_of(30)));
}

TEST_CASE("a refusal keeps its code and ends shipping for the session alone") {
  Shipper shipper;
  (void)shipper.session_begins(log_of(10));
  wire::LogGrant refusal = grant_of(0, 1000);
  refusal.code = static_cast<uint32_t>(ErrorCode::kLogGap);
  refusal.message = "records 0 to 9 are missing";
  CHECK(code_of(shipper.granted(refusal, log_of(10))) == ErrorCode::kLogGap);
  CHECK_FALSE(shipper.next(log_of(10)));
  (void)shipper.session_begins(log_of(10));
  REQUIRE(shipper.granted(grant_of(0, 1000), log_of(10)));
  CHECK(segment_of(shipper.next(log_of(10))) == 0);
}

TEST_CASE("an acknowledgement of what was not sent, or of another log, is an error") {
  for (const uint64_t next : {5, 15, 20}) {
    Shipper shipper;
    (void)shipper.session_begins(log_of(30));
    REQUIRE(shipper.granted(grant_of(0, 1000), log_of(30)));
    CHECK(segment_of(shipper.next(log_of(30))) == 0);
    shipper.sent(10, 100);
    CHECK(code_of(shipper.granted(grant_of(next, 1000), log_of(30))) == ErrorCode::kMessage);
    CHECK(shipper.acknowledged() == 0);
    CHECK_FALSE(shipper.next(log_of(30)));
  }
  Shipper shipper;
  CHECK(code_of(shipper.granted(grant_of(0, 1000), log_of(30))) == ErrorCode::kMessage);
  (void)shipper.session_begins(log_of(30));
  wire::LogGrant other = grant_of(0, 1000);
  other.log = record::LogId{{9}};
  CHECK(code_of(shipper.granted(other, log_of(30))) == ErrorCode::kMessage);
}

TEST_CASE("a segment that cannot be loaded stops shipping for the session") {
  Shipper shipper;
  (void)shipper.session_begins(log_of(30));
  REQUIRE(shipper.granted(grant_of(0, 1000), log_of(30)));
  CHECK(segment_of(shipper.next(log_of(30))) == 0);
  shipper.failed();
  CHECK_FALSE(shipper.next(log_of(30)));
}

TEST_CASE("nothing is known of what the registry has before it has granted the log") {
  Shipper shipper;
  (void)shipper.session_begins(log_of(30));
  REQUIRE(shipper.granted(grant_of(30, 1000), log_of(30)));
  CHECK(shipper.is_granted());
  (void)shipper.session_begins(log_of(30));
  CHECK_FALSE(shipper.is_granted());
  wire::LogGrant refusal = grant_of(10, 1000);
  refusal.code = static_cast<uint32_t>(ErrorCode::kLogGap);
  CHECK_FALSE(shipper.granted(refusal, log_of(30)));
  CHECK_FALSE(shipper.is_granted());
}

TEST_CASE("a refusal lasts for the session: a later grant neither ends the alarm nor counts") {
  Shipper shipper;
  (void)shipper.session_begins(log_of(30));
  REQUIRE(shipper.granted(grant_of(0, 1000), log_of(30)));
  CHECK(segment_of(shipper.next(log_of(30))) == 0);
  shipper.sent(10, 100);
  SUBCASE("of the registry") {
    wire::LogGrant refusal = grant_of(0, 1000);
    refusal.code = static_cast<uint32_t>(ErrorCode::kLogFork);
    CHECK(code_of(shipper.granted(refusal, log_of(30))) == ErrorCode::kLogFork);
    CHECK(code_of(shipper.granted(grant_of(10, 1000), log_of(30))) == ErrorCode::kLogFork);
  }
  SUBCASE("of a registry that breaks the rules") {
    CHECK(code_of(shipper.granted(grant_of(5, 1000), log_of(30))) == ErrorCode::kMessage);
    CHECK(code_of(shipper.granted(grant_of(10, 1000), log_of(30))) == ErrorCode::kMessage);
  }
  CHECK(shipper.acknowledged() == 0);
  CHECK_FALSE(shipper.next(log_of(30)));
}

TEST_CASE(
    "after a segment that cannot be loaded those under way still count, and it is tried "
    "again in the next session") {
  Shipper shipper;
  (void)shipper.session_begins(log_of(30));
  REQUIRE(shipper.granted(grant_of(0, 1000), log_of(30)));
  for (const record::Position first : {0, 10}) {
    CHECK(segment_of(shipper.next(log_of(30))) == first);
    shipper.sent(first + 10, 100);
  }
  CHECK(segment_of(shipper.next(log_of(30))) == 20);
  shipper.failed();
  CHECK(code_of(shipper.granted(grant_of(10, 1000), log_of(30))) == ErrorCode::kState);
  CHECK(code_of(shipper.granted(grant_of(20, 1000), log_of(30))) == ErrorCode::kState);
  CHECK(shipper.acknowledged() == 20);
  CHECK_FALSE(shipper.next(log_of(30)));
  SUBCASE("and a refusal is worse") {
    wire::LogGrant refusal = grant_of(20, 1000);
    refusal.code = static_cast<uint32_t>(ErrorCode::kLogFork);
    CHECK(code_of(shipper.granted(refusal, log_of(30))) == ErrorCode::kLogFork);
    CHECK(code_of(shipper.granted(grant_of(20, 1000), log_of(30))) == ErrorCode::kLogFork);
  }
  (void)shipper.session_begins(log_of(30));
  REQUIRE(shipper.granted(grant_of(20, 1000), log_of(30)));
  CHECK(segment_of(shipper.next(log_of(30))) == 20);
}

TEST_CASE("a load that fails after a refusal does not hide it") {
  Shipper shipper;
  (void)shipper.session_begins(log_of(30));
  REQUIRE(shipper.granted(grant_of(0, 1000), log_of(30)));
  CHECK(segment_of(shipper.next(log_of(30))) == 0);
  wire::LogGrant refusal = grant_of(0, 1000);
  refusal.code = static_cast<uint32_t>(ErrorCode::kLogFork);
  CHECK(code_of(shipper.granted(refusal, log_of(30))) == ErrorCode::kLogFork);
  shipper.failed();
  CHECK(code_of(shipper.granted(grant_of(0, 1000), log_of(30))) == ErrorCode::kLogFork);
}

TEST_CASE("what is deleted after the grant is skipped, and what is under way is acknowledged") {
  Shipper shipper;
  (void)shipper.session_begins(log_of(50));
  REQUIRE(shipper.granted(grant_of(0, 1000), log_of(50)));
  for (const record::Position first : {0, 10}) {
    CHECK(segment_of(shipper.next(log_of(50))) == first);
    shipper.sent(first + 10, 100);
  }
  CHECK(segment_of(shipper.next(log_of(50, 30))) == 30);
  shipper.sent(40, 100);
  for (const record::Position next : {10, 20, 40}) {  // below the oldest one, too
    REQUIRE(shipper.granted(grant_of(next, 1000), log_of(50, 30)));
    CHECK(shipper.acknowledged() == next);
  }
  CHECK(segment_of(shipper.next(log_of(50, 30))) == 40);
}

TEST_CASE("a registry that is behind what is kept says so with each grant until it has more") {
  Shipper shipper;
  (void)shipper.session_begins(log_of(50, 30));
  REQUIRE(shipper.granted(grant_of(10, 0), log_of(50, 30)));
  REQUIRE(shipper.granted(grant_of(10, 1000), log_of(50, 30)));
  CHECK(shipper.acknowledged() == 10);
  CHECK(segment_of(shipper.next(log_of(50, 30))) == 30);
  shipper.sent(40, 100);
  REQUIRE(shipper.granted(grant_of(10, 2000), log_of(50, 30)));
  CHECK(segment_of(shipper.next(log_of(50, 30))) == 40);
  REQUIRE(shipper.granted(grant_of(40, 2000), log_of(50, 30)));
  CHECK(shipper.acknowledged() == 40);
}

TEST_CASE("a registry goes back between sessions, not within one") {
  Shipper shipper;
  (void)shipper.session_begins(log_of(30));
  REQUIRE(shipper.granted(grant_of(20, 1000), log_of(30)));
  CHECK(code_of(shipper.granted(grant_of(10, 1000), log_of(30))) == ErrorCode::kMessage);
  CHECK(shipper.acknowledged() == 20);
  (void)shipper.session_begins(log_of(30));
  REQUIRE(shipper.granted(grant_of(10, 1000), log_of(30)));
  CHECK(shipper.acknowledged() == 10);
  CHECK(segment_of(shipper.next(log_of(30))) == 10);
}

TEST_CASE("a registry whose copy ends within a segment gets that segment, and sees the fork") {
  Shipper shipper;
  (void)shipper.session_begins(log_of(30));
  REQUIRE(shipper.granted(grant_of(15, 1000), log_of(30)));
  CHECK(segment_of(shipper.next(log_of(30))) == 15);
  shipper.sent(20, 100);  // the segment that holds it
  CHECK(segment_of(shipper.next(log_of(30))) == 20);
  wire::LogGrant refusal = grant_of(15, 1000);
  refusal.code = static_cast<uint32_t>(ErrorCode::kLogFork);
  CHECK(code_of(shipper.granted(refusal, log_of(30))) == ErrorCode::kLogFork);
  CHECK(shipper.acknowledged() == 15);
}

TEST_CASE("what is said of a log that has ended since its offer means nothing for the next one") {
  Shipper shipper;
  (void)shipper.session_begins(log_of(30));
  REQUIRE(shipper.granted(grant_of(0, 1000), log_of(30)));
  CHECK(segment_of(shipper.next(log_of(30))) == 0);
  shipper.sent(10, 100);
  SealedLog after = log_of(2);
  after.log = record::LogId{{9}};
  wire::LogGrant grant = grant_of(10, 1000);
  SUBCASE("an acknowledgement") {}
  SUBCASE("a refusal") { grant.code = static_cast<uint32_t>(ErrorCode::kLogFork); }
  CHECK(shipper.granted(grant, after));
  CHECK_FALSE(shipper.is_granted());
  CHECK_FALSE(shipper.next(after));
  const auto offer = shipper.session_begins(after);
  REQUIRE(offer);
  CHECK(offer->log == after.log);
  grant = grant_of(0, 1000);
  grant.log = after.log;
  REQUIRE(shipper.granted(grant, after));
  CHECK(segment_of(shipper.next(after)) == 0);
}

TEST_CASE("another log than the offered one is not shipped") {
  Shipper shipper;
  (void)shipper.session_begins(log_of(30));
  REQUIRE(shipper.granted(grant_of(0, 1000), log_of(30)));
  SealedLog other = log_of(30);
  other.log = record::LogId{{9}};
  CHECK_FALSE(shipper.next(other));
}

}  // namespace notp::spool
