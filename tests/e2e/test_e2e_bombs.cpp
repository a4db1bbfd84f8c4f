// Policies, tests and inputs that use up time or memory: other ledgers and publishers still get
// their answers, and the cause is named.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <atomic>
#include <thread>

#include "common/http/client.hpp"
#include "tests/support/agent/bombs.hpp"
#include "tests/support/process/bystander.hpp"
#include "tests/support/process/memory_peaks.hpp"
#include "tests/support/results.hpp"
#include "tests/support/wire/test_pki.hpp"
#include "tools/bench/process_facts.hpp"

namespace notp {
namespace {

namespace fs = std::filesystem;
using bombs::Bomb;

const std::string kCalm = "100000000000/calm", kBombs = "100000000000/bombs",
                  kTests = "100000000000/tests";

struct Answer {
  int status = 0;  // 0: none
  std::string body;

  std::string code() const {
    const auto document = parse_json(body);
    return document ? text_at(*document, "code") : std::string();
  }
  std::string result() const {
    const auto document = parse_json(body);
    return document ? json::serialize(at(*document, "result")) : std::string();
  }
  // The outcome of the bomb as a short text. Empty: not an allowed one.
  std::string end(const Bomb& bomb) const {
    if (status == 200) return !bomb.right.empty() && result() == bomb.right ? "right value" : "";
    for (const std::string known : {"eval_limit_error", "eval_builtin_error"})
      if (body.contains(known)) return known;
    // "unavailable" means that no worker received the question.
    return status == 0 || code() == "unavailable" ? "" : code();
  }
};

Answer ask(const Agent& agent, const std::string& path, const std::string& body) {
  const auto answer = http::call_blocking({.method = "POST",
                                           .url = agent.url() + "/v1/data/" + path,
                                           .headers = {{"Content-Type", "application/json"}},
                                           .body = body,
                                           .deadline_ms = 60'000});
  return answer ? Answer{static_cast<int>(answer->status), answer->body} : Answer{};
}

// The answer's value as JSON text; empty: undefined, or no answer.
std::string result_of(const Answer& answer) {
  const auto body = parse_json(answer.body);
  const json::object* members = body ? body->if_object() : nullptr;
  const json::value* result = members ? members->if_contains("result") : nullptr;
  return result ? json::serialize(*result) : "";
}

Bystander::Ask calm_question(const Agent& agent) {
  return [&agent] {
    return result_of(ask(agent, "calm/allow", R"({"input": {"n": 1000000}})")) == "true";
  };
}

struct Ending {
  uint64_t bombs = 0;
  std::string how;                          // of the first question; "quarantined" if any was
  double after_ms = 0;                      // from the first question to its outcome
  uint64_t worker_mib = 0, daemon_mib = 0;  // peaks
};

// One line of the table: latencies of another client before and during the bomb.
struct Row {
  std::string bomb, where, others;
  Ending ending;
  Bystander::Seen before, meanwhile;
};

void print(const std::vector<Row>& rows) {
  fmt::print(
      "{:<15} {:<5} {:<9} {:>5} {:<19} {:>8} {:>6} {:>6} {:>8} {:>8} {:>9} {:>9} {:>6} {:>6}\n",
      "bomb", "in a", "others", "bombs", "ends", "after ms", "asked", "failed", "p50 ms", "p99 ms",
      "quiet p50", "quiet p99", "worker", "daemon");
  for (const auto& [bomb, where, others, ending, before, meanwhile] : rows)
    fmt::print(
        "{:<15} {:<5} {:<9} {:>5} {:<19} {:>8.0f} {:>6} {:>6} {:>8.2f} {:>8.2f} {:>9.2f} {:>9.2f} "
        "{:>6} {:>6}\n",
        bomb, where, others, ending.bombs, ending.how, ending.after_ms, meanwhile.times.count(),
        meanwhile.failed, meanwhile.times.p50(), meanwhile.times.p99(), before.times.p50(),
        before.times.p99(), ending.worker_mib, ending.daemon_mib);
  std::fflush(stdout);
}

void record(const Row& row) {
  const auto& [bomb, where, others, ending, before, meanwhile] = row;
  record_result(
      fmt::format("bomb {} in a {}, another ledger's {} meanwhile", bomb, where, others),
      fmt::format("{} bombs, {} {}", ending.bombs, meanwhile.times.count(), others),
      fmt::format("{} failed, p50 {:.2f} p99 {:.2f} ms, undisturbed {:.2f} {:.2f}; {} after {:.0f} "
                  "ms; at most {} MiB in a worker, {} in its daemon",
                  meanwhile.failed, meanwhile.times.p50(), meanwhile.times.p99(),
                  before.times.p50(), before.times.p99(), ending.how, ending.after_ms,
                  ending.worker_mib, ending.daemon_mib));
}

// A registry with a harmless ledger and one of bombs. Each bombing has its own agent, so that its
// effects do not change other figures.
class Bombing {
 public:
  Bombing() {
    stack_.start_registry();
    calm_ = bombs::write_model(stack_, "calm", {{"p.rego", bombs::calm_policy(1)}});
    REQUIRE(stack_.published(calm_, kCalm) == 1);
    release_bombs();
  }

  // Asks for the bomb repeatedly; after a quarantine with a new release, which ends it.
  Row at_agent(const Bomb& bomb, const std::string& where) {
    CAPTURE(bomb.name);
    CAPTURE(where);
    Agent& agent = new_agent();
    Row row{bomb.name, where, "decisions", {}, {}, {}};
    Bystander bystander({calm_question(agent)});
    bystander.take(kWarm);
    row.before = bystander.take(questions_).front();
    row.ending = explode(agent, bomb, where == "input", bystander);
    row.meanwhile = bystander.take().front();
    CHECK(row.meanwhile.failed == 0);
    // Harmless questions to the same ledger are decided, too.
    CHECK(result_of(ask(agent, fmt::format("bombs/{}/fine", bomb.name),
                        R"({"input": {"go": true}})")) == "true");
    CHECK(agent.stop() == 0);
    all_live();
    return row;
  }

  // Publishes the bomb repeatedly, while others ask an agent, read at the registry and publish.
  std::vector<Row> in_test(const Bomb& bomb) {
    CAPTURE(bomb.name);
    Agent& agent = new_agent();
    std::vector<Row> rows;
    for (const std::string others : {"decisions", "histories", "publishes"})
      rows.push_back({bomb.name, "test", others, {}, {}, {}});
    const auto keep = [&](Bystander& decisions, Bystander& commands, Bystander::Seen Row::* when) {
      std::vector<Bystander::Seen> seen = commands.take(commands_);
      rows[0].*when = decisions.take().front();
      rows[1].*when = std::move(seen[0]);
      rows[2].*when = std::move(seen[1]);
    };
    Ending ending;
    {  // publishing rewrites the harmless model, which all_live() reads
      Bystander decisions({calm_question(agent)}), commands({history(), publish()});
      decisions.take(kWarm);
      commands.take(1);
      keep(decisions, commands, &Row::before);
      ending = publish_bombs(bomb, commands);
      keep(decisions, commands, &Row::meanwhile);
    }
    for (Row& row : rows) {
      row.ending = ending;
      CHECK(row.meanwhile.failed == 0);
    }
    CHECK(agent.stop() == 0);
    all_live();
    return rows;
  }

 private:
  static constexpr size_t kWarm = 50;
  static constexpr uint64_t kBombsMin = 3;
  // The worker's budget plus overhead; the bomb must not increase the daemon's memory.
  static constexpr uint64_t kWorkerMibMax = 640, kDaemonGrowthMibMax = 128;

  Ending explode(Agent& agent, const Bomb& bomb, bool is_given, Bystander& bystander) {
    const std::string path = fmt::format("bombs/{}/{}", bomb.name, is_given ? "given" : "ruled");
    const std::string body = json::serialize(json::object{
        {"input", is_given ? json::object{{"x", bomb.given}} : json::object{{"go", true}}}});
    const uint64_t before_mib = kib_of(agent.pid(), "VmRSS") >> 10;
    const MemoryPeaks peaks(agent.pid());
    Ending ending;
    const auto from = std::chrono::steady_clock::now();
    bool was_quarantined = false;
    while (ending.bombs < std::max(rounds_, kBombsMin) ||
           (!was_quarantined && bystander.count() < questions_)) {
      const Answer answer = ask(agent, path, body);
      const std::string how = answer.end(bomb);
      CHECK_MESSAGE(!how.empty(), answer.status << " " << answer.body.substr(0, 200));
      const bool is_quarantined = how == "quarantined";
      if (ending.bombs++ == 0 || (is_quarantined && !was_quarantined)) {
        ending.how = how;
        ending.after_ms = bench::ms_between(from, std::chrono::steady_clock::now());
      }
      if (!is_quarantined) continue;
      was_quarantined = true;
      // No bomb is running while the release is published.
      bystander.watch(false);
      CHECK(wait_until([&] { return !quarantined_paths(agent).empty(); }));
      release_bombs();
      REQUIRE(wait_until([&] { return agent.has_active(kBombs, release_); }));
      CHECK(quarantined_paths(agent).empty());
      bystander.watch(true);
    }
    judge_memory(ending, peaks, before_mib);
    return ending;
  }

  static void judge_memory(Ending& ending, const MemoryPeaks& peaks, uint64_t daemon_before_mib) {
    ending.worker_mib = peaks.worker_mib();
    ending.daemon_mib = peaks.daemon_mib();
    CHECK(ending.worker_mib <= kWorkerMibMax);
    CHECK(ending.daemon_mib <= daemon_before_mib + kDaemonGrowthMibMax);
  }

  Ending publish_bombs(const Bomb& bomb, Bystander& commands) {
    const uint64_t before_mib = kib_of(stack_.registry_pid(), "VmRSS") >> 10;
    const auto reset = bench::reset_peak(stack_.registry_pid());
    CHECK_MESSAGE(reset, reset.error().message);
    const MemoryPeaks peaks(stack_.registry_pid());
    Ending ending;
    const auto from = std::chrono::steady_clock::now();
    while (ending.bombs < rounds_ || commands.count() < commands_) {
      const fs::path model = bombs::write_test_bomb(stack_, bomb, ++models_);
      const CliResult result =
          stack_.notp("bob", {"publish", model, "--ledger", kTests, "-m", "x"});
      const std::string how = end_of(result, bomb);
      CHECK_MESSAGE(!how.empty(), result.status << " " << result.error);
      if (ending.bombs++ > 0) continue;
      ending.how = how;
      ending.after_ms = bench::ms_between(from, std::chrono::steady_clock::now());
    }
    judge_memory(ending, peaks, before_mib);
    return ending;
  }

  // Empty: not an allowed outcome.
  static std::string end_of(const CliResult& result, const Bomb& bomb) {
    if (result.status == 0) return bomb.right.empty() ? "" : "right value";
    if (result.status != 3 || !result.error.contains("test_bomb") ||
        result.error.contains("test_fine"))
      return "";
    for (const std::string why : {"eval_limit_error", "memory_limit_error", "time_limit_error"})
      if (result.error.contains(why)) return why;
    if (result.error.contains("it took ")) return "out of time";
    return "";
  }

  Bystander::Ask history() {
    return [this] { return succeeds({"history", kCalm}); };
  }
  Bystander::Ask publish() {
    return [this] {
      const std::string policy = bombs::calm_policy(++calm_releases_);
      return write_file(calm_ / "calm/p.rego", policy).has_value() &&
             succeeds({"publish", calm_, "--ledger", kCalm, "-m", "calm"});
    };
  }
  bool succeeds(std::vector<std::string> command) {
    try {
      return stack_.notp("alice", std::move(command)).status == 0;
    } catch (const std::exception&) {
      return false;
    }
  }

  Agent& new_agent() {
    Agent& agent =
        stack_.start_agent({.name = fmt::format("edge-{}", ++agents_), .ledgers = {kCalm, kBombs}});
    REQUIRE(wait_until([&] {
      return agent.has_active(kBombs, release_) &&
             number_at(agent.ledger_status(kCalm), "active_version") > 0;
    }));
    return agent;
  }
  void release_bombs() {
    REQUIRE(stack_.published(bombs::write_bombs(stack_, release_ + 1), kBombs) == release_ + 1);
    ++release_;
  }
  static json::object quarantined_paths(const Agent& agent) {
    return at(agent.ledger_status(kBombs), "quarantined_paths").as_object();
  }
  void all_live() {
    for (const auto& command : {std::vector<std::string>{"history", kCalm},
                                std::vector<std::string>{"validate", calm_.string()}}) {
      const auto ended = stack_.notp("alice", command);
      CHECK_MESSAGE(ended.status == 0, command.front(), ": ", ended.output, ended.error);
    }
  }

  Stack stack_;
  fs::path calm_;
  int64_t release_ = 0, calm_releases_ = 1;
  uint64_t models_ = 0;
  int agents_ = 0;
  const uint64_t rounds_ = count_of("NOTP_BOMB_ROUNDS", 1);
  const uint64_t commands_ = 5 * rounds_;
  const size_t questions_ = count_of("NOTP_BOMB_QUESTIONS", 200);
};

TEST_CASE("each bomb ends, and is felt by nobody else") {
  Bombing bombing;
  std::vector<Row> rows;
  for (const Bomb& bomb : bombs::kinds()) {
    for (const std::string where : {"rule", "input"}) rows.push_back(bombing.at_agent(bomb, where));
    for (Row& row : bombing.in_test(bomb)) rows.push_back(std::move(row));
  }
  print(rows);
  if (std::getenv("NOTP_RESULTS") != nullptr) std::ranges::for_each(rows, record);
}

TEST_CASE("all bombs of a ledger at once fail no decision of another") {
  Stack stack;
  stack.start_registry();
  Agent& agent = stack.start_agent({.name = "edge-1", .ledgers = {kCalm, kBombs}});
  const fs::path calm = bombs::write_model(stack, "calm", {{"p.rego", bombs::calm_policy(1)}});
  REQUIRE(stack.published(calm, kCalm) == 1);
  REQUIRE(stack.published(bombs::write_bombs(stack), kBombs) == 1);
  REQUIRE(stack.becomes_active(agent, kCalm, 1));
  REQUIRE(stack.becomes_active(agent, kBombs, 1));

  Bystander bystander({calm_question(agent)});
  const uint64_t rounds = count_of("NOTP_BOMB_ROUNDS", 2);
  std::atomic<uint64_t> bombs = 0, endless = 0;
  {
    std::vector<std::jthread> callers;
    for (const Bomb& bomb : bombs::kinds())
      callers.emplace_back([&agent, &bombs, &endless, rounds, bomb] {
        for (uint64_t round = 0; round < rounds; ++round, ++bombs)
          endless +=
              ask(agent, fmt::format("bombs/{}/ruled", bomb.name), R"({"input": {"go": true}})")
                  .end(bomb)
                  .empty();
      });
  }
  CHECK(endless == 0);
  // The same ledger decides harmless questions, and its bomb rules with harmless inputs.
  for (const Bomb& bomb : bombs::kinds())
    CHECK(
        ask(agent, fmt::format("bombs/{}/fine", bomb.name), R"({"input": {"go": true}})").status ==
        200);
  // Decided, or refused while it is in quarantine; always answered.
  const int later = ask(agent, "bombs/bits_lsh/given", R"({"input": {"x": 3}})").status;
  CHECK((later == 200 || later == 503));
  const Bystander::Seen seen = bystander.take(1).front();
  CHECK(seen.failed == 0);
  record_result(
      "all bombs of one ledger at once, another ledger asked meanwhile",
      fmt::format("{} bombs, {} decisions of the other ledger", bombs.load(), seen.times.count()),
      fmt::format("{} failed, p50 {:.2f} p99 {:.2f} ms", seen.failed, seen.times.p50(),
                  seen.times.p99()));

  // A new release of the ledger ends its quarantine.
  REQUIRE(stack.published(
              bombs::write_model(stack, "bombs", {{"p.rego", "package bombs\n\nfine := 2\n"}}),
              kBombs) == 2);
  REQUIRE(stack.becomes_active(agent, kBombs, 2));
  CHECK(result_of(ask(agent, "bombs/fine", "{}")) == "2");
  CHECK(at(agent.ledger_status(kBombs), "quarantined_paths").as_object().empty());
}

TEST_CASE("'notp validate' names a test that takes all memory") {
  Stack stack;
  for (const Bomb& bomb : bombs::kinds()) {
    if (bomb.name != "regex_replace" && bomb.name != "gather") continue;
    const fs::path model = bombs::write_test_bomb(stack, bomb, 1);
    const CliResult judged = stack.notp("alice", {"validate", model.string()});
    CHECK(judged.status == 3);
    CHECK(judged.output.contains("test_bomb"));
    CHECK_FALSE(judged.output.contains("test_fine"));
  }
}

}  // namespace
}  // namespace notp
