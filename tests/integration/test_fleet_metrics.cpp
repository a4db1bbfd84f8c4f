// The metrics of a fleet, as a page shows them.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <regex>

#include "common/telemetry/label_values.hpp"
#include "notp-server/fleet/fleet_metrics.hpp"
#include "tests/support/process/process.hpp"
#include "tests/support/temporary_folder.hpp"

namespace notp {
namespace {

using wire::CommitState;

const model::LedgerId kPayments{273165098782, "payments"};
const std::string kLedger = kPayments.text();

std::string node(int number) {
  return fmt::format("spiffe://core-platform.internal/node/edge-{:05}", number);
}

// A fleet with its metrics; the head of "payments" is v5.
class Measured {
 public:
  fleet::Heads heads = {{kPayments, 5}};
  std::unique_ptr<fleet::Fleet> fleet;

  Measured() { open(); }
  void open() {
    fleet.reset();
    metrics = std::make_unique<MetricsRegistry>();
    auto opened = fleet::Fleet::open(folder_.path() / "fleet.db");
    REQUIRE_MESSAGE(opened.has_value(), (opened ? "" : opened.error().message));
    fleet = *std::move(opened);
    fleet::add_fleet_metrics(*metrics, *fleet, [this] { return heads; });
  }
  void connect(int number, TimeMs now_ms) {
    REQUIRE(fleet->node_seen(node(number), "notp-client/0.1", true, now_ms).has_value());
    REQUIRE(fleet->subscribed(node(number), {kPayments}).has_value());
  }
  void report(int number, uint64_t version, CommitState state, TimeMs now_ms) {
    REQUIRE(
        fleet->report(node(number), {kPayments, version, state, 0, "", sha256("content")}, now_ms)
            .has_value());
  }
  void attest(int number, uint64_t version, TimeMs issued_ms) {
    trust::Freshness statement;
    statement.issued_ms = issued_ms;
    statement.heads = {{kPayments, 1, version, sha256("release"), {}}};
    fleet->attested(node(number), statement);
  }
  // Waits until the page has this line.
  void shows(const std::string& line) const {
    std::string page;
    const bool does = wait_until([&] {
      page = metrics->text();
      return page.contains("\n" + line + "\n");
    });
    CHECK_MESSAGE(does, line << " is not on:\n" << page);
  }
  void shows(const std::string& name, const std::string& labels, double value) const {
    shows(fmt::format("{}{{{}}} {}", name, labels, value));
  }

  std::unique_ptr<MetricsRegistry> metrics;

