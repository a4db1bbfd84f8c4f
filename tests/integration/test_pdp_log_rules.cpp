// The rules for the decision log through the embedded PDP.
#include <doctest/doctest.h>

#include <boost/asio.hpp>

#include "notp-client/pdp/embedded_pdp.hpp"
#include "tests/support/agent/compositions.hpp"
#include "tests/support/agent/engine.hpp"
#include "tests/support/agent/report_queue.hpp"

namespace notp::pdp {

namespace asio = boost::asio;

TEST_CASE("what the decision log needs comes with the decision, or with its error") {
  asio::thread_pool agent(1), pool(2);
  ReportQueue reports;
  EmbeddedPdp pdp(agent.get_executor(), agent.get_executor(), pool,
                  {.engine = {.worker = test_worker()}});
  const auto release =
      compose({{"app",
                1,
                {"app"},
                {{"app/policy.rego",
                  "package app\n\nallow if input.amount < 10\n\nbroken := 1 / input.zero\n"}}},
               {"logs",
                1,
                {"system/log"},
                {{"system/log/mask.rego",
                  "package system.log\n\nmask contains sprintf(\"/input/%s\", "
                  "[input.labels.field])\n"}}}});
  asio::post(agent, [&] {
    pdp.start(reports.sink());
    pdp.activate(release.active_set, release.load);
  });
  REQUIRE_FALSE(reports.next()->rejected);
  const auto decide = [&](const std::string& name) {
    Question question{.path = {"app", name},
                      .flags = rego::kLogRules | rego::kStrictBuiltinErrors,
                      .log_event = R"({"labels": {"field": "card"}})"};
    question.inputs.emplace_back(Bytes(R"({"amount": 7, "card": "4000", "zero": 0})"));
    return asio::co_spawn(pool, pdp.evaluate(std::move(question)), asio::use_future).get();
  };
  const std::string log = R"({"log":{"mask":[{"op":"remove","path":"/input/card"}]}})";
  const auto allowed = decide("allow");
  REQUIRE(allowed);
  REQUIRE_MESSAGE(allowed->at(0), allowed->at(0).error().message);
  CHECK(allowed->at(0)->value == "true");
  CHECK(allowed->at(0)->extras == log);
  CHECK(allowed->at(0)->evaluation_ns > 0);
  CHECK(allowed->at(0)->time_ns > 0);
  const auto broken = decide("broken");
  REQUIRE_FALSE(broken);
  CHECK(rego::evaluation_extras(broken.error()) == log);
}

}  // namespace notp::pdp
