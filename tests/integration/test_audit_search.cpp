// Questions about recorded decisions: each filter, and rights, against a naive scan of the same
// records.
#include <doctest/doctest.h>

#include <set>

#include "tests/support/registry/search_site.hpp"

namespace notp::audit {
namespace {

TEST_CASE("each filter selects what a scan of all records selects") {
  SearchSite site;
  site.fill();
  const auto is_decision = [](const Kept& kept) { return decision_of(kept) != nullptr; };
  wire::DecisionFilter filter;
  Wanted wanted = is_decision;
  bool may_be_empty = false;
  SUBCASE("none") {}
  SUBCASE("since and until") {
    filter.since_ms = samples::decision_time_ns(100) / 1'000'000;
    filter.until_ms = samples::decision_time_ns(300) / 1'000'000;
    wanted = [&](const Kept& kept) {
      return is_decision(kept) && kept.record.time_ns >= filter.since_ms * 1'000'000 &&
             kept.record.time_ns < filter.until_ms * 1'000'000;
    };
  }
  SUBCASE("until alone") {
    filter.until_ms = samples::decision_time_ns(20) / 1'000'000;
    wanted = [&](const Kept& kept) {
      return is_decision(kept) && kept.record.time_ns < filter.until_ms * 1'000'000;
    };
  }
  SUBCASE("node") {
    filter.node = samples::node_id("cellar");
    wanted = [&](const Kept& kept) { return is_decision(kept) && kept.log->node == filter.node; };
  }
  SUBCASE("nodes by their beginning") {
    filter.node = samples::node_id("edge-*");
    wanted = [&](const Kept& kept) {
      return is_decision(kept) && kept.log->node != samples::node_id("cellar");
    };
  }
  SUBCASE("ledger") {
    filter.ledger = "100000000002/payments";
    wanted = [&](const Kept& kept) {
      return is_decision(kept) && decision_of(kept)->ledger == filter.ledger;
    };
  }
  SUBCASE("path and below") {
    const std::string whole = decision_of(site.kept[5])->path;
    filter.path = whole.substr(0, whole.find('/'));
    wanted = [&](const Kept& kept) {
      return is_decision(kept) && (decision_of(kept)->path == filter.path ||
                                   decision_of(kept)->path.starts_with(filter.path + "/"));
    };
  }
  SUBCASE("a path is not a prefix of a segment") {
    const std::string whole = decision_of(site.kept[5])->path;
    filter.path = whole.substr(0, whole.find('/') - 1);
    wanted = [](const Kept&) { return false; };
    may_be_empty = true;
  }
  SUBCASE("outcome") {
    filter.outcome = record::Outcome::kDeny;
    wanted = [&](const Kept& kept) {
      return is_decision(kept) && decision_of(kept)->outcome == record::Outcome::kDeny;
    };
  }
  SUBCASE("release") {
    filter.release_hash = sha256("release 700");
    filter.ledger = "100000000001/gateway";
    wanted = [&](const Kept& kept) {
      return is_decision(kept) && decision_of(kept)->ledger == filter.ledger &&
             kept.record.place.active == 700;
    };
  }
  SUBCASE("a release that nothing decided with") {
    filter.release_hash = sha256("release of another world");
    wanted = [](const Kept&) { return false; };
    may_be_empty = true;
  }
  SUBCASE("a string, written with escapes") {
    filter.values = {"alice \"A\""};
    wanted = [&](const Kept& kept) { return has_value(kept, filter.values[0]); };
  }
  SUBCASE("a long number, and a string with it") {
    filter.values = {"12345678901234567890123", "user"};
    wanted = [](const Kept& kept) {
      return decision_of(kept) != nullptr && decision_of(kept)->path == "unusual/path";
    };
  }
  SUBCASE("a number keeps its digits") {
    filter.values = {"7.5"};
    wanted = [&](const Kept& kept) {
      return has_value(kept, "7.5") && decision_of(kept)->ledger != "";
    };
    may_be_empty = true;
  }
  SUBCASE("a text anywhere") {
    filter.contains = "ab";
    wanted = [&](const Kept& kept) {
      const auto* decision = decision_of(kept);
      return decision != nullptr && ((decision->input && decision->input->contains("ab")) ||
                                     (decision->result && decision->result->contains("ab")));
    };
  }
  SUBCASE("an id that is not an address") {
    filter.decision_id = "4ca636c1-55e4-417a-b1d8-4aceb67960d1";
    wanted = [&](const Kept& kept) {
      return is_decision(kept) && decision_of(kept)->decision_id == filter.decision_id;
    };
  }
  SUBCASE("kinds") {
    filter.kinds = {record::Kind::kActive, record::Kind::kGap, record::Kind::kRunStart};
    wanted = [&](const Kept& kept) { return !is_decision(kept); };
  }
  SUBCASE("much at once") {
    filter.node = samples::node_id("edge-*");
    filter.ledger = "100000000001/gateway";
    filter.outcome = record::Outcome::kAllow;
    filter.since_ms = samples::decision_time_ns(50) / 1'000'000;
    filter.contains = "a";
    wanted = [&](const Kept& kept) {
      const auto* decision = decision_of(kept);
      return decision != nullptr && kept.log->node != samples::node_id("cellar") &&
             decision->ledger == filter.ledger && decision->outcome == filter.outcome &&
             kept.record.time_ns >= filter.since_ms * 1'000'000 &&
             ((decision->input && decision->input->contains('a')) ||
              (decision->result && decision->result->contains('a')));
    };
  }
  check_filter(site, filter, wanted, sees_all, may_be_empty);
}

TEST_CASE("values taken from the records are found where a scan finds them") {
  SearchSite site;
  site.fill();
  // Strings of some inputs, rare and frequent ones.
  std::set<std::string> values;
  const std::function<void(const json::value&)> collect = [&](const json::value& value) {
    if (const auto* s = value.if_string()) values.emplace(*s);
    if (const auto* a = value.if_array())
      for (const json::value& v : *a) collect(v);
    if (const auto* o = value.if_object())
      for (const auto& member : *o) collect(member.value());
  };
  for (size_t i = 2; i < site.kept.size(); i += 500)
    if (const auto* decision = decision_of(site.kept[i]); decision != nullptr && decision->input)
      collect(json::parse(*decision->input));
  REQUIRE(values.size() > 20);
  for (const std::string& value : values) {
    wire::DecisionFilter filter;
    filter.values = {value};
    const wire::DecisionsRequest request{
        .filter = filter, .cursor = {}, .rows_max = 1'000, .oldest_first = true};
    CHECK_MESSAGE(all_pages(site, request) ==
                      scan(
                          site, [&](const Kept& kept) { return has_value(kept, value); }, true),
                  value);
  }
}

TEST_CASE("decisions about other ledgers are neither returned nor counted") {
  SearchSite site;
  site.fill();
  const MaySee payments = [](std::string_view ledger) { return ledger == "100000000002/payments"; };
  check_filter(
      site, {},
      [](const Kept& kept) {
        return decision_of(kept) != nullptr && decision_of(kept)->ledger == "100000000002/payments";
      },
      payments);
  wire::DecisionFilter filter;
  filter.ledger = "100000000001/gateway";
  check_filter(site, filter, [](const Kept&) { return false; }, payments, true);
  // Records of the log itself are open.
  filter = {};
  filter.kinds = {record::Kind::kActive, record::Kind::kRunStart, record::Kind::kGap};
  check_filter(
      site, filter, [](const Kept& kept) { return decision_of(kept) == nullptr; }, payments);
}

}  // namespace
}  // namespace notp::audit