 private:
  const TemporaryFolder folder_;
};

TEST_CASE("every node counts once, by what it does now") {
  Measured site;
  for (int i = 0; i < 6; ++i) site.connect(i, 1'000);
  site.report(0, 5, CommitState::kActive, 1'100);
  site.report(1, 5, CommitState::kStored, 1'100);
  site.report(2, 4, CommitState::kActive, 1'100);
  REQUIRE(site.fleet->flush().has_value());
  site.report(2, 5, CommitState::kRejected, 1'200);
  REQUIRE(site.fleet->node_seen(node(3), "", false, 1'300).has_value());
  site.fleet->refused(node(4), Error{ErrorCode::kRollback, "v4 is below v5", {}});
  // 5 has reported nothing.
  site.shows("notp_nodes", R"(state="active")", 1);
  site.shows("notp_nodes", R"(state="waiting")", 2);
  site.shows("notp_nodes", R"(state="rejected")", 1);
  site.shows("notp_nodes", R"(state="away")", 1);
  site.shows("notp_nodes", R"(state="distrusting")", 1);
  // Rejected, and deciding with the last good one.
  site.shows("notp_release_active", fmt::format(R"(ledger="{}",version="4")", kLedger), 1);

  // A registry that starts again knows the same of nodes that have not come back.
  site.open();
  site.shows("notp_nodes", R"(state="away")", 6);
  site.shows("notp_release_active", fmt::format(R"(ledger="{}",version="5")", kLedger), 1);
}

TEST_CASE("the three newest releases are told apart, also without a node; the others are not") {
  Measured site;
  site.heads = {{kPayments, 9}};
  const std::vector<uint64_t> active = {9, 9, 8, 6, 2, 11};
  for (size_t i = 0; i < active.size(); ++i) {
    site.connect(static_cast<int>(i), 1'000);
    site.report(static_cast<int>(i), active[i], CommitState::kActive, 1'100);
  }
  const auto shows = [&](const std::string& version, double nodes) {
    site.shows("notp_release_active", fmt::format(R"(ledger="{}",version="{}")", kLedger, version),
               nodes);
  };
  shows("9", 2);
  shows("8", 1);
  shows("7", 0);
  shows("older", 2);
  shows("newer", 1);
  CHECK_FALSE(site.metrics->text().contains("version=\"6\""));
  site.shows("notp_release_head_version", fmt::format(R"(ledger="{}")", kLedger), 9);

  // A ledger that the node no longer wants is not one that it decides with.
  REQUIRE(site.fleet->subscribed(node(2), {}).has_value());
  shows("8", 0);
}

TEST_CASE("an activation is measured once, from the publish or from the session") {
  Measured site;
  site.connect(1, 1'000);
  site.fleet->measures().published(kPayments, 5, 10'000);
  site.fleet->measures().published(kPayments, 5, 99'000);  // the first one counts
  site.report(1, 5, CommitState::kStored, 10'200);
  site.report(1, 5, CommitState::kActive, 10'400);
  REQUIRE(site.fleet->flush().has_value());
  site.shows("notp_activation_seconds_count 1");
  site.shows("notp_activation_seconds_sum 0.4");

  // It says so again: in the same session, in the next one, to a registry that has started again.
  site.report(1, 5, CommitState::kActive, 20'000);
  REQUIRE(site.fleet->flush().has_value());
  REQUIRE(site.fleet->node_seen(node(1), "", false, 20'100).has_value());
  site.connect(1, 30'000);
  site.report(1, 5, CommitState::kActive, 30'100);
  REQUIRE(site.fleet->flush().has_value());
  site.shows("notp_activation_seconds_count 1");

  // Away when it was published.
  site.connect(2, 50'000);
  site.report(2, 5, CommitState::kActive, 50'100);
  REQUIRE(site.fleet->flush().has_value());
  site.shows("notp_activation_seconds_count 2");
  site.shows("notp_activation_seconds_sum 0.5");

  site.open();
  site.connect(1, 60'000);
  site.fleet->measures().published(kPayments, 6, 60'000);
  site.report(1, 5, CommitState::kActive, 60'100);
  REQUIRE(site.fleet->flush().has_value());
  site.shows("notp_activation_seconds_count 0");
  site.report(1, 6, CommitState::kActive, 60'250);
  REQUIRE(site.fleet->flush().has_value());
  site.shows("notp_activation_seconds_count 1");
  site.shows("notp_activation_seconds_sum 0.25");
}

TEST_CASE("the oldest attestation counts, apart for nodes that are away") {
  Measured site;
  const TimeMs now_ms = read_clock().wall_ms;
  for (int i : {1, 2}) {
    site.connect(i, now_ms);
    site.report(i, 5, CommitState::kActive, now_ms);
  }
  site.shows("notp_freshness_age_seconds", R"(state="connected")", 0);
  site.attest(1, 5, now_ms);
  site.attest(2, 5, now_ms - 3'600'000);
  const auto age = [&](const std::string& state) {
    std::smatch found;
    const std::string page = site.metrics->text();
    const std::regex line("notp_freshness_age_seconds\\{state=\"" + state + "\"\\} (\\S+)");
    return std::regex_search(page, found, line) ? std::stod(found[1]) : -1;
  };
  CHECK(wait_until([&] { return age("connected") >= 3'600; }));
  CHECK(age("away") == 0);
  REQUIRE(site.fleet->node_seen(node(2), "", false, now_ms).has_value());
  CHECK(wait_until([&] { return age("away") >= 3'600 && age("connected") < 3'000; }));
  // An attestation of a head that the node does not have says nothing about what it has.
  site.attest(1, 6, now_ms - 7'200'000);
  site.connect(3, now_ms);
  site.shows("notp_nodes", R"(state="waiting")", 1);
  CHECK(age("connected") < 3'000);
}

TEST_CASE("a fleet of several pages is counted whole") {
  Measured site;
  constexpr int kNodes = 2'500;
  for (int i = 0; i < kNodes; ++i) {
    site.connect(i, 1'000);
    site.report(i, 5, CommitState::kActive, 1'100);
  }
  site.shows("notp_nodes", R"(state="active")", kNodes);
  site.shows("notp_release_active", fmt::format(R"(ledger="{}",version="5")", kLedger), kNodes);
}

TEST_CASE("beyond 200 ledgers the later ones share one series, and names keep their meaning") {
  Measured site;
  site.heads.clear();
  const auto ledger = [](int number) {
    return model::LedgerId{100'000'000'000, fmt::format("m-{}", number)};
  };
  for (int i = 100; i < 320; ++i) site.heads.emplace_back(ledger(i), 1);
  site.connect(1, 1'000);
  REQUIRE(site.fleet->subscribed(node(1), {ledger(100), ledger(318), ledger(319)}).has_value());
  for (int i : {100, 318, 319})
    REQUIRE(site.fleet->report(node(1), {ledger(i), 1, CommitState::kActive, 0, "", Hash()}, 1'100)
                .has_value());
  const auto check = [&] {
    site.shows("notp_release_active", R"(ledger="100000000000/m-100",version="1")", 1);
    site.shows("notp_release_active", R"(ledger="other",version="other")", 2);
    const std::string page = site.metrics->text();
    const std::regex head("notp_release_head_version\\{");
    CHECK(std::distance(std::sregex_iterator(page.begin(), page.end(), head),
                        std::sregex_iterator()) == static_cast<long>(kLedgerLabelsMax));
    CHECK_FALSE(page.contains("m-319"));
  };
  check();
  // One that sorts before all others comes later.
  site.heads.insert(site.heads.begin(), {ledger(0), 1});
  check();
}

}  // namespace
}  // namespace notp
