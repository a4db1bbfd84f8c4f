// Backups of a registry at work: releases are published and decision records arrive meanwhile, and
// what was acknowledged before is there after a restore.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <atomic>
#include <csignal>
#include <thread>

#include "tests/support/process/audit_site.hpp"
#include "tests/support/process/git.hpp"

namespace notp {
namespace {

namespace fs = std::filesystem;

struct BackedUp {
  AuditSite site;
  Stack& stack = site.stack;
  const fs::path target = stack.file("backup"), unfinished = stack.file("backup.unfinished");

  BackedUp() {
    // Join tokens are a store of their own.
    CHECK(stack.stop_registry() == 0);
    stack.allow_joins();
    stack.write_registry_config();
    stack.start_registry();
  }

  Process start(std::vector<std::string> arguments, const std::string& stem,
                std::vector<std::pair<std::string, std::string>> environment = {}) const {
    arguments.insert(arguments.begin(),
                     {stack.program("notp-server"), "--config", stack.file("registry.yaml")});
    return Process({.command = std::move(arguments),
                    .folder = stack.folder(),
                    .environment = std::move(environment),
                    .output_file = stack.file(stem + ".out"),
                    .error_file = stack.file(stem + ".err")});
  }
  // Runs a command of notp-server to its end.
  Finished run(std::vector<std::string> arguments,
               std::vector<std::pair<std::string, std::string>> environment = {}) {
    const std::string stem = fmt::format("server-{}", runs_++);
    Process process = start(std::move(arguments), stem, std::move(environment));
    return {process.wait().value_or(-1), process.output(), process.error()};
  }
  Finished back_up(std::vector<std::pair<std::string, std::string>> environment = {}) {
    return run({"backup", target}, std::move(environment));
  }
  // Its data are moved away, and come back from the backup.
  Finished restore() {
    const fs::path data = stack.file("registry.data");
    fs::remove_all(stack.file("registry.old"));
    fs::rename(data, stack.file("registry.old"));
    return run({"restore", target});
  }
  size_t answered() const { return site.answered().size(); }

 private:
  int runs_ = 0;
};

// Publishes changes of one model in its own thread, a bounded number.
class PublishingThread {
 public:
  static constexpr int kMost = 200;

