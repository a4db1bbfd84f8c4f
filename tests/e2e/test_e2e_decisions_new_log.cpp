// The log of a running agent changes under it: one that is a fork is followed by another one, and
// one that cannot be opened at the start begins when the disk takes it.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "tests/support/process/audit_site.hpp"

namespace notp {
namespace {

namespace fs = std::filesystem;

TEST_CASE("a restored data folder: the agent goes on in a new log without a restart, and says so") {
  AuditSite site;
  Agent& agent = site.start_agent({.name = "edge-1"});
  ask_branch(agent, 1'000, 10);
  const std::string log = log_of(agent);
  REQUIRE(wait_until([&] { return holds(site.recorded_amounts()[log], 1'000, 10); }));
  CHECK(agent.stop() == 0);
  const fs::path data = site.stack.file("edge-1.data"), backup = site.stack.file("backup");
  fs::copy(data, backup, fs::copy_options::recursive);
  agent.start();
  ask_branch(agent, 2'000, 10);
  REQUIRE(wait_until([&] { return holds(site.recorded_amounts()[log], 2'000, 10); }));
  CHECK(agent.stop() == 0);
  fs::remove_all(data);
  fs::copy(backup, data, fs::copy_options::recursive);

  agent.start();
  REQUIRE(wait_until([&] {
    const std::string now = log_of(agent);
    return !now.empty() && now != log;
  }));
  const std::string next = log_of(agent);
  bool is_told = false;
  for (const json::value& alarm : at(agent.status(), "alarms").as_array()) {
    const std::string_view text = alarm.as_string();
    is_told = is_told || (text.contains(next) && text.contains(".old-"));
  }
  CHECK(is_told);
  ask_branch(agent, 4'000, 10);
  CHECK(wait_until([&] { return holds(site.recorded_amounts()[next], 4'000, 10); }));
  CHECK(log_of(agent) == next);
  CHECK(site.old_files(agent.name()) == 2);
  CHECK(site.is_announced(next, log));
}

TEST_CASE("a disk that takes nothing at the start: decisions are refused, and given when it does") {
  AuditSite site;
  const fs::path disk = site.stack.file("disk");
  std::ofstream(disk) << "not mounted";
  AgentSetup setup{.name = "edge-1"};
  setup.more["decisions"] = {{"folder", (disk / "decisions").string()}, {"durability", "strict"}};
  Agent& agent = site.start_agent(std::move(setup));
  const auto refused = ask_with_id(agent.url(), "payments/transfer/decision", {{"amount", 7}});
  CHECK(refused.status == 503);
  CHECK(refused.body.contains("audit_unavailable"));
  const json::value status = agent.status();
  CHECK(at(status, "decisions.open") == json::value(false));
  CHECK(text_at(status, "decisions.trouble").contains("disk"));
  CHECK(text_at(status, "decisions_refused").contains("no log is open"));
  const auto ready = http::call_blocking(
      {.method = "GET", .url = agent.url() + "/health/ready", .deadline_ms = 5'000});
  REQUIRE(ready);
  CHECK(ready->status == 503);
  fs::remove(disk);
  fs::create_directory(disk);
  REQUIRE(wait_until([&] { return site.ask(agent, 8); }));
  CHECK(site.check_all() >= 1);
  CHECK(at(agent.status(), "decisions.open") == json::value(true));
}

}  // namespace
}  // namespace notp
