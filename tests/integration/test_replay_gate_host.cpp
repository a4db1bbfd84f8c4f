// The replay gate with a real spool and a real policy worker.
#include <boost/asio.hpp>

#include "common/rego/host/worker_process.hpp"
#include "notp-client/agent/host/gate_records.hpp"
#include "notp-client/agent/host/replay_gate.hpp"
#include "notp-client/pdp/embedded_snapshot.hpp"
#include "tests/support/agent/compositions.hpp"
#include "tests/support/agent/engine.hpp"
#include "tests/support/agent/spools.hpp"

namespace notp {
namespace {

namespace asio = boost::asio;

const model::LedgerId kShop{100'000'000'000, "shop"}, kGate{100'000'000'000, "gate"};

// Allows what costs less than `limit`, of which every hundredth decision is one of 50.
TestComposition shop_model(uint64_t version, int limit) {
  return compose(
      {{"shop",
        version,
        {"shop"},
        {{"shop/shop.rego", fmt::format("package shop\n\nallow if input.amount < {}\n\nlucky := "
                                        "rand.intn(\"n\", 1000000)\n",
                                        limit)}}}});
}

struct GateSite : spools::SpoolSite {
  std::unique_ptr<spool::DecisionSpool> log = open();
  spool::ActiveSetPtr active = active_set(std::string(rego::worker_opa_version()));
  prometheus::Registry metrics;
  asio::io_context context{1};
  agent::ReplayGate gate{parts(metrics)};
  int masked = 0;

  static spool::ActiveSetPtr active_set(const std::string& version) {
    record::ActiveSet set;
    set.releases.push_back({{.ledger = kShop, .epoch = 1, .version = 1}, "fresh"});
    set.engine = "embedded";
    set.engine_version = version;
    return std::make_shared<const record::ActiveSet>(std::move(set));
  }

  agent::ReplayGateParts parts(prometheus::Registry& registry) {
    return {.log = log.get(),
            .worker = {.worker = test_worker()},
            .snapshot = [](pdp::ActiveSetPtr set,
                           const model::BlobLoader& load) -> Result<rego::SnapshotPtr> {
              return pdp::embedded_snapshot(std::move(set), load, {}, nullptr);
            },
            .mask = [this](const pdp::ActiveSet&, const model::LedgerId&,
                           ByteView result) -> Result<std::optional<Bytes>> {
              ++masked;
              return Bytes(result);
            },
            .metrics = registry};
  }

