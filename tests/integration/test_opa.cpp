// Feeding OPA, with the real program.
#include <doctest/doctest.h>

#include <boost/asio.hpp>
#include <future>

#include "tests/support/agent/ask_pdp.hpp"
#include "tests/support/agent/opa_host.hpp"
#include "tests/support/agent/opa_models.hpp"

namespace notp {

namespace asio = boost::asio;
using Host = OpaHost;

TEST_CASE("OPA confirms, is woken by a change, refuses, recovers and restarts") {
  Host host(true);
  const auto one = compose(
      {payments(1, rule(1)), {"keys", 4, {"keys"}, {{"keys/idp/data.json", R"({"keys": []})"}}}});
  host.activate(one);
  host.start_opa();
  pdp::PdpOutcome outcome = host.next();
  CHECK(outcome.active_set == one.active_set);
  REQUIRE_MESSAGE(!outcome.rejected, outcome.rejected->message);
  CHECK(host.ask("payments/number") == R"({"result":1})");
  CHECK(host.ask("payments/allow", R"({"amount":7})") == R"({"result":true})");
  CHECK(host.ask("payments/allow", R"({"amount":700})") == "{}");
  CHECK(host.ask("keys/idp") == R"({"result":{"keys":[]}})");
  CHECK(host.ask("system/notp/revision") ==
        R"({"result":"100000000000/keys@4,100000000000/payments@1"})");
  CHECK(ask(*host.pdp, "payments/allow", R"({"amount":7})").value() == "true");
  CHECK(ask(*host.pdp, "payments/allow", R"({"amount":700})").value() == std::nullopt);
  CHECK(ask(*host.pdp, "payments/allow", "{").error().code == ErrorCode::kMessage);

  // The open long poll has most of a minute left; a change does not wait for it.
  const auto two = compose({payments(2, rule(2))});
  const auto before = std::chrono::steady_clock::now();
  host.activate(two);
  outcome = host.next();
  CHECK(outcome.active_set == two.active_set);
  CHECK_FALSE(outcome.rejected);
  CHECK(std::chrono::steady_clock::now() - before < std::chrono::seconds(30));
  CHECK(host.ask("payments/number") == R"({"result":2})");

  // A built-in that this OPA does not have: it parses but does not compile.
  const auto bad = compose({payments(3, "package payments\n\nnumber := no.such.builtin(3)\n")});
  host.activate(bad);
  outcome = host.next();
  CHECK(outcome.active_set == bad.active_set);
  REQUIRE(outcome.rejected);
  CHECK(outcome.rejected->code == ErrorCode::kPdpRejected);
  CHECK(outcome.rejected->message.find("no.such.builtin") != std::string::npos);
  CHECK(outcome.rejected->message.find("payments/allow.rego:3:") != std::string::npos);
  CHECK(host.ask("payments/number") == R"({"result":2})");
  host.activate(two);  // like the agent then
  CHECK_FALSE(host.next().rejected);

  // One that does not even parse fails in OPA's downloader, by another path.
  const auto worse = compose({payments(4, "package payments\n\nnumber := (\n")});
  host.activate(worse);
  outcome = host.next();
  CHECK(outcome.active_set == worse.active_set);
  CHECK(outcome.rejected);
  CHECK(host.ask("payments/number") == R"({"result":2})");
  host.activate(worse);
  CHECK(host.next().rejected);
  host.activate(two);
  CHECK_FALSE(host.next().rejected);

  // A restarted OPA has nothing, and is served at once.
  host.start_opa();
  outcome = host.next();
  CHECK(outcome.active_set == two.active_set);
  CHECK_FALSE(outcome.rejected);
  CHECK(host.ask("payments/number") == R"({"result":2})");

  const auto five = compose({payments(5, rule(5))});
  host.activate(five);
  outcome = host.next();
  CHECK(outcome.active_set == five.active_set);
  CHECK_FALSE(outcome.rejected);
  CHECK(host.ask("payments/number") == R"({"result":5})");
  CHECK(host.fetches < 60);  // no loop of requests
  CHECK(host.reports.empty());
}

TEST_CASE("OPA sees how a ledger stands, decides nothing of an expired one, and gets it back") {
  Host host(true);
  const auto release = compose({payments(1, rule(1) + "small(x) if x < 10\n"),
                                {"desk",
                                 3,
                                 {"desk"},
                                 {{"desk/desk.rego",
                                   "package desk\n\nown := \"open\"\n"
                                   "leans if data.payments.allow\n"
                                   "calls if data.payments.small(input.amount)\n"
                                   "stale if data.system.notp.ledgers.payments.state == "
                                   "\"stale\"\n"
                                   "heard if {\n\tguard := data.system.notp.ledgers.payments\n"
                                   "\ttime.now_ns() / 1000000 <= guard.vouched_ms + "
                                   "guard.hard_s * 1000\n}\n"}}}});
  const Bytes seven = R"({"amount":7})";
  const auto tell = [&](const trust::FreshnessStatus& freshness_status) {
    const auto told = with_status(release, "payments", freshness_status);
    host.activate(told);
    const pdp::PdpOutcome outcome = host.next();
    CHECK(outcome.active_set == told.active_set);
    REQUIRE_MESSAGE(!outcome.rejected, outcome.rejected->message);
  };
  const auto state = [&] { return host.ask("system/notp/ledgers/payments/state"); };
  host.activate(with_status(release, "payments", status_at_age(1)));
  host.start_opa();
  REQUIRE_FALSE(host.next().rejected);
  CHECK(host.ask("desk/calls", seven) == R"({"result":true})");
  CHECK(host.ask("desk/stale") == "{}");

  tell(status_at_age(301));
  CHECK(host.ask("desk/stale") == R"({"result":true})");
  CHECK(host.ask("payments/allow", seven) == R"({"result":true})");

  tell(status_at_age(3'601));
  CHECK(state() == R"({"result":"expired"})");
  CHECK(host.ask("payments/allow", seven) == "{}");
  CHECK(host.ask("payments/limits") == "{}");
  CHECK(host.ask("payments/number") == "{}");
  CHECK(host.ask("desk/own") == R"({"result":"open"})");
  CHECK(host.ask("desk/leans", seven) == "{}");
  CHECK(host.ask("desk/calls", seven) == "{}");
  CHECK(ask(*host.pdp, "payments/allow", seven).value() == std::nullopt);

  tell(status_at_age(0));  // attested again
  CHECK(state() == R"({"result":"fresh"})");
  CHECK(host.ask("payments/allow", seven) == R"({"result":true})");
  CHECK(host.ask("desk/calls", seven) == R"({"result":true})");

  tell(status_at_age(3'601, trust::OnHard::kServe));
  CHECK(state() == R"({"result":"expired"})");
  CHECK(host.ask("payments/allow", seven) == R"({"result":true})");

  // Only newer times: the same revision, still confirmed. A dead agent sends no further times, and
  // a rule can detect it from the clock.
  trust::FreshnessStatus now = status_at_age(0, trust::OnHard::kServe);
  const auto wall_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                           std::chrono::system_clock::now().time_since_epoch())
                           .count();
  now.vouched_ms = wall_ms - 2 * 3'600'000;
  tell(now);
  CHECK(host.ask("desk/heard") == "{}");
  now.vouched_ms = wall_ms;
  tell(now);
  CHECK(host.ask("desk/heard") == R"({"result":true})");
}

TEST_CASE("OPA sees how an issuer is, although the releases stay the same") {
  Host host(true);
  const auto release = compose({payments(1, rule(1))});
  const auto tell = [&](wire::IssuerState state, TimeMs good_ms) {
    auto told = std::make_shared<pdp::ActiveSet>(*release.active_set);
    told->sources = std::make_shared<const wire::SourceStatus>(wire::SourceStatus{
        {{"login", "https://login.internal", {100'000'000'000, "keys"}, state, good_ms}}});
    CHECK(told->revision() == release.active_set->revision());
    host.activate({told, release.load});
    const pdp::PdpOutcome outcome = host.next();
    REQUIRE_MESSAGE(!outcome.rejected, outcome.rejected->message);
    CHECK(outcome.active_set == told);
  };
  const auto issuer = [&](std::string_view member) {
    return host.ask(fmt::format("system/notp/sources/issuers/login/{}", member));
  };
  host.activate(release);
  host.start_opa();
  REQUIRE_FALSE(host.next().rejected);
  CHECK(issuer("state") == "{}");
  tell(wire::IssuerState::kOk, 1);
  CHECK(issuer("state") == R"({"result":"ok"})");
  tell(wire::IssuerState::kFailing, 1);
  CHECK(issuer("state") == R"({"result":"failing"})");
  tell(wire::IssuerState::kFailing, 2);
  CHECK(issuer("good_ms") == R"({"result":2})");
  CHECK(issuer("ledger") == R"({"result":"100000000000/keys"})");
}

TEST_CASE("OPA that has not let go of an expired ledger is not asked about it") {
  Host host(true);
  const auto release = compose({payments(1, rule(1))});
  host.activate(with_status(release, "payments", status_at_age(1)));
  host.start_opa();
  REQUIRE_FALSE(host.next().rejected);
  const Bytes seven = R"({"amount":7})";
  CHECK(ask(*host.pdp, "payments/allow", seven).value() == "true");
  const auto expired = with_status(release, "payments", status_at_age(3'601));
  std::promise<void> go;
  host.on_agent([&] {
    host.pdp->activate(with_status(compose({payments(1, rule(1)),
                                            {"desk", 1, {"desk"}, {{"desk/d/data.json", "{}"}}}}),
                                   "payments", status_at_age(3'601))
                           .active_set,
                       [&](const Hash&) -> Result<model::Content> {
                         go.get_future().wait();
                         return fail(ErrorCode::kCorrupt, "damaged");
                       });
  });
  CHECK(host.ask("payments/allow", seven) == R"({"result":true})");
  CHECK(ask(*host.pdp, "payments/allow", seven).value() == std::nullopt);
  CHECK(ask(*host.pdp, "system/notp/ledgers/payments/version", "").value() == "1");
  go.set_value();
  CHECK(host.next().rejected->code == ErrorCode::kCorrupt);
  CHECK(ask(*host.pdp, "payments/allow", seven).value() == std::nullopt);
  host.activate(expired);
  REQUIRE_FALSE(host.next().rejected);
  CHECK(host.ask("payments/allow", seven) == "{}");
}

TEST_CASE("a lost status is read from OPA itself") {
  Host host(true);
  host.drop_statuses = true;
  const auto one = compose({payments(1, rule(1))});
  host.activate(one);
  host.start_opa();
  const pdp::PdpOutcome outcome = host.next();
  CHECK(outcome.active_set == one.active_set);
  CHECK_FALSE(outcome.rejected);
  const auto bad = compose({payments(2, "package payments\n\nnumber := no.such.builtin(3)\n")});
  host.activate(bad);
  const pdp::PdpOutcome refused = host.next();
  CHECK(refused.active_set == bad.active_set);
  CHECK(refused.rejected);
}

TEST_CASE("an agent that restarts is confirmed by the OPA that kept running") {
  Host host(false);
  const auto one = compose({payments(1, rule(1))});
  host.activate(one);
  host.start_opa();
  CHECK_FALSE(host.next().rejected);
  // A new feed does not know what the old one served.
  host.on_agent([&] {
    host.pdp.reset();
    host.pdp = std::make_unique<pdp::OpaPdp>(host.context.get_executor(), host.pool, test_checker(),
                                             pdp::OpaOptions{});
    host.pdp->start(host.reports.sink());
    host.pdp->activate(one.active_set, one.load);
  });
  const pdp::PdpOutcome outcome = host.next();
  CHECK(outcome.active_set == one.active_set);
  CHECK_FALSE(outcome.rejected);
  CHECK(ask(*host.pdp, "payments/number", "").error().code == ErrorCode::kUnavailable);
}

TEST_CASE("an OPA that starts before the agent has a model gets it when there is one") {
  Host host(true);
  host.start_opa();
  REQUIRE(wait_until([&] { return host.fetches > 0; }));
  const auto one = compose({payments(1, rule(1))});
  host.activate(one);
  CHECK_FALSE(host.next().rejected);
  CHECK(host.ask("payments/number") == R"({"result":1})");
}

}  // namespace notp
