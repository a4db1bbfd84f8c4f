// Recorded questions, evaluated again in a real worker.
#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <set>

#include "common/descriptor.hpp"
#include "common/json/json_members.hpp"
#include "common/rego/host/replayer.hpp"
#include "tests/support/agent/rego_engine.hpp"
#include "tests/support/process/child_processes.hpp"
#include "tests/support/process/process.hpp"

namespace notp::rego {
namespace {

const std::string kChance = R"(package shop

now := time.now_ns()

dice := [rand.intn(name, 1000000000) | some name in {"a", "b", input.name}]

order := {
	"id": uuid.rfc4122(input.name),
	"at": time.format(now),
	"dice": dice,
	"names": {name | some name in ["z", "a", input.name]},
	"numbers": [1.50, 12345678901234567890123, input.n],
	"late": now % 2 == 0,
}

allow if now % 3 != 0

conflict := 1 if input.n > 2

conflict := 2 if input.n > 2
)";
const std::string kLoop =
    "package shop\n\nquick := input.n\n\n"
    "slow := [1 | some i in numbers.range(1, 100000); some j in numbers.range(1, 100000); i * j < "
    "0]\n\n"
    "large := [numbers.range(i, i + 100000) | some i in numbers.range(1, 100000)]\n";

ReplayOptions options() { return {.worker = worker_program()}; }

struct Replaying {
  explicit Replaying(const std::string& policy, ReplayOptions given = options()) {
    auto started = Replayer::start(SnapshotBuilder(contents).ledger("shop", policy).make(), given);
    REQUIRE_MESSAGE(started, started.error().message);
    replayer = *std::move(started);
  }
  Result<Replayed> ask(const std::string& rule, Bytes input = "{}", int64_t deadline_ms = 20'000) {
    return replayer->evaluate({.path = {"shop", rule}, .input = std::move(input)}, deadline_ms);
  }
  Bytes value(const std::string& rule, Bytes input) {
    const auto answer = ask(rule, std::move(input));
    return answer ? answer->result.value_or("undefined") : answer.error().message;
  }

  ContentShelf contents;
  std::unique_ptr<Replayer> replayer;
};

// The process of the worker.
pid_t worker_of_this() {
  for (const pid_t child : child_processes())
    if (program_of(child).ends_with("notp-pdp")) return child;
  return 0;
}

// Accepts nothing, and so keeps every connection in its queue.
class Listener {
 public:
  Listener() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(socket_.get(), 16) == 0);
    socklen_t length = sizeof address;
    REQUIRE(::getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&address), &length) == 0);
    port = ntohs(address.sin_port);
  }
  bool was_connected() const {
    pollfd waits{socket_.get(), POLLIN, 0};
    return ::poll(&waits, 1, 0) == 1;
  }
  uint16_t port = 0;

 private:
  Descriptor socket_;
};