  record::DecisionContent decision(int amount) const {
    record::DecisionContent content;
    content.eval_time_ns = 1'700'000'000'000'000'000;
    content.path = "shop/allow";
    content.ledger = kShop.text();
    content.input = fmt::format("{{\"amount\":{}}}", amount);
    if (amount < 100) content.result = "true";
    content.outcome = amount < 100 ? record::Outcome::kAllow : record::Outcome::kUndefined;
    return content;
  }
  std::string record(record::DecisionContent content) {
    const auto written = log->append({1'700'000'000'000'000'000, std::move(content), active, {}});
    REQUIRE(written);
    REQUIRE(*written);
    return (*written)->decision_id;
  }
  // Of every hundred, one is of 50; the others are decided alike by every version.
  void record_hundreds(int hundreds) {
    for (int i = 0; i < 100 * hundreds; ++i) record(decision(i % 100 == 0 ? 50 : i % 2 ? 1 : 500));
  }
  agent::GateReport judge(const TestComposition& candidate, model::GateTerms terms) {
    return judge_with(gate, candidate, terms);
  }
  agent::GateReport judge_with(agent::ReplayGate& judging, const TestComposition& candidate,
                               model::GateTerms terms) {
    std::optional<agent::GateReport> out;
    asio::co_spawn(
        context, judging.judge({candidate.active_set, {{kShop, 2, terms}}}, candidate.load),
        [&](const std::exception_ptr&, agent::GateReport report) { out = std::move(report); });
    context.restart();
    context.run();
    REQUIRE(out);
    return *out;
  }
  double count(const std::string& outcome) const {
    for (const auto& family : metrics.Collect())
      for (const auto& metric : family.metric)
        if (family.name == "notp_agent_gate_total" && metric.label[0].value == outcome)
          return metric.counter.value;
    return -1;
  }
};

TEST_CASE("a candidate that changes one decision in a hundred is held, with exact counts") {
  GateSite site;
  site.record_hundreds(12);
  const std::string last = site.record(site.decision(50));
  const agent::GateReport held = site.judge(shop_model(2, 40), {1'000, 1'000});
  REQUIRE(held.held);
  CHECK(held.held->code == ErrorCode::kGateHeld);
  // The newest 1,000: that of 50 which came last, and those of the last hundreds but one.
  CHECK_MESSAGE(held.held->message.starts_with(
                    "10 of this node's last 1000 recorded decisions come out differently with " +
                    kShop.text() + " v2, its manifest allows 0.1%\n" + last +
                    " shop/allow: undefined instead of true\n"),
                held.held->message);
  CHECK(std::ranges::count(held.held->message, '\n') == agent::kGateDifferencesMax);
  CHECK(held.failures.empty());
  CHECK(site.count("held") == 1);

  CHECK_FALSE(site.judge(shop_model(2, 40), {1'000, 10'000}).held);  // 1 % are allowed
  CHECK_FALSE(site.judge(shop_model(2, 100), {1'000, 0}).held);      // and this changes nothing
  CHECK(site.count("passed") == 2);
}

TEST_CASE("the records of the log are read newest first, of each ledger as many as are wanted") {
  GateSite site;
  std::vector<std::string> shop, gate;
  for (int i = 0; i < 3'000; ++i) {
    record::DecisionContent content = site.decision(i);
    if (i % 10 == 0) content.ledger = kGate.text();
    const std::string id = site.record(std::move(content));
    (i % 10 == 0 ? gate : shop).push_back(id);
    if (i == 1'500) REQUIRE(site.log->seal_now());
  }
  agent::GateReading reading{.wanted = {{kShop, 1'200}, {kGate, 1'000}},
                             .bytes_max = 1 << 30,
                             .until = std::chrono::steady_clock::now() + std::chrono::seconds(60),
                             .go_on = [] { return true; }};
  const auto found = agent::newest_records(*site.log, reading);
  REQUIRE_MESSAGE(found, found.error().message);
  const auto& of_shop = found->at(kShop);
  REQUIRE(of_shop.size() == 1'200);
  CHECK(of_shop.front().decision_id == shop.back());
  CHECK(of_shop.back().decision_id == shop[shop.size() - 1'200]);
  CHECK(of_shop.front().active->engine == "embedded");
  CHECK(found->at(kGate).size() == 300);
  CHECK(found->at(kGate).back().decision_id == gate.front());
  reading.bytes_max = 1;
  CHECK(agent::newest_records(*site.log, reading)->at(kShop).size() < 1'200);
}

TEST_CASE("with fewer than a hundred decisions to compare a release passes, and that is said") {
  GateSite site;
  for (int i = 0; i < 99; ++i) site.record(site.decision(50));
  CHECK_FALSE(site.judge(shop_model(2, 40), {1'000, 0}).held);
  CHECK(site.count("few") == 1);
  // What was not recorded cannot be compared.
  for (int i = 0; i < 500; ++i) {
    record::DecisionContent content = site.decision(50);
    content.path = "shop/lucky";
    content.result = "7";
    site.record(std::move(content));
  }
  const agent::GateReport report = site.judge(shop_model(2, 40), {1'000, 0});
  CHECK_FALSE(report.held);
  CHECK(report.failures.empty());
  CHECK(site.count("few") == 2);
  site.record(site.decision(50));
  CHECK(site.judge(shop_model(2, 40), {1'000, 0}).held);
}

TEST_CASE("recorded chance comes out as it did") {
  GateSite site;
  for (int i = 0; i < 200; ++i) {
    record::DecisionContent content = site.decision(50);
    content.path = "shop/lucky";
    content.result = "7";
    content.nd_builtin_cache = R"({"rand.intn":{"[\"n\",1000000]":7}})";
    site.record(std::move(content));
  }
  CHECK_FALSE(site.judge(shop_model(2, 40), {1'000, 0}).held);
  CHECK(site.count("passed") == 1);
}

TEST_CASE("what another version of the engine decided is no difference") {
  GateSite site;
  site.active = GateSite::active_set("0.0.1");
  site.record_hundreds(3);
  CHECK_FALSE(site.judge(shop_model(2, 40), {1'000, 0}).held);
  CHECK(site.count("passed") == 1);  // by those that are the same
}

TEST_CASE("a gate whose worker does not start lets the release pass, with an alarm") {
  GateSite site;
  site.record_hundreds(2);
  prometheus::Registry metrics;
  agent::ReplayGateParts parts = site.parts(metrics);
  parts.worker.worker = "/bin/false";
  agent::ReplayGate broken(std::move(parts));
  const agent::GateReport report = site.judge_with(broken, shop_model(2, 40), {1'000, 0});
  CHECK_FALSE(report.held);
  REQUIRE(report.failures.size() == 1);
  CHECK_MESSAGE(report.failures[0].message.find("could not judge") != std::string::npos,
                report.failures[0].message);
}

TEST_CASE("a release that does not compile is left to the PDP") {
  GateSite site;
  site.record_hundreds(2);
  const TestComposition broken = compose(
      {{"shop", 2, {"shop"}, {{"shop/shop.rego", "package shop\n\nallow if nothing_of_it(1)\n"}}}});
  const agent::GateReport report = site.judge(broken, {1'000, 0});
  CHECK_FALSE(report.held);
  CHECK(report.failures.empty());
  CHECK(site.count("few") == 1);
}

TEST_CASE("a judgement that is cancelled says nothing, and the next one is made") {
  GateSite site;
  site.record_hundreds(3);
  const TestComposition candidate = shop_model(2, 40);
  std::optional<agent::GateReport> first, second;
  asio::co_spawn(site.context,
                 site.gate.judge({candidate.active_set, {{kShop, 2, {1'000, 0}}}}, candidate.load),
                 [&](const std::exception_ptr&, agent::GateReport out) { first = std::move(out); });
  asio::post(site.context, [&] { site.gate.cancel(); });
  asio::co_spawn(
      site.context,
      site.gate.judge({candidate.active_set, {{kShop, 3, {1'000, 0}}}}, candidate.load),
      [&](const std::exception_ptr&, agent::GateReport out) { second = std::move(out); });
  site.context.run();
  REQUIRE(first);
  CHECK_FALSE(first->held);
  CHECK(first->failures.empty());
  CHECK(site.count("replaced") == 1);
  REQUIRE(second);
  CHECK(second->held);
}

TEST_CASE("the bytes of a log that cannot be read are an alarm, and no reason to hold") {
  struct Unreadable final : spool::SegmentSource {
    spool::SealedLog sealed() const override { return {.size = 7}; }
    Result<record::Segment> segment(record::Position) override {
      return fail(ErrorCode::kIo, "the disk does not answer");
    }
    void acknowledged(record::Position) override {}
    void connected(bool) override {}
    void on_sealed(std::function<void()>) override {}
  } log;
  GateSite site;
  prometheus::Registry metrics;
  agent::ReplayGateParts parts = site.parts(metrics);
  parts.log = &log;
  agent::ReplayGate gate(std::move(parts));
  const agent::GateReport report = site.judge_with(gate, shop_model(2, 40), {1'000, 0});
  CHECK_FALSE(report.held);
  REQUIRE(report.failures.size() == 1);
  CHECK(report.failures[0].code == ErrorCode::kIo);
}

}  // namespace
}  // namespace notp
