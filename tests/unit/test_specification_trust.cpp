// The code agrees with protocol/trust/README.md on verification, freshness and age.
#include <doctest/doctest.h>

#include <algorithm>

#include "protocol/wire/frame.hpp"
#include "tests/support/wire/specification_document.hpp"
#include "tests/support/wire/specification_samples.hpp"

using namespace notp;
using namespace notp::samples::specification;

TEST_CASE("a receiver puts the statements of freshness together again from the frames") {
  const World& w = world();
  const auto first = session::expand_freshness_update(
      session::make_freshness_update(w.freshness1, signature_of(w.freshness1), nullptr), nullptr,
      kDomain, kNode);
  REQUIRE(first);
  CHECK(first->encode() == w.freshness1_envelope);
  const auto renewal =
      session::make_freshness_update(w.freshness2, signature_of(w.freshness2), &w.freshness1);
  const auto second = session::expand_freshness_update(renewal, &w.freshness1, kDomain, kNode);
  REQUIRE(second);
  CHECK(second->encode() == w.freshness2_envelope);
  // Including the TLS 1.3 record: 5 bytes, a content type and a tag of 16.
  CHECK(wire::encode_frame(renewal).size() + 22 <= 150);
}

TEST_CASE("a receiver puts a statement for its class together again, and no other one") {
  const World& w = world();
  const trust::ClassId own = *w.class_freshness1.class_id;
  const auto renewal = session::make_freshness_update(
      w.class_freshness2, signature_of(w.class_freshness2), &w.class_freshness1);
  const auto expand = [&](const trust::Freshness* base, std::optional<trust::ClassId> class_id) {
    return session::expand_freshness_update(renewal, base, kDomain, kNode, class_id);
  };
  REQUIRE(expand(&w.class_freshness1, own));
  CHECK(expand(&w.class_freshness1, own)->encode() == freshness_envelope_of(w.class_freshness2));
  CHECK(expand(&w.class_freshness1, {}).error().code == ErrorCode::kWrongTarget);
  // A base for this reader alone, or for the class in which it was before.
  CHECK(expand(&w.freshness1, own).error().code == ErrorCode::kState);
  trust::ClassId other = own;
  other.bytes[0] ^= 1;
  CHECK(expand(&w.class_freshness1, other).error().code == ErrorCode::kState);
  // With the TLS record, as the renewal for one reader.
  CHECK(wire::encode_frame(renewal).size() + 22 <= 150);
}

TEST_CASE("the checks of verification are those of the code, in their order") {
  const World& w = world();
  const trust::Trusted trusted{std::make_shared<const trust::Root>(w.root),
                               0,
                               {{kLedger, {{1, 1, w.hash1}, {}}}},
                               std::string(kNode)};
  trust::Update update;
  update.root_chain = {w.root2_envelope};
  update.assignment = w.assignment_envelope;
  update.expected = {kLedger};
  update.release = w.envelope2;
  update.release_ledger = kLedger;
  const auto steps_of = [&](ByteView freshness) {
    update.freshness = freshness;
    std::vector<trust::VerifyStep> steps;
    CHECK_FALSE(trust::verify_update(update, trusted, kIssuedMs + 3'660'000, &steps).error);
    std::vector<std::string> checks;
    for (const trust::VerifyStep& step : steps) checks.emplace_back(step.check);
    return checks;
  };
  std::vector<std::string> expected = steps_of(w.freshness1_envelope), written;
  // A statement is for one reader or for a class: the one check takes the place of the other.
  auto of_class = steps_of(w.class_freshness1_envelope);
  const auto audience = std::ranges::find(expected, "freshness.audience");
  REQUIRE(audience != expected.end());
  const auto own_class = of_class.begin() + (audience - expected.begin());
  CHECK(*own_class == "freshness.class");
  expected.insert(audience + 1, *own_class);
  *own_class = "freshness.audience";
  CHECK(of_class == steps_of(w.freshness1_envelope));
  for (const auto& row : table_under("## Verification")) written.push_back(row.at(0));
  CHECK(written == expected);
}

TEST_CASE("the examples of ages are the code's") {
  const trust::Release& release = world().release1;
  const trust::FreshnessTerms terms{release.fresh_s, release.hard_s, release.on_hard};
  const auto rows = table_under("## Age");
  CHECK(rows.size() >= 5);
  for (const auto& row : rows) {
    CAPTURE(row.at(0));
    const trust::Age age =
        trust::age_of(terms, kIssuedMs, kIssuedMs + static_cast<TimeMs>(number_of(row.at(0))));
    std::string state(trust::freshness_state_name(age.state));
    std::ranges::transform(state, state.begin(), [](char c) { return c - ('a' - 'A'); });
    CHECK(row.at(1) == state);
  }
}
