// The engine with its real worker.
#include <doctest/doctest.h>

#include "tests/support/rego_engine.hpp"

namespace notp::rego {
namespace {

const std::string kShop =
    "package shop\n\nimport rego.v1\n\nallow if input.amount <= data.shop.limits.max\n"
    "version := data.system.notp.version\n";

TEST_CASE("decides with the active snapshot, and names it") {
  ContentShelf shelf;
  EngineHost host;
  CHECK(host.value({"shop", "allow"}) == "unavailable");
  const auto first = SnapshotBuilder(shelf)
                         .ledger("shop", kShop)
                         .document({"shop", "limits"}, R"({"max": 100})")
                         .system(R"({"version": 1})")
                         .make();
  const auto activated = host.activate(first);
  REQUIRE_MESSAGE(activated, activated.error().message);
  CHECK(host.engine->active() == first);
  CHECK(host.value({"shop", "allow"}, R"({"amount": 100})") == "true");
  CHECK(host.value({"shop", "allow"}, R"({"amount": 101})") == "undefined");
  CHECK(host.value({"shop", "version"}) == "1");
  const auto decision = host.ask({"shop", "allow"}, R"({"amount": 1})");
  REQUIRE(decision);
  CHECK(decision->snapshot == first);
  CHECK(decision->time_ns > 0);
}

}  // namespace
}  // namespace notp::rego