TEST_CASE("thousands of decisions of the engine are the same again") {
  constexpr int kDecisions = 3'000;
  Replaying replaying(kChance);
  ContentShelf contents;
  EngineHost host;
  REQUIRE(host.activate(SnapshotBuilder(contents).ledger("shop", kChance).make()));
  std::set<Bytes> seen;
  for (int i = 0; i < kDecisions; ++i) {
    const std::string rule = i % 10 == 0 ? "conflict" : i % 3 == 0 ? "allow" : "order";
    const Bytes input = fmt::format(R"({{"name":"n{}","n":{}.00}})", i, i % 5);
    const auto decided =
        host.begin({.path = {"shop", rule}, .inputs = {input}, .flags = kRecordNonDeterministic})
            .get();
    REQUIRE(decided);
    const auto& first = decided->evaluations[0];
    const Bytes extras = first ? first->extras : Bytes(evaluation_extras(first.error()));
    RecordedQuestion question{
        .path = {"shop", rule}, .input = input, .eval_time_ns = decided->time_ns};
    if (!extras.empty())
      question.nd_builtin_cache =
          Bytes(json_member(*json_members(extras), "nd_builtin_cache").value_or(ByteView()));
    const auto again = replaying.replayer->evaluate(question, 20'000);
    REQUIRE_MESSAGE(again, again.error().message);
    REQUIRE_MESSAGE(again->unrecorded.empty(), again->unrecorded[0]);
    REQUIRE(again->error.has_value() == !first);
    if (first)
      REQUIRE(again->result == first->value);
    else
      CHECK(again->error_code == "eval_conflict_error");
    if (again->result) seen.insert(*again->result);
  }
  CHECK(seen.size() > kDecisions / 2);
  CHECK(replaying.replayer->restarts() == 0);
}

TEST_CASE("what was not recorded is named, and nothing else is evaluated") {
  Replaying replaying(kChance);
  for (const auto& [rule, name] : std::map<std::string, std::string>{
           {"now", "time.now_ns"}, {"dice", "rand.intn"}, {"allow", "time.now_ns"}}) {
    const auto answer = replaying.ask(rule, R"({"name":"x"})");
    REQUIRE(answer);
    CHECK(answer->unrecorded == std::vector<std::string>{name});
    CHECK_FALSE(answer->result);
    CHECK_FALSE(answer->error);
  }
  const auto malformed = replaying.replayer->evaluate(
      {.path = {"shop", "now"}, .eval_time_ns = 1, .nd_builtin_cache = "[1]"}, 20'000);
  REQUIRE_FALSE(malformed);
  CHECK(malformed.error().code == ErrorCode::kMessage);
  const auto bad_input = replaying.ask("now", "{");
  REQUIRE_FALSE(bad_input);
  CHECK(bad_input.error().code == ErrorCode::kMessage);
}

TEST_CASE("a replay connects to nothing, also where http.send is allowed") {
  const Listener listener;
  ContentShelf contents;
  auto snapshot = std::make_shared<Snapshot>(
      *SnapshotBuilder(contents)
           .ledger("shop",
                   "package shop\n\nsent := http.send({\"method\": \"GET\", \"url\": "
                   "input.url}).status_code\n\nfound := net.lookup_ip_addr(\"localhost\")\n")
           .make());
  snapshot->ledgers[0].allow = {"http.send", "net.lookup_ip_addr"};
  auto replayer = Replayer::start(snapshot, options());
  REQUIRE_MESSAGE(replayer, replayer.error().message);
  const std::string url = fmt::format("http://127.0.0.1:{}/", listener.port);
  RecordedQuestion question{.path = {"shop", "sent"},
                            .input = Bytes(fmt::format(R"({{"url":"{}"}})", url)),
                            .eval_time_ns = 1};
  const auto unrecorded = (*replayer)->evaluate(question, 20'000);
  REQUIRE(unrecorded);
  CHECK(unrecorded->unrecorded == std::vector<std::string>{"http.send"});
  question.nd_builtin_cache = fmt::format(
      R"({{"http.send":{{"[{{\"method\":\"GET\",\"url\":\"{}\"}}]":{{"status_code":204}}}},)"
      R"("net.lookup_ip_addr":{{"[\"localhost\"]":["127.0.0.1"]}}}})",
      url);
  const auto recorded = (*replayer)->evaluate(question, 20'000);
  REQUIRE(recorded);
  CHECK(recorded->result == "204");
  question.path = {"shop", "found"};
  const auto looked_up = (*replayer)->evaluate(question, 20'000);
  REQUIRE(looked_up);
  CHECK(looked_up->result == R"(["127.0.0.1"])");
  CHECK_FALSE(listener.was_connected());
}

TEST_CASE("whether a result depends on values that a record lacks") {
  Replaying replaying(kLoop + "\ndefault allow := false\n\nallow if input.amount < 10\n");
  const RecordedQuestion question{.path = {"shop", "allow"}, .input = Bytes(R"({"amount":5})")};
  const auto depends = [&](std::vector<std::vector<std::string>> hidden) {
    const auto said = replaying.replayer->depends(question, hidden, 20'000);
    REQUIRE_MESSAGE(said, said.error().message);
    return *said;
  };
  CHECK_FALSE(depends({}));
  CHECK_FALSE(depends({{"password"}, {"card", "number"}}));
  CHECK(depends({{"password"}, {"amount"}}));
  CHECK(depends({{}}));
  const auto slow = replaying.replayer->depends({.path = {"shop", "slow"}}, {{"y"}}, 300);
  REQUIRE_FALSE(slow);
  CHECK(slow.error().code == ErrorCode::kTimeout);
  CHECK_FALSE(depends({{"password"}}));
}

TEST_CASE("a strict evaluation fails again where it failed") {
  Replaying replaying("package shop\n\nshare := 1 / input.n\n");
  const auto lenient = replaying.ask("share", R"({"n":0})");
  REQUIRE(lenient);
  CHECK_FALSE(lenient->result);
  CHECK_FALSE(lenient->error);
  const auto strict = replaying.replayer->evaluate(
      {.path = {"shop", "share"}, .input = Bytes(R"({"n":0})"), .is_strict = true}, 20'000);
  REQUIRE(strict);
  CHECK(strict->error_code == "eval_builtin_error");
}

TEST_CASE("what is too slow or too large costs a worker and not the other questions") {
  Replaying replaying(kLoop);
  const auto slow = replaying.ask("slow", "{}", 300);
  REQUIRE_FALSE(slow);
  CHECK(slow.error().code == ErrorCode::kTimeout);
  CHECK(replaying.value("quick", R"({"n":1})") == "1");
  CHECK(replaying.replayer->restarts() == 1);
  const auto large = replaying.ask("large");
  REQUIRE_FALSE(large);
  CHECK_MESSAGE(large.error().code == ErrorCode::kLimit, large.error().message);
  CHECK(replaying.value("quick", R"({"n":2})") == "2");
  CHECK(replaying.replayer->restarts() == 2);
}

TEST_CASE("a worker that is killed is replaced, until too many are lost") {
  Replaying replaying(kLoop);
  for (size_t i = 1; i <= kReplayRestartsMax; ++i) {
    const pid_t worker = worker_of_this();
    REQUIRE(worker != 0);
    REQUIRE(::kill(worker, SIGKILL) == 0);
    CHECK(replaying.value("quick", fmt::format(R"({{"n":{}}})", i)) == std::to_string(i));
    CHECK(replaying.replayer->restarts() == i);
  }
  REQUIRE(::kill(worker_of_this(), SIGKILL) == 0);
  const auto given_up = replaying.ask("quick");
  REQUIRE_FALSE(given_up);
  CHECK(given_up.error().code == ErrorCode::kUnavailable);
}

TEST_CASE("another snapshot answers from then on, or none") {
  ReplayOptions strict = options();
  strict.is_accepted = false;
  Replaying replaying("package shop\n\nv := 1\n", strict);
  const auto make = [&](const std::string& policy, const std::string& system = "{}") {
    return SnapshotBuilder(replaying.contents).ledger("shop", policy).system(system).make();
  };
  REQUIRE(replaying.replayer->activate(
      make("package shop\n\nv := data.system.notp.n\n", R"({"n":7})")));
  CHECK(replaying.value("v", "{}") == "7");
  REQUIRE(replaying.replayer->activate(
      make("package shop\n\nv := data.system.notp.n\n", R"({"n":8})")));
  CHECK(replaying.value("v", "{}") == "8");
  const auto rejected = replaying.replayer->activate(make("package shop\n\nv := nothing(1)\n"));
  REQUIRE_FALSE(rejected);
  CHECK(rejected.error().code == ErrorCode::kPdpRejected);
  CHECK(rejected.error().message.contains("policy.rego:3"));
  const auto refused = replaying.ask("v");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kPdpRejected);
  REQUIRE(replaying.replayer->activate(make("package shop\n\nv := 9\n")));
  CHECK(replaying.value("v", "{}") == "9");
  // A worker that was lost meanwhile loads the newest.
  REQUIRE(::kill(worker_of_this(), SIGKILL) == 0);
  REQUIRE(wait_until([] { return worker_of_this() == 0 || program_of(worker_of_this()).empty(); }));
  CHECK(replaying.value("v", "{}") == "9");
}

TEST_CASE("a program that is not there, or of another OPA, is an error") {
  ContentShelf contents;
  const SnapshotPtr snapshot = SnapshotBuilder(contents).ledger("shop", kLoop).make();
  const auto missing = Replayer::start(snapshot, {.worker = "/nonexistent/notp-pdp"});
  REQUIRE_FALSE(missing);
  CHECK(missing.error().code == ErrorCode::kUnavailable);
  const auto other =
      Replayer::start(snapshot, {.worker = worker_program(), .opa_version = "0.1.0"});
  REQUIRE_FALSE(other);
  CHECK(other.error().code == ErrorCode::kUnavailable);
}

}  // namespace
}  // namespace notp::rego
