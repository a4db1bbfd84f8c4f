// The engine with its real worker.
#include <doctest/doctest.h>

#include <atomic>
#include <filesystem>

#include "tests/support/agent/rego_engine.hpp"
#include "tests/support/process/child_processes.hpp"
#include "tests/support/process/process.hpp"
#include "tests/support/results.hpp"
#include "tests/support/temporary_folder.hpp"

namespace notp::rego {
namespace {

const std::string kShop =
    "package shop\n\nallow if input.amount <= data.shop.limits.max\n"
    "version := data.system.notp.version\n";
// Runs until it is stopped, with little memory.
const std::string kEndless =
    "package endless\n\nrun if {\n\tsome a in numbers.range(1, 1000000)\n"
    "\tsome b in numbers.range(1, 1000000)\n\ta + b < 0\n}\n\nquick := true\n\n"
    "stuck if regex.match(\"(a?){1000}b\", input.text)\n\n"
    "lean if {\n\tthousand := numbers.range(1, 1000)\n\tsome a in thousand\n\tsome b in thousand\n"
    "\tsome c in thousand\n\tsome d in thousand\n\ta + b + c + d < 0\n}\n";
// Uses up all memory.
const std::string kGulp =
    "package gulp\n\nrun := [[a, b] | some a in numbers.range(1, 100000); "
    "some b in numbers.range(1, 100000)]\n\nquick := true\n";

SnapshotPtr shop(ContentShelf& contents, int version = 1) {
  return SnapshotBuilder(contents)
      .ledger("shop", kShop)
      .document({"shop", "limits"}, R"({"max": 100})")
      .ledger("endless", kEndless)
      .ledger("gulp", kGulp)
      .system("{\"version\": " + std::to_string(version) + "}")
      .make();
}

// Its values are numbers of snapshots, and some paths make it misbehave.
EngineOptions scripted_worker() {
  const char* source = std::getenv("NOTP_SOURCE");
  REQUIRE_MESSAGE(source != nullptr, "run through ctest, which sets NOTP_SOURCE");
  EngineOptions options;
  options.worker = std::string(source) + "/tests/support/scripted_worker.py";
  options.opa_version = "scripted";
  return options;
}

std::string code_of(const Result<Decision>& decision) {
  return decision ? "decided" : std::string(error_traits(decision.error().code).name);
}

// Questions that are repeated as soon as they are answered, with a given concurrency.
class Load {
 public:
  Load(EngineHost& host, int at_once) : host_(host) {
    for (int i = 0; i < at_once; ++i) ask();
  }
  ~Load() { stop(); }
  void stop() {
    is_over_ = true;
    REQUIRE(wait_until([&] { return open_ == 0; }));
  }
  std::atomic<int> decided = 0, failed = 0;
  std::string first_failure() {
    const std::scoped_lock lock(mutex_);
    return first_failure_;
  }

 private:
  void ask() {
    ++open_;
    host_.engine->evaluate(Question{{"shop", "allow"}, {R"({"amount": 7})"}, {}},
                           [this](Result<Decision> decision) { on(std::move(decision)); });
  }
  void on(Result<Decision> decision) {
    const bool good =
        decision && decision->evaluations.at(0) && decision->evaluations[0]->value == "true";
    ++(good ? decided : failed);
    if (!good) {
      const std::scoped_lock lock(mutex_);
      if (first_failure_.empty())
        first_failure_ = decision ? "undefined" : decision.error().message;
    }
    if (!is_over_) ask();
    --open_;
  }

