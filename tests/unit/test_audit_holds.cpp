// Holds: who may place them, what they cover, and that they win.
#include "tests/support/registry/erasure_site.hpp"

namespace notp::audit {
namespace {

using Positions = std::vector<record::Position>;

constexpr const char* kAlice = "alice@shop.example";
constexpr const char* kBob = "bob@shop.example";

wire::PutHold hold_of(const std::string& id, const std::string& person) {
  wire::PutHold out;
  out.id = id;
  out.filter.values = {person};
  out.reason = "case 7 of the court";
  return out;
}

bool of_payments(std::string_view ledger) { return ledger == kPayments; }

TEST_CASE("what a hold covers is not erased until it is lifted") {
  ErasureSite site;
  site.arrive({kAlice, kBob}, 60);
  const Positions hers = site.recorded(kAlice), his = site.recorded(kBob);
  const auto placed = site.erasure->put_hold(hold_of("case-7", kAlice), "me", of_all);
  REQUIRE_MESSAGE(placed, placed.error().message);
  REQUIRE(placed->rows.size() == 1);
  CHECK(placed->rows[0].index == 0);
  CHECK(placed->rows[0].placed_ms == site.now_ms);
  CHECK(placed->rows[0].by == "me");

  const wire::Erased tried = site.erase(kAlice);
  CHECK(tried.records == 0);
  CHECK(tried.held == hers.size());
  CHECK(site.found(kAlice) == hers);
  CHECK(site.erase(kBob).records == his.size());

  site.open();  // holds are durable
  CHECK(site.erase(kAlice).held == hers.size());
  wire::PutHold lift;
  lift.id = "case-7";
  lift.reason = "closed";
  lift.lift = true;
  const auto lifted = site.erasure->put_hold(lift, "other", of_all);
  REQUIRE(lifted);
  CHECK(lifted->rows[0].lifted_ms == site.now_ms);
  CHECK(lifted->rows[0].index == 2);
  CHECK(site.erasure->put_hold(lift, "other", of_all).error().code == ErrorCode::kNotFound);
  CHECK(site.erase(kAlice).records == hers.size());
  CHECK(site.found(kAlice).empty());

  const auto entries = site.tree->entries();
  REQUIRE(entries.size() == 4);  // placed, bob, lifted, alice
  CHECK(entries[0].kind == record::TreeEntryKind::kHold);
  CHECK(entries[0].on);
  CHECK(entries[0].id == "case-7");
  CHECK(entries[0].by == "me");
  CHECK(entries[0].rule.ends_with(": case 7 of the court"));
  CHECK_FALSE(entries[0].rule.contains(kAlice));  // it would stay for ever
  CHECK_FALSE(entries[2].on);
  CHECK(entries[2].by == "other");
  CHECK(entries[2].rule == "closed");
}

TEST_CASE("a hold covers by every filter that a search has") {
  ErasureSite site;
  site.arrive({kAlice, kBob}, 40);
  const Positions hers = site.recorded(kAlice);
  const auto held_by = [&](const wire::DecisionFilter& filter) {
    wire::PutHold order;
    order.id = "one";
    order.filter = filter;
    order.reason = "why";
    REQUIRE(site.erasure->put_hold(order, "me", of_all));
    return site.erase(kAlice, true).held;
  };
  CHECK(held_by({}) == hers.size());
  CHECK(held_by({.node = "spiffe://core-platform.internal/node/edge-*"}) == hers.size());
  CHECK(held_by({.node = "spiffe://core-platform.internal/node/edge-2"}) == 0);
  CHECK(held_by({.ledger = kPayments}) == hers.size());
  CHECK(held_by({.ledger = kDocuments}) == 0);
  CHECK(held_by({.path = "payments"}) == hers.size());
  CHECK(held_by({.contains = "alice@"}) == hers.size());
  CHECK(held_by({.decision_id = record::DecisionAddress::of(site.log.id, 1, hers[3]).text()}) == 1);
  CHECK(held_by({.decision_id = record::DecisionAddress::of(site.log.id, 3, hers[3]).text()}) == 0);
  const TimeMs time_ms = samples::decision_time_ns(hers[4]) / 1'000'000;
  CHECK(held_by({.since_ms = time_ms + 1}) < hers.size());
  CHECK(held_by({.since_ms = time_ms + 1}) > 0);
  const auto denied = held_by({.outcome = record::Outcome::kDeny});
  CHECK(denied > 0);
  CHECK(denied < hers.size());
  CHECK(site.erase(kAlice, true).held + site.erase(kAlice, true).records == hers.size());
  // The set that is active has release 7 of payments.
  const Hash release =
      std::get<record::ActiveSet>(site.log.records[1].content).releases[1].ref.release_hash;
  CHECK(held_by({.release_hash = release}) == hers.size());
}

TEST_CASE("a hold is placed, changed and lifted by who may erase what it covers") {
  ErasureSite site;
  site.arrive({kAlice}, 4);
  wire::PutHold order = hold_of("mine", kAlice);
  CHECK(site.erasure->put_hold(order, "me", of_payments).error().code == ErrorCode::kDenied);
  order.filter.ledger = kDocuments;
  CHECK(site.erasure->put_hold(order, "me", of_payments).error().code == ErrorCode::kDenied);
  order.filter.ledger = kPayments;
  CHECK(site.erasure->put_hold(order, "me", of_payments));
  wire::PutHold other = hold_of("all", kAlice);
  REQUIRE(site.erasure->put_hold(other, "me", of_all));
  other.lift = true;
  CHECK(site.erasure->put_hold(other, "me", of_payments).error().code == ErrorCode::kDenied);
  // A change to one's own ledger would lift it elsewhere.
  other.lift = false;
  other.filter.ledger = kPayments;
  CHECK(site.erasure->put_hold(other, "me", of_payments).error().code == ErrorCode::kDenied);
  const auto seen = site.erasure->holds({}, of_payments);
  REQUIRE(seen);
  REQUIRE(seen->rows.size() == 1);
  CHECK(seen->rows[0].id == "mine");
  const auto all = site.erasure->holds({}, of_all);
  REQUIRE(all);
  REQUIRE(all->rows.size() == 2);
  CHECK(all->rows[0].id == "all");
  CHECK(site.erasure->holds({"all"}, of_all)->rows.size() == 1);
}

TEST_CASE("a hold that cannot be stated is not placed, and one whose change cannot be stays") {
  ErasureSite site;
  site.arrive({kAlice, kBob}, 10);
  site.tree->refusal = Error{ErrorCode::kCancelled, "the tree ends", {}};
  CHECK_FALSE(site.erasure->put_hold(hold_of("one", kAlice), "me", of_all));
  CHECK(site.erasure->holds({}, of_all)->rows.empty());
  site.tree->refusal.reset();
  REQUIRE(site.erasure->put_hold(hold_of("one", kAlice), "me", of_all));
  site.tree->refusal = Error{ErrorCode::kCancelled, "the tree ends", {}};
  CHECK_FALSE(site.erasure->put_hold(hold_of("one", kBob), "me", of_all));
  site.tree->refusal.reset();
  CHECK(site.erase(kAlice).records == 0);
  CHECK(site.erase(kBob).held == 0);
}

TEST_CASE("a hold that a crash left in force and without a leaf is stated by the next process") {
  ErasureSite site;
  site.arrive({kAlice}, 4);
  const HoldsTable table(site.store->table());
  wire::Hold hold;
  hold.id = "one";
  hold.filter.values = {kAlice};
  hold.reason = "why";
  hold.by = "me";
  hold.placed_ms = 5;
  hold.index = kUnstated;
  REQUIRE(table.put(hold));
  site.open();
  CHECK(site.erase(kAlice).held == 4);
  const auto entries = site.tree->entries();
  REQUIRE(entries.size() == 1);
  CHECK(entries[0].on);
  CHECK(entries[0].id == "one");
  const auto holds = site.erasure->holds({}, of_all);
  REQUIRE(holds);
  CHECK(holds->rows.at(0).index == 0);
  CHECK(site.tree->entries().size() == 1);
}

TEST_CASE("no more holds than the limit are in force") {
  ErasureSite site;
  site.arrive({kAlice}, 2);
  Holds holds(site.store->table(), *site.tree);
  for (size_t i = 0; i < limits::kHoldsMax; ++i)
    REQUIRE(holds.put(hold_of(fmt::format("h{:04}", i), kAlice), "me", of_all, 1));
  CHECK(holds.put(hold_of("one more", kAlice), "me", of_all, 1).error().code == ErrorCode::kLimit);
  CHECK(holds.put(hold_of("h0001", kBob), "me", of_all, 1));
  wire::PutHold lift = hold_of("h0002", kAlice);
  lift.lift = true;
  CHECK(holds.put(lift, "me", of_all, 2));
  CHECK(holds.put(hold_of("one more", kAlice), "me", of_all, 1));
}

TEST_CASE("a filter is what it was after the table") {
  wire::DecisionFilter filter;
  CHECK(*decode_filter(encode_filter(filter)) == filter);
  filter = {.since_ms = 1,
            .until_ms = 2,
            .node = "n",
            .ledger = "l",
            .path = "p",
            .outcome = record::Outcome::kDeny,
            .release_hash = sha256("r"),
            .values = {"a", std::string("b\0c", 3)},
            .contains = "c",
            .decision_id = "d",
            .kinds = {record::Kind::kDecision}};
  const Bytes bytes = encode_filter(filter);
  CHECK(*decode_filter(bytes) == filter);
  for (size_t size = 0; size < bytes.size(); ++size)
    CHECK_FALSE(decode_filter(bytes.substr(0, size)));
  CHECK_FALSE(decode_filter(bytes + "x"));
}

}  // namespace
}  // namespace notp::audit
