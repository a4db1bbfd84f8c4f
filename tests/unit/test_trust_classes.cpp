// Assignments, and freshness statements for a class of readers.
#include <doctest/doctest.h>

#include <algorithm>
#include <functional>

#include "common/limits.hpp"
#include "protocol/trust/verify.hpp"
#include "tests/support/wire/signed_samples.hpp"

namespace {

using namespace notp;
using samples::assignment;
using samples::class_freshness;
using samples::class_id;
using samples::head_of;
using samples::kIssuedMs;
using samples::kLedger;
using samples::signed_by;

// Is in class 1 by assignment 10, has accepted statement 100, and holds release 5.
trust::Trusted holder() {
  trust::Trusted out =
      samples::trusting(samples::tracked_root(), samples::place_of(samples::release(5)));
  out.freshness_sequence = 100;
  out.assignment = assignment(10);
  return out;
}

trust::Freshness good() { return class_freshness(101, {head_of(samples::release(6))}); }

trust::Verdict take(const trust::Assignment* assigned, const trust::Freshness* statement,
                    const trust::Trusted& trusted = holder(), TimeMs now_ms = kIssuedMs) {
  trust::Update update;
  Bytes first, second;
  if (assigned != nullptr) update.assignment = first = signed_by(*assigned, {7}).encode();
  if (statement != nullptr) update.freshness = second = signed_by(*statement, {7}).encode();
  update.expected = {kLedger};
  return trust::verify_update(update, trusted, now_ms);
}

ErrorCode code_of(const trust::Verdict& verdict) {
  REQUIRE(verdict.error);
  CHECK_FALSE(verdict.freshness);
  return verdict.error->code;
}

ErrorCode code_of(const trust::Assignment& assigned, TimeMs now_ms = kIssuedMs) {
  const trust::Verdict verdict = take(&assigned, nullptr, holder(), now_ms);
  CHECK_FALSE(verdict.assignment);
  return code_of(verdict);
}

}  // namespace

TEST_CASE("classes: an assignment counts for the statement after it") {
  trust::Trusted trusted = holder();
  const trust::Assignment moved = assignment(11, class_id(2));
  const trust::Freshness next = class_freshness(101, {head_of(samples::release(6))}, class_id(2));
  CHECK(code_of(take(nullptr, &next)) == ErrorCode::kWrongTarget);
  const trust::Verdict verdict = take(&moved, &next);
  REQUIRE_FALSE(verdict.error);
  trust::advance(trusted, verdict);
  CHECK(trusted.assignment == moved);
  CHECK(trusted.freshness_sequence == 101);
  CHECK(trusted.ledgers[kLedger].listed == samples::place_of(samples::release(6)));
  // The former class is not its own any more.
  const trust::Freshness former = class_freshness(102, {head_of(samples::release(6))});
  CHECK(code_of(take(nullptr, &former, trusted)) == ErrorCode::kWrongTarget);
}

TEST_CASE("classes: an assignment is kept when the statement after it fails") {
  trust::Trusted trusted = holder();
  const trust::Assignment moved = assignment(11, class_id(2));
  const trust::Freshness old = class_freshness(100, {head_of(samples::release(6))}, class_id(2));
  const trust::Verdict verdict = take(&moved, &old);
  CHECK(code_of(verdict) == ErrorCode::kReplay);
  trust::advance(trusted, verdict);
  CHECK(trusted.assignment == moved);
  CHECK(trusted.freshness_sequence == 100);
}

TEST_CASE("classes: each refusal of an assignment has its code") {
  const auto changed = [](const std::function<void(trust::Assignment&)>& change,
                          TimeMs now_ms = kIssuedMs) {
    trust::Assignment assigned = assignment(11);
    change(assigned);
    return code_of(assigned, now_ms);
  };
  const auto nothing = [](trust::Assignment&) {};
  const trust::Assignment fine = assignment(11), again = assignment(10);
  CHECK_FALSE(take(&fine, nullptr).error);
  CHECK_FALSE(take(&again, nullptr).error);  // receiving is idempotent
  CHECK(changed([](auto& a) { a.audience += "0"; }) == ErrorCode::kWrongTarget);
  CHECK(changed([](auto& a) {
          a.trust_domain = "other.internal";
          a.audience = "spiffe://other.internal/node/edge-1";
        }) == ErrorCode::kWrongTarget);
  CHECK(changed([](auto& a) { a.root_version = 2; }) == ErrorCode::kRootInvalid);
  CHECK(changed([](auto& a) { a.sequence = 9; }) == ErrorCode::kReplay);
  CHECK(changed([](auto& a) { a.sequence = 10, a.class_id = class_id(2); }) ==
        ErrorCode::kEquivocation);
  CHECK(changed([](auto& a) { a.sequence = 10, a.issued_ms -= 1; }) == ErrorCode::kEquivocation);
  CHECK(changed(nothing, fine.expires_ms) == ErrorCode::kExpired);
  CHECK_FALSE(take(&fine, nullptr, holder(), fine.expires_ms - 1).error);
  CHECK(changed(nothing, kIssuedMs - limits::kClockSkewMs - 1) == ErrorCode::kClock);
  CHECK_FALSE(take(&fine, nullptr, holder(), kIssuedMs - limits::kClockSkewMs).error);
}