  EngineHost& host_;
  std::atomic<bool> is_over_ = false;
  std::atomic<int> open_ = 0;
  std::mutex mutex_;
  std::string first_failure_;
};

uint64_t number_from(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

size_t living_workers() {
  return static_cast<size_t>(std::ranges::count_if(
      child_processes(), [](pid_t worker) { return !program_of(worker).empty(); }));
}

TEST_CASE("decides with the active snapshot, and names it") {
  ContentShelf contents;
  EngineHost host;
  CHECK(host.value({"shop", "allow"}) == "unavailable");
  const auto first = shop(contents);
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
  CHECK(host.engine->status().opa_version.starts_with("1."));
}

TEST_CASE("a batch is of one snapshot and one time, and an input that is no JSON fails alone") {
  ContentShelf contents;
  EngineHost host;
  REQUIRE(host.activate(shop(contents)));
  const auto decision =
      host
          .begin(Question{
              {"shop", "allow"}, {R"({"amount": 1})", std::nullopt, "{", R"({"amount": 500})"}, {}})
          .get();
  REQUIRE_MESSAGE(decision, decision.error().message);
  const auto& evaluations = decision->evaluations;
  REQUIRE(evaluations.size() == 4);
  CHECK(evaluations[0]->value == "true");
  CHECK_FALSE(evaluations[1]->value);
  REQUIRE_FALSE(evaluations[2]);
  CHECK(evaluations[2].error().code == ErrorCode::kMessage);
  CHECK_FALSE(evaluations[3]->value);
  CHECK(code_of(host.ask({"shop", "allow"}, "{")) == "message");
}

TEST_CASE("a release that does not compile is refused with its findings, and the old one decides") {
  ContentShelf contents;
  EngineHost host;
  REQUIRE(host.activate(shop(contents)));
  const auto broken =
      SnapshotBuilder(contents).ledger("shop", "package shop\n\nallow if nothing(1)\n").make();
  const auto refused = host.activate(broken);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kPdpRejected);
  CHECK(refused.error().message.find("shop/policy.rego:3:") != std::string::npos);
  CHECK(host.value({"shop", "allow"}, R"({"amount": 1})") == "true");
  auto lost = std::make_shared<Snapshot>(*shop(contents));
  lost->modules.begin()->second.hash = sha256("nowhere");
  const auto missing = host.activate(lost);
  REQUIRE_FALSE(missing);
  CHECK(missing.error().code == ErrorCode::kNotFound);
  CHECK(host.value({"shop", "allow"}, R"({"amount": 1})") == "true");
}

TEST_CASE("only what has changed is loaded again, and a change of freshness loads nothing") {
  ContentShelf contents;
  EngineHost host;
  std::string large = R"({"max": 100, "names": {)";
  for (int i = 0; i < 60'000; ++i)
    large += (i > 0 ? ", \"" : "\"") + std::to_string(i) + R"(": "name of somebody")";
  const auto with = [&](const std::string& document, int version) {
    return SnapshotBuilder(contents)
        .ledger("shop", kShop + "name := data.shop.limits.names[input.id]\n")
        .document({"shop", "limits"}, document)
        .system("{\"version\": " + std::to_string(version) + "}")
        .make();
  };
  REQUIRE(host.activate(with(large + "}}", 1)));
  CHECK(host.value({"shop", "name"}, R"({"id": "777"})") == R"("name of somebody")");
  const size_t loads = contents.loads;
  REQUIRE(host.activate(with(large + "}}", 2)));
  CHECK(contents.loads == loads);
  CHECK(host.value({"shop", "version"}) == "2");
  std::string changed = large + "}}";
  changed.replace(changed.find("\"777\": \"name"), 12, "\"777\": \"word");
  REQUIRE(host.activate(with(changed, 2)));
  CHECK(contents.loads == loads + 2);  // the document, and the one it differs little from
  CHECK(host.value({"shop", "name"}, R"({"id": "777"})") == R"("word of somebody")");
  CHECK(host.value({"shop", "name"}, R"({"id": "778"})") == R"("name of somebody")");
}

TEST_CASE("the newest of many activations is active, and what it superseded is told") {
  ContentShelf contents;
  EngineHost host;
  std::vector<std::future<Result<void>>> outcomes;
  for (int i = 1; i <= 20; ++i) outcomes.push_back(host.begin_activate(shop(contents, i)));
  CHECK(outcomes.back().get());
  for (size_t i = 0; i + 1 < outcomes.size(); ++i) {
    const auto outcome = outcomes[i].get();
    CHECK((outcome || outcome.error().code == ErrorCode::kCancelled));
  }
  CHECK(host.value({"shop", "version"}) == "20");
}

TEST_CASE("no answer after an activation is of an older snapshot") {
  ContentShelf contents;
  EngineHost host;
  REQUIRE(host.activate(shop(contents, 0)));
  Load load(host, 4);
  // The slow lane as well, with a whole document.
  CHECK(host.value({"shop"}).find("\"version\":0") != std::string::npos);
  for (int i = 1; i <= 30; ++i) {
    const auto next = shop(contents, i);
    REQUIRE(host.activate(next));
    const auto decision = host.ask({"shop", "version"});
    REQUIRE(decision);
    CHECK(decision->snapshot == next);
    CHECK(decision->evaluations[0]->value == std::to_string(i));
    CHECK(host.value({"shop"}).find("\"version\":" + std::to_string(i)) != std::string::npos);
  }
  load.stop();
  CHECK_MESSAGE(load.failed == 0, load.first_failure());
}

TEST_CASE("a decision that overtakes its activation's answer confirms it, and the next one waits") {
  ContentShelf contents;
  EngineHost host(scripted_worker());
  REQUIRE(host.activate(shop(contents, 1)));
  REQUIRE(host.ask({"hold"}));
  for (int i = 2; i <= 4; ++i) {
    // The worker keeps the answer back beyond the first decision with this snapshot.
    const auto next = shop(contents, i);
    auto activation = host.begin_activate(next);
    for (bool is_told = false; !is_told;) {
      const auto decision = host.ask({"shop", "version"});
      REQUIRE_MESSAGE(decision, decision.error().message);
      is_told = activation.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
    }
    const auto outcome = activation.get();
    REQUIRE_MESSAGE(outcome, outcome.error().message);
    CHECK(host.engine->active() == next);
  }
  CHECK(contents.loads == 4);  // three policies and a document, once
  CHECK(host.engine->status().kills == 0);
}

TEST_CASE("a worker that has lost its snapshot is replaced, and the release is not refused") {
  ContentShelf contents;
  EngineHost host(scripted_worker());
  REQUIRE(host.activate(shop(contents, 1)));
  REQUIRE(host.ask({"lose"}));
  const auto outcome = host.activate(shop(contents, 2));
  REQUIRE_MESSAGE(outcome, outcome.error().message);
  CHECK(host.value({"shop", "version"}) == "2");
  CHECK(host.engine->status().kills == 1);
  CHECK(host.engine->status().last_error.find("lost the snapshot") != std::string::npos);
}

TEST_CASE("workers killed from outside lose no decision, and nobody is a suspect") {
  ContentShelf contents;
  EngineHost host;
  REQUIRE(host.activate(shop(contents)));
  const uint64_t kills = number_from("NOTP_KILLS", 50);
  Load load(host, 8);
  uint64_t killed = 0;
  int64_t pause_us = 0;
  while (killed < kills) {
    const auto workers = child_processes();
    if (workers.empty()) continue;
    if (::kill(workers[killed % workers.size()], SIGKILL) == 0) ++killed;
    // At all rates: from immediately to longer than a takeover.
    pause_us = (pause_us + 7'919) % 40'000;
    std::this_thread::sleep_for(std::chrono::microseconds(pause_us));
  }
  const int before = load.decided;
  CHECK(wait_until([&] { return load.decided > before; }));
  load.stop();
  CHECK_MESSAGE(load.failed == 0, load.first_failure());
  // Each death was noticed: every dead worker is replaced.
  CHECK(wait_until([] { return living_workers() == 2; }));
  const auto status = host.engine->status();
  record_result(
      "workers of the engine killed from outside, under load",
      fmt::format("{} kills, {} deaths, {} takeovers, {} decisions, {} asked again", killed,
                  status.deaths, status.takeovers, load.decided.load(), status.repeats),
      fmt::format("{} failed, {} suspects", load.failed.load(), status.suspects));
  CHECK(status.deaths > 0);
  CHECK(status.suspects == 0);
  CHECK(status.kills == 0);
}

TEST_CASE("an evaluation that takes too long is stopped, and its caller told") {
  ContentShelf contents;
  EngineHost host;
  REQUIRE(host.activate(shop(contents)));
  const auto late = host.begin(Question{{"endless", "run"}, {"{}"}, {}, 100}).get();
  CHECK(code_of(late) == "timeout");
  // OPA stops by itself: no worker was killed for it.
  CHECK(host.engine->status().kills == 0);
  CHECK(host.value({"endless", "quick"}) == "true");
}

TEST_CASE("a caller that has gone stops its evaluation") {
  ContentShelf contents;
  EngineHost host;
  REQUIRE(host.activate(shop(contents)));
  uint64_t ticket = 0;
  auto answer = host.begin(Question{{"endless", "run"}, {"{}"}, {}, 50'000}, &ticket);
  host.engine->cancel(ticket);
  CHECK(code_of(answer.get()) == "cancelled");
  CHECK(wait_until([&] { return host.engine->status().in_flight == 0; }));
  CHECK(host.engine->status().kills == 0);
}

TEST_CASE(
    "a path that hangs its workers is suspected, then quarantined, then free with a release") {
  ContentShelf contents;
  EngineHost host;
  REQUIRE(host.activate(shop(contents)));
  // One call of a regular expression on a large text cannot be cancelled; a question that is
  // stopped before that point is asked again.
  const std::string quick = R"({"text": ""})";
  const std::string stuck = R"({"text": ")" + std::string(1 << 20, 'a') + R"("})";
  const auto hang = [&] {
    for (const auto kills = host.engine->status().kills;;) {
      const auto bomb = host.begin(Question{{"endless", "stuck"}, {stuck}, "mallory", 100}).get();
      if (code_of(bomb) != "timeout" || host.engine->status().kills > kills) return code_of(bomb);
    }
  };
  uint64_t ticket = 0;
  auto victim = host.begin(Question{{"endless", "lean"}, {"{}"}, "alice", 60'000}, &ticket);
  CHECK(hang() == "timeout");
  // Questions beside it are asked again.
  CHECK(host.engine->status().repeats == 1);
  host.engine->cancel(ticket);
  CHECK(code_of(victim.get()) == "cancelled");
  CHECK(host.engine->status().suspects == 1);
  CHECK(host.notices().empty());
  CHECK(host.value({"shop", "allow"}, R"({"amount": 1})") == "true");
  // The suspect is asked on the standby from then on, which has content then.
  CHECK(code_of(host.ask({"endless", "stuck"}, quick, "mallory")) == "decided");
  CHECK(hang() == "quarantined");
  CHECK(code_of(host.ask({"endless", "stuck"}, quick, "mallory")) == "quarantined");
  REQUIRE(host.notices().size() == 1);
  CHECK(host.notices()[0].path == "endless/stuck");
  CHECK(host.notices()[0].ledger == "100000000001/endless");
  CHECK(host.notices()[0].caller == "mallory");
  CHECK(host.notices()[0].for_ms == 60'000);
  // Another caller, another path and another ledger are unaffected.
  CHECK(code_of(host.ask({"endless", "stuck"}, quick, "alice")) == "decided");
  CHECK(host.value({"shop", "allow"}, R"({"amount": 1})") == "true");
  // A release without a change of that ledger keeps the suspicion, another ends it.
  REQUIRE(host.activate(shop(contents, 2)));
  CHECK(code_of(host.ask({"endless", "stuck"}, quick, "mallory")) == "quarantined");
  REQUIRE(host.activate(SnapshotBuilder(contents)
                            .ledger("shop", kShop)
                            .ledger("endless", kEndless + "more := 1\n")
                            .system("{}")
                            .make()));
  CHECK(code_of(host.ask({"endless", "stuck"}, quick, "mallory")) == "decided");
  CHECK(host.notices().back().for_ms == 0);
}

TEST_CASE("a worker that is not let run harms no path") {
  ContentShelf contents;
  EngineHost host;
  REQUIRE(host.activate(shop(contents)));
  REQUIRE(wait_until([] { return child_processes().size() == 2; }));
  bool is_late = false;
  for (const pid_t worker : child_processes()) {
    REQUIRE(stop_process(worker));
    auto victim = host.begin(Question{{"shop", "allow"}, {R"({"amount": 1})"}, {}, 30'000});
    const auto late = host.begin(Question{{"endless", "quick"}, {"{}"}, "alice", 50}).get();
    is_late = code_of(late) == "timeout";
    if (!is_late) ::kill(worker, SIGCONT);  // the other one decides
    // It is replaced anyway, in the end.
    CHECK(code_of(victim.get()) == "decided");
    if (is_late) break;
  }
  CHECK(is_late);
  CHECK(host.engine->status().suspects == 0);
  CHECK(host.notices().empty());
}

TEST_CASE("a path that takes all memory ends its worker and no decision of others") {
  ContentShelf contents;
  EngineHost host;
  REQUIRE(host.activate(shop(contents)));
  Load load(host, 2);
  for (int i = 0; i < 3; ++i) {
    const auto bomb = host.begin(Question{{"gulp", "run"}, {"{}"}, "mallory", 30'000}).get();
    const std::string told = bomb ? "decided" : bomb.error().message;
    CHECK_MESSAGE(code_of(bomb) == "quarantined", told);
  }
  CHECK(host.value({"gulp", "quick"}) == "true");
  const int before = load.decided;
  CHECK(wait_until([&] { return load.decided > before + 100; }));
  load.stop();
  CHECK_MESSAGE(load.failed == 0, load.first_failure());
  CHECK(host.notices().size() == 1);
  const auto status = host.engine->status();
  CHECK(status.kills + status.deaths >= 2);  // the first time, and alone
  CHECK(status.quarantined == 1);
}

// A document that takes more than fifty times the memory of its text.
SnapshotPtr heavy(ContentShelf& contents, const std::string& place, size_t mib) {
  std::string text = "[\"" + place + "\",";
  while (text.size() < mib << 20) text += R"({"":0},)";
  return SnapshotBuilder(contents)
      .ledger("shop", kShop + "place := \"" + place + "\"\n")
      .document({"shop", "limits"}, R"({"max": 100})")
      .document({"shop", place}, text + "0]")
      .system("{}")
      .make();
}

TEST_CASE("what a worker holds already does not count against the release that is activated") {
  ContentShelf contents;
  EngineOptions options;
  options.memory_bytes = 320ULL << 20;  // for one such document, but not for two
  options.deadline_ms = 60'000;         // of the questions, which wait for new workers here
  EngineHost host(options);
  const auto first = host.activate(heavy(contents, "here", 6));
  REQUIRE_MESSAGE(first, first.error().message);
  Load load(host, 2);
  const auto second = host.activate(heavy(contents, "there", 6));
  CHECK_MESSAGE(second, second.error().message);
  CHECK(host.value({"shop", "place"}) == R"("there")");
  CHECK(host.engine->status().kills > 0);
  // A snapshot that no worker can hold is refused, and the last good one stays active.
  const auto refused = host.activate(heavy(contents, "nowhere", 16));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kPdpRejected);
  CHECK(refused.error().message.find("memory") != std::string::npos);
  CHECK(host.value({"shop", "place"}) == R"("there")");
  load.stop();
  CHECK_MESSAGE(load.failed == 0, load.first_failure());
  CHECK(load.decided > 0);
  CHECK(host.engine->status().suspects == 0);
}

TEST_CASE("another program takes over under load without a decision that fails") {
  ContentShelf contents;
  EngineHost host;
  const TemporaryFolder folder;
  const std::string other = (folder.path() / "notp-pdp-next").string();
  std::filesystem::copy_file(worker_program(), other);
  REQUIRE(host.activate(shop(contents)));
  Load load(host, 4);
  const auto replace = [&](const std::string& program) {
    std::promise<Result<void>> done;
    host.engine->replace_worker(program, [&](Result<void> result) { done.set_value(result); });
    return done.get_future().get();
  };
  const auto replaced = replace(other);
  REQUIRE_MESSAGE(replaced, replaced.error().message);
  REQUIRE(wait_until([&] {
    const auto workers = child_processes();
    return workers.size() == 2 &&
           std::ranges::all_of(workers, [&](pid_t worker) { return program_of(worker) == other; });
  }));
  // A program that does not start changes nothing.
  const auto refused = replace("/bin/true");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kUnavailable);
  const int before = load.decided;
  CHECK(wait_until([&] { return load.decided > before + 100; }));
  load.stop();
  CHECK_MESSAGE(load.failed == 0, load.first_failure());
}

TEST_CASE("without a program that starts everything is unavailable, with the reason") {
  ContentShelf contents;
  for (const auto& [program, version, reason] :
       {std::tuple{std::string("/nowhere/notp-pdp"), std::string(), "No such file"},
        std::tuple{std::string("/bin/true"), std::string(), "status 0"},
        std::tuple{worker_program(), std::string("0.0.1"), "0.0.1"}}) {
    EngineOptions options;
    options.worker = program;
    options.opa_version = version;
    EngineHost host(options);
    const auto refused = host.activate(shop(contents));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::kUnavailable);
    CHECK_MESSAGE(refused.error().message.find(reason) != std::string::npos,
                  refused.error().message);
    CHECK_FALSE(host.engine->status().serving);
    CHECK(host.engine->status().last_error.find(reason) != std::string::npos);
  }
}

TEST_CASE("an engine that ends calls every callback that it owes, and leaves no process") {
  ContentShelf contents;
  {
    EngineHost host;
    REQUIRE(host.activate(shop(contents)));
    std::vector<std::future<Result<Decision>>> answers;
    for (int i = 0; i < 20; ++i)
      answers.push_back(host.begin(Question{{"endless", "run"}, {"{}"}, {}, 60'000}));
    auto activation = host.begin_activate(shop(contents, 2));
    host.engine.reset();
    for (auto& answer : answers) CHECK(code_of(answer.get()) == "cancelled");
    const auto outcome = activation.get();
    CHECK((outcome || outcome.error().code == ErrorCode::kCancelled));
  }
  CHECK(child_processes().empty());
}

}  // namespace
}  // namespace notp::rego
