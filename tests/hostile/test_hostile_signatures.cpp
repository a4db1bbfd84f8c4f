// Statements with invalid signatures, in all known ways: each is refused with its own code by the
// check for it, and the trusted state is unchanged.
#include <doctest/doctest.h>

#include <set>

#include "tests/hostile/hostile_statements.hpp"

namespace {

using namespace notp;
using namespace notp::hostile;

trust::Verdict verify(Kind kind, ByteView envelope, const trust::Trusted& trusted,
                      TimeMs now_ms = kNow, std::vector<trust::VerifyStep>* steps = nullptr) {
  trust::Update update;
  if (kind == Kind::kRoot) update.root_chain = {envelope};
  if (kind == Kind::kFreshness) update.freshness = envelope;
  if (kind == Kind::kRelease) update.release = envelope;
  update.expected = {samples::kLedger};
  update.release_ledger = samples::kLedger;
  return trust::verify_update(update, trusted, now_ms, steps);
}

bool same(const trust::Trusted& a, const trust::Trusted& b) {
  return a.root == b.root && a.freshness_sequence == b.freshness_sequence &&
         a.ledgers == b.ledgers && a.audience == b.audience;
}

void check_refused(const Row& row) {
  CAPTURE(row.what);
  std::vector<trust::VerifyStep> steps;
  const trust::Verdict verdict = verify(row.kind, row.envelope, row.trusted, row.now_ms, &steps);
  REQUIRE(verdict.error);
  CAPTURE(verdict.error->message);
  CHECK(error_traits(verdict.error->code).name == error_traits(row.code).name);
  REQUIRE_FALSE(steps.empty());
  CHECK(steps.back().check == row.check);
  CHECK_FALSE(steps.back().passed);
  CHECK(verdict.root_chain.empty());
  CHECK_FALSE(verdict.freshness);
  CHECK_FALSE(verdict.release);
  trust::Trusted after = row.trusted;
  trust::advance(after, verdict);
  CHECK(same(after, row.trusted));
}

void check_table(const std::vector<Row>& rows, size_t at_least) {
  std::set<std::string> names;
  for (const Row& row : rows) {
    check_refused(row);
    CHECK_MESSAGE(names.insert(row.what).second, "two rows are called: ", row.what);
  }
  CHECK(rows.size() >= at_least);
}

// Without key ids: every remaining byte is covered by a check.
Bytes bare_envelope(Kind kind) {
  trust::Envelope envelope = good(kind);
  for (trust::EnvelopeSignature& entry : envelope.signatures) entry.keyid.clear();
  return envelope.encode();
}

}  // namespace

TEST_CASE("hostile: what the rows are variations of is accepted") {
  for (const Kind kind : kKinds) {
    const trust::Trusted before = holder();
    const trust::Verdict verdict = verify(kind, good(kind).encode(), before);
    CHECK_FALSE(verdict.error);
    trust::Trusted after = before;
    trust::advance(after, verdict);
    // The floor of a release moves only when its content is durable.
    CHECK(same(after, before) == (kind == Kind::kRelease));
  }
}

TEST_CASE("hostile: signatures, keys and thresholds") { check_table(signature_rows(), 90); }
TEST_CASE("hostile: one statement in the place of another") { check_table(replay_rows(), 40); }
TEST_CASE("hostile: versions, epochs and sequences") { check_table(order_rows(), 30); }
TEST_CASE("hostile: expiry and clocks") { check_table(time_rows(), 20); }
TEST_CASE("hostile: forms") { check_table(form_rows(), 130); }

// A missing or foreign key id neither fails nor skips a check: only the signatures count.
TEST_CASE("hostile: key ids decide nothing") {
  for (const Kind kind : kKinds) {
    CHECK_FALSE(verify(kind, bare_envelope(kind), holder()).error);
    trust::Envelope lying = good(kind);
    for (trust::EnvelopeSignature& entry : lying.signatures) entry.keyid = "0123456789abcdef";
    CHECK_FALSE(verify(kind, lying.encode(), holder()).error);
  }
}

TEST_CASE("hostile: a statement cut short anywhere is refused") {
  for (const Kind kind : kKinds) {
    const Bytes whole = bare_envelope(kind);
    for (size_t size = 0; size < whole.size(); ++size) {
      CAPTURE(size);
      const trust::Verdict verdict = verify(kind, ByteView(whole).substr(0, size), holder());
      REQUIRE(verdict.error);
      // Cut between two signatures, it is a whole envelope with one of them.
      CHECK((verdict.error->code == ErrorCode::kEnvelope ||
             verdict.error->code == ErrorCode::kSignature));
    }
  }
}

TEST_CASE("hostile: no bit of a statement can change unnoticed") {
  for (const Kind kind : kKinds) {
    const Bytes whole = bare_envelope(kind);
    const trust::Trusted trusted = holder();
    for (size_t at = 0; at < whole.size(); ++at)
      for (int bit = 0; bit < 8; ++bit) {
        Bytes changed = whole;
        changed[at] = static_cast<char>(changed[at] ^ 1 << bit);
        const trust::Verdict verdict = verify(kind, changed, trusted);
        CAPTURE(at);
        CAPTURE(bit);
        REQUIRE(verdict.error);
        trust::Trusted after = trusted;
        trust::advance(after, verdict);
        REQUIRE(same(after, trusted));
      }
  }
}

TEST_CASE("hostile: a byte less or more anywhere in a statement is refused") {
  for (const Kind kind : kKinds) {
    const Bytes whole = bare_envelope(kind);
    for (size_t at = 0; at < whole.size(); ++at) {
      CAPTURE(at);
      Bytes shorter = whole, longer = whole;
      CHECK(verify(kind, shorter.erase(at, 1), holder()).error);
      CHECK(verify(kind, longer.insert(at, 1, '\0'), holder()).error);
    }
  }
}