TEST_CASE(
    "classes: a statement counts while the assignment to its class does, to the millisecond") {
  trust::Trusted trusted = holder();
  trust::Freshness statement = good();
  statement.expires_ms = statement.issued_ms + limits::kFreshnessLifetimeMsMax;
  const TimeMs end_ms = trusted.assignment->expires_ms;
  CHECK_FALSE(take(nullptr, &statement, trusted, end_ms - 1).error);
  CHECK(code_of(take(nullptr, &statement, trusted, end_ms)) == ErrorCode::kExpired);
  // One for the reader alone needs none.
  trust::Freshness own = samples::freshness(101, {head_of(samples::release(6))});
  own.expires_ms = statement.expires_ms;
  CHECK_FALSE(take(nullptr, &own, trusted, end_ms).error);
  trusted.assignment.reset();
  CHECK_FALSE(take(nullptr, &own, trusted, end_ms).error);
  CHECK(code_of(take(nullptr, &statement, trusted)) == ErrorCode::kWrongTarget);
  // An assignment is of one identity: with another certificate it says nothing.
  trusted = holder();
  trusted.audience += "0";
  CHECK(code_of(take(nullptr, &statement, trusted)) == ErrorCode::kWrongTarget);
}

TEST_CASE("classes: one sequence for the statements of both types") {
  trust::Trusted trusted = holder();
  const trust::Freshness of_class = good();
  trust::advance(trusted, take(nullptr, &of_class));
  const trust::Freshness own = samples::freshness(101, of_class.heads);
  CHECK(code_of(take(nullptr, &own, trusted)) == ErrorCode::kReplay);
  const trust::Freshness next = samples::freshness(102, of_class.heads);
  trust::advance(trusted, take(nullptr, &next, trusted));
  CHECK(trusted.freshness_sequence == 102);
  CHECK(code_of(take(nullptr, &of_class, trusted)) == ErrorCode::kReplay);
}

TEST_CASE("classes: a root that drops the key voids the assignment; one that adds a key does not") {
  const auto walk = [](std::initializer_list<uint8_t> freshness_keys) {
    trust::Root next = samples::tracked_root();
    next.version = 2;
    next.freshness_keys = samples::public_keys(freshness_keys);
    trust::Update update;
    const Bytes envelope = signed_by(next, {1}).encode();
    update.root_chain = {envelope};
    trust::Trusted trusted = holder();
    const trust::Verdict verdict = trust::verify_update(update, trusted, kIssuedMs);
    REQUIRE_FALSE(verdict.error);
    trust::advance(trusted, verdict);
    return trusted.assignment.has_value();
  };
  CHECK(walk({7, 8}));
  CHECK_FALSE(walk({8}));
  CHECK_FALSE(walk({}));
}

TEST_CASE("classes: every field of an assignment survives, and none is out of range") {
  const trust::Assignment before = assignment(77, class_id(9));
  const auto after = trust::Assignment::decode(before.encode());
  REQUIRE(after);
  CHECK(*after == before);
  const std::pair<const char*, std::function<void(trust::Assignment&)>> cases[] = {
      {"no domain", [](auto& a) { a.trust_domain.clear(); }},
      {"no audience", [](auto& a) { a.audience.clear(); }},
      {"an audience of another domain",
       [](auto& a) { a.audience = "spiffe://core-platform.internal.example/node/edge-1"; }},
      {"an audience too long",
       [](auto& a) { a.audience += Bytes(limits::kIdentityBytesMax, 'x'); }},
      {"no sequence", [](auto& a) { a.sequence = 0; }},
      {"sequence 2^64-1", [](auto& a) { a.sequence = UINT64_MAX; }},
      {"no root version", [](auto& a) { a.root_version = 0; }},
      {"no issue time", [](auto& a) { a.issued_ms = 0; }},
      {"no expiry", [](auto& a) { a.expires_ms = 0; }},
      {"expires when issued", [](auto& a) { a.expires_ms = a.issued_ms; }},
      {"lives too long",
       [](auto& a) { a.expires_ms = a.issued_ms + limits::kAssignmentLifetimeMsMax + 1; }}};
  for (const auto& [what, change] : cases) {
    CAPTURE(what);
    trust::Assignment changed = before;
    change(changed);
    CHECK(trust::Assignment::decode(changed.encode()).error().code == ErrorCode::kStatement);
  }
  trust::Assignment longest = before;
  longest.expires_ms = longest.issued_ms + limits::kAssignmentLifetimeMsMax;
  CHECK(trust::Assignment::decode(longest.encode()));
  // A class id of 15 bytes, of 17, and none; a field more.
  const Bytes bytes = before.encode();
  const size_t id = bytes.find(Bytes(16, '\x09'));
  REQUIRE(id != bytes.npos);
  const auto with_id = [&](size_t size) {
    return bytes.substr(0, id - 1) + static_cast<char>(size) + Bytes(size, '\x09') +
           bytes.substr(id + 16);
  };
  REQUIRE(with_id(16) == bytes);
  for (const Bytes& other :
       {with_id(15), with_id(17), bytes.substr(0, id - 2) + bytes.substr(id + 16),
        bytes + Bytes("\x40\x01"), bytes.substr(0, bytes.size() - 1), Bytes()})
    CHECK(trust::Assignment::decode(other).error().code == ErrorCode::kStatement);
}

TEST_CASE("classes: a statement is read as the type of its envelope says, and as no other") {
  const trust::Freshness of_class = good(), own = samples::freshness(101, of_class.heads);
  for (const trust::Freshness& statement : {of_class, own}) {
    const trust::Envelope envelope = trust::envelope_of(statement);
    CHECK(trust::Freshness::decode(envelope).value() == statement);
    trust::Envelope other = envelope;
    other.payload_type = statement.class_id ? trust::kFreshnessType : trust::kClassFreshnessType;
    CHECK(trust::Freshness::decode(other).error().code == ErrorCode::kStatement);
    CHECK(trust::decode_freshness_envelope(envelope.encode()));
  }
  const Bytes assigned = trust::envelope_of(assignment(1)).encode();
  CHECK(trust::decode_freshness_envelope(assigned).error().code == ErrorCode::kEnvelope);
}