  PublishingThread(Stack& stack, const fs::path& model) : stack_(stack), model_(model) {
    thread_ = std::thread([this] {
      for (int i = 0; i < kMost && !ends_; ++i) {
        set_single_approval_max(model_, 20'000 + i);
        if (publish().status == 0)
          ++published_;
        else
          ++refused_;
      }
    });
  }
  ~PublishingThread() { stop(); }
  void stop() {
    ends_ = true;
    if (thread_.joinable()) thread_.join();
  }
  int published() const { return published_; }
  int refused() const { return refused_; }

 private:
  // The folder is not the one that the head was published from.
  CliResult publish() {
    return stack_.notp("alice",
                       {"publish", model_, "--ledger", kPayments, "--onto-head", "-m", "a change"});
  }

  Stack& stack_;
  const fs::path model_;
  std::atomic<bool> ends_ = false;
  std::atomic<int> published_ = 0, refused_ = 0;
  std::thread thread_;
};

TEST_CASE("while a registry is backed up it takes releases and records, and a restore has them") {
  BackedUp backed;
  Stack& stack = backed.stack;
  AuditSite& site = backed.site;
  Agent& agent = site.start_agent({.name = "edge-1"});
  const fs::path model = stack.copy_example("payments");
  REQUIRE(stack.published(stack.copy_example("api-gateway"), kGateway) == 1);
  REQUIRE(stack.notp("eve", {"node", "enroll", "edge-9"}).status == 0);
  for (int64_t i = 0; i < 20; ++i) REQUIRE(site.ask(agent, 10'000 + i));
  site.check_all();

  PublishingThread publisher(stack, model);
  REQUIRE(wait_until([&] { return publisher.published() >= 3; }));
  const int before = publisher.published();
  const size_t answered = backed.answered();
  Process backup = backed.start({"backup", backed.target}, "backup");
  while (!fs::exists(backed.unfinished) && backup.is_running()) std::this_thread::yield();
  // However long it takes: here as long as three releases and ten recorded decisions do.
  backup.signal(SIGSTOP);
  REQUIRE(fs::exists(backed.unfinished));
  const int stopped = publisher.published();
  for (int64_t i = 0; i < 10; ++i) REQUIRE(site.ask(agent, 11'000 + i));
  CHECK(wait_until([&] { return publisher.published() >= stopped + 3; }));
  CHECK(wait_until([&] { return site.has_all(); }));
  CHECK_FALSE(fs::exists(backed.target));
  backup.signal(SIGCONT);
  REQUIRE_MESSAGE(backup.wait() == 0, backup.error());
  const int during = publisher.published() - before;
  publisher.stop();
  CHECK(publisher.refused() == 0);
  CHECK(during >= 3);
  CHECK_FALSE(fs::exists(stack.file("registry.data/copies")));
  CHECK_MESSAGE(backup.output().contains("It holds no keys"), backup.output());
  MESSAGE("published while the backup was made: " << during
                                                  << ", records: " << backed.answered() - answered);

  const Finished verified = backed.run({"verify-backup", backed.target});
  CHECK_MESSAGE(verified.status == 0, verified.error);
  for (const char* ledger : {"payments", "api-gateway"})
    git(backed.target / fmt::format("ledgers/100000000000/{}.git", ledger),
        {"fsck", "--strict", "--full"});

  // v1 is of start_agent().
  REQUIRE(stack.stop_registry() == 0);
  const Finished restored = backed.restore();
  REQUIRE_MESSAGE(restored.status == 0, restored.error);
  CHECK_MESSAGE(restored.output.contains("1 join tokens are void"), restored.output);
  stack.start_registry();
  for (int version = 1; version <= 1 + before; ++version)
    CHECK(stack.notp("alice", {"show", fmt::format("{}@v{}", kPayments, version)}).status == 0);
  CHECK(stack.notp("alice", {"show", kGateway + "@v1"}).status == 0);
  CHECK(stack.node(agent).is_object());

  // The agent goes on: what it has not sent since, or can send again, arrives.
  REQUIRE(site.ask(agent, 12'000));
  CHECK(wait_until([&] { return site.verify().status != 1; }));
  const CliResult audited = site.verify();
  CHECK_MESSAGE((audited.status == 0 || audited.status == 3), audited.output << audited.error);
}

TEST_CASE("a backup that is killed beside a running registry leaves none, and harms nothing") {
  BackedUp backed;
  Stack& stack = backed.stack;
  Agent& agent = backed.site.start_agent({.name = "edge-1"});
  for (const char* point :
       {"after_pending", "after_references", "after_roots", "after_databases", "before_manifest"}) {
    CAPTURE(point);
    const std::string failpoint = std::string("backup.") + point;
    CHECK(backed.back_up({{"NOTP_FAILPOINT", failpoint}}).status == 137);
    CHECK_FALSE(fs::exists(backed.target));
    const Finished verified = backed.run({"verify-backup", backed.unfinished});
    CHECK(verified.status == 8);
    CHECK_MESSAGE(verified.error.contains("not a finished backup"), verified.error);
  }
  REQUIRE(backed.site.ask(agent, 10'000));
  const Finished made = backed.back_up();
  REQUIRE_MESSAGE(made.status == 0, made.error);
  CHECK_FALSE(fs::exists(backed.unfinished));
  CHECK(backed.back_up().status == 2);  // it is there
  CHECK(stack.count_events("stores_not_copied") == 0);
}

TEST_CASE("a registry does not start with half a restore, and a restore needs an empty folder") {
  BackedUp backed;
  Stack& stack = backed.stack;
  REQUIRE(stack.published(stack.copy_example("payments"), kPayments) == 1);
  REQUIRE(backed.back_up().status == 0);
  const Finished running = backed.run({"restore", backed.target});
  CHECK(running.status == 4);
  CHECK_MESSAGE(running.error.contains("stop it first"), running.error);
  REQUIRE(stack.stop_registry() == 0);
  const Finished full = backed.run({"restore", backed.target});
  CHECK(full.status == 2);
  CHECK_MESSAGE(full.error.contains("move it away"), full.error);

  const fs::path data = stack.file("registry.data");
  fs::rename(data, stack.file("registry.old"));
  CHECK(
      backed.run({"restore", backed.target}, {{"NOTP_FAILPOINT", "restore.after_stores"}}).status ==
      137);
  const Finished started = backed.run({});
  CHECK(started.status == 4);
  CHECK_MESSAGE(started.error.contains("was interrupted"), started.error);
  fs::remove_all(data);
  REQUIRE(backed.run({"restore", backed.target}).status == 0);
  stack.start_registry();
  CHECK(stack.notp("alice", {"show", kPayments + "@v1"}).status == 0);
}

}  // namespace
}  // namespace notp
