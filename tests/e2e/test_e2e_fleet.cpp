// Many agents, half of which are killed repeatedly while releases are published.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <random>
#include <set>
#include <utility>

#include "common/storage/files.hpp"
#include "tests/support/process/stack.hpp"
#include "tests/support/wire/test_pki.hpp"

namespace notp {
namespace {

constexpr size_t kAgents = 50;
constexpr int64_t kReleases = 20;
constexpr uint64_t kSeed = 20'260'701;
const std::string kLedger = "100000000000/fleet";

class Fleet {
 public:
  Fleet() {
    const CliResult made = stack_.notp("alice", {"init", model_, "--ledger", kLedger});
    REQUIRE_MESSAGE(made.status == 0, made.error);
    must(make_folders(model_ / "fleet/release"));
    // data itself omits data.system, as in OPA: a rule shows both of one release.
    must(write_file(model_ / "fleet/seen.rego",
                    "package fleet\n\nseen := {\"number\": data.fleet.release.number, "
                    "\"release\": data.system.notp.ledgers.fleet}\n"));
    stack_.registry_more["log"] = json::object{{"level", "debug"}};  // with a line for each report
    stack_.write_registry_config();
    stack_.start_registry();
    publish();
    for (size_t i = 0; i < kAgents; ++i)
      agents_.push_back(
          &stack_.start_agent({.name = fmt::format("edge-{:02}", i), .ledgers = {kLedger}}));
  }

  // A release whose data names its version. `meanwhile` runs while it is published.
  void publish(const std::function<void()>& meanwhile = [] {}) {
    const int64_t version = static_cast<int64_t>(roots_.size()) + 1;
    must(write_file(model_ / "fleet/release/data.json",
                    fmt::format(R"({{"number": {}}})", version)));
    Process publisher = stack_.start_notp("alice", {"publish", model_, "--ledger", kLedger},
                                          fmt::format("publish-{}", version));
    meanwhile();
    REQUIRE_MESSAGE(publisher.wait() == 0, publisher.error());
    const json::value result = must(parse_json(publisher.output()));
    REQUIRE(number_at(result, "version") == version);
    roots_[version] = text_at(result, "content_root");
  }

  // Kills and restarts agents of the first half, any number of times.
  void disturb() {
    for (size_t i = 0; i < kAgents / 2; ++i) {
      if (random_() % 4 != 0) continue;
      Agent& agent = *agents_[random_() % (kAgents / 2)];
      if (agent.is_running())
        agent.kill();
      else
        agent.start();
    }
  }
  void revive() {
    for (Agent* agent : agents_)
      if (!agent->is_running()) agent->start();
  }

  // An agent decides, if at all, with a release exactly as published.
  void check_decisions() {
    for (Agent* agent : agents_) {
      if (!agent->is_running() || !decides(*agent)) continue;
      CAPTURE(agent->name());
      const auto seen = agent->decide("fleet/seen", {});
      REQUIRE(seen.has_value());
      const json::value& release = seen->at("release");
      const int64_t version = number_at(release, "version");
      REQUIRE(roots_.contains(version));
      CHECK(text_at(release, "content_root") == roots_.at(version));
      CHECK(number_at(*seen, "number") == version);
      ++checked_;
    }
  }

  // Every release that an agent reports as active was published.
  void check_reports() const {
    std::set<std::string> names;
    for (const Agent* agent : agents_) names.insert(agent->identity());
    size_t active = 0;
    for (const json::value& line : stack_.registry_log()) {
      if (text_at(line, "event") != "commit") continue;
      CAPTURE(json::serialize(line));
      CHECK(names.contains(text_at(line, "identity")));
      CHECK(roots_.contains(number_at(line, "version")));
      CHECK(text_at(line, "state") != "rejected");
      active += text_at(line, "state") == "active";
    }
    CHECK(active >= kAgents);
    CHECK(stack_.count_events("session_refused") == 0);
  }

  // Once the registry has ended, its counts are complete: as many reports of each state of a
  // release as it has lines for each node, in fewer lines.
  void check_counts() {
    REQUIRE(stack_.stop_registry() == 0);
    std::map<std::pair<int64_t, std::string>, int64_t> reports, counts;
    for (const json::value& line : stack_.registry_log()) {
      const std::pair of{number_at(line, "version"), text_at(line, "state")};
      if (text_at(line, "event") == "commit") ++reports[of];
      if (text_at(line, "event") == "commits") counts[of] += number_at(line, "count");
    }
    CHECK(counts == reports);
    CHECK(stack_.count_events("commits") * 2 < stack_.count_events("commit"));
  }

  bool all_at_head() {
    const json::array nodes = stack_.nodes();
    return nodes.size() == kAgents && std::ranges::all_of(nodes, [&](const json::value& node) {
             const json::array& ledgers = node.at("ledgers").as_array();
             return node.at("connected").as_bool() && ledgers.size() == 1 &&
                    text_at(ledgers[0], "state") == "active" &&
                    number_at(ledgers[0], "active_version") == kReleases;
           });
  }
  size_t checked() const { return checked_; }

 private:
  static bool decides(const Agent& agent) {
    return number_at(agent.ledger_status(kLedger), "active_version") > 0;
  }

  Stack stack_;
  const std::filesystem::path model_ = stack_.file("fleet-model");
  std::vector<Agent*> agents_;
  std::map<int64_t, std::string> roots_;  // content root by version
  std::mt19937_64 random_{kSeed};
  size_t checked_ = 0;
};

TEST_CASE("a fleet under publishes and crashes ends at the head, by published releases only") {
  Fleet fleet;
  for (int64_t version = 2; version <= kReleases; ++version) {
    fleet.publish([&] { fleet.disturb(); });
    fleet.check_decisions();
  }
  fleet.revive();
  REQUIRE(wait_until([&] { return fleet.all_at_head(); }));
  fleet.check_decisions();
  fleet.check_reports();
  fleet.check_counts();
  CHECK(fleet.checked() > kAgents);
}

}  // namespace
}  // namespace notp
