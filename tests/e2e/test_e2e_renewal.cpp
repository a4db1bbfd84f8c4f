// The cost of a freshness renewal without changes, counted between the real programs.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <set>

#include "tests/support/process/stack.hpp"
#include "tests/support/wire/test_pki.hpp"
#include "tools/bench/counting_proxy.hpp"

namespace notp {
namespace {

constexpr uint64_t kRenewalBytesMax = 150;  // with TLS, without TCP and IP
constexpr size_t kRenewals = 5;

TEST_CASE("a renewal without changes is one small record, and nothing is answered") {
  Stack stack{{.freshness_interval_s = 1}};
  stack.start_registry();
  REQUIRE(stack.published(stack.copy_example("payments"), kPayments) == 1);
  bench::CountingProxy proxy;
  bench::Route* route =
      must(proxy.add_route(static_cast<uint16_t>(stack.registry_port()), /*is_tls=*/true));
  const Agent& agent = stack.start_agent({.name = "edge-1",
                                          .ledgers = {kPayments},
                                          .registry = fmt::format("127.0.0.1:{}", route->port()),
                                          // Its log would go up beside.
                                          .more = {{"decisions", {{"record", false}}}}});
  REQUIRE(stack.becomes_active(agent, kPayments, 1));
  const auto sequence = [&] { return number_at(agent.status(), "freshness_sequence"); };
  // Starts at a renewal: the bytes of the session's opening are excluded.
  const int64_t first = sequence();
  REQUIRE(wait_until([&] { return sequence() > first; }));
  static_cast<void>(route->take());

  bench::Traffic all;
  std::set<int64_t> sequences{sequence()};
  REQUIRE(wait_until([&] {
    const bench::Traffic more = route->take();
    all.flights.insert(all.flights.end(), more.flights.begin(), more.flights.end());
    all.down_records += more.down_records;
    sequences.insert(sequence());
    return sequences.size() > kRenewals;
  }));
  const bench::Traffic renewals = all.without_pings();
  MESSAGE(renewals.down_bytes() << " bytes in " << all.down_records << " records");
  // The last one may have reached the agent before it was counted here.
  CHECK(all.down_records + 1 >= kRenewals);
  CHECK(renewals.down_bytes() <= kRenewalBytesMax * all.down_records);
  CHECK(renewals.up_bytes() == 0);
}

}  // namespace
}  // namespace notp
