// The rules for the decision log (data.system.log) in the real worker, through the engine.
#include <doctest/doctest.h>

#include <fstream>
#include <sstream>

#include "common/json/json.hpp"
#include "tests/support/agent/rego_engine.hpp"
#include "tests/support/process/child_processes.hpp"
#include "tests/support/process/process.hpp"

namespace notp::rego {
namespace {

const std::string kApp =
    "package app\n\nallow if input.user == \"ann\"\n\n"
    "broken := 1 / input.zero\n\n"
    "token := io.jwt.verify_hs256(input.token, input.secret)\n\n"
    "many := [x | some i in numbers.range(1, 5000); x := rand.intn(sprintf(\"%d\", [i]), 10)]\n\n"
    "clock := time.now_ns()\n";

SnapshotPtr with_rules(ContentShelf& contents, const std::string& rules) {
  SnapshotBuilder builder(contents);
  builder.ledger("app", kApp);
  if (!rules.empty()) builder.ledger("system/log", "package system.log\n\n" + rules);
  return builder.make();
}

Question question(const std::string& name, Bytes input, std::string log_event = {}) {
  Question asked;
  asked.path = {"app", name};
  asked.inputs = {std::move(input)};
  asked.flags = kLogRules;
  asked.log_event = std::move(log_event);
  return asked;
}

// The member of extras; empty: missing.
std::string member_of(ByteView extras, std::string_view name) {
  if (extras.empty()) return {};
  const auto object = parse_json(extras);
  REQUIRE_MESSAGE(object, std::string(extras));
  const auto* found = object->as_object().if_contains(name);
  return found == nullptr ? std::string() : json::serialize(*found);
}

std::string log_of(const Result<Decision>& decision, size_t index = 0) {
  REQUIRE_MESSAGE(decision, decision.error().message);
  const auto& one = decision->evaluations.at(index);
  return member_of(one ? ByteView(one->extras) : evaluation_extras(one.error()), "log");
}

TEST_CASE("a mask comes with the decision, and sees the event") {
  ContentShelf contents;
  EngineHost host;
  REQUIRE(
      host.activate(with_rules(contents,
                               "mask contains \"/input/token\" if input.path == \"app/allow\"\n\n"
                               "mask contains {\"op\": \"upsert\", \"path\": \"/input/user\", "
                               "\"value\": input.labels.id}\n\n"
                               "drop if input.requested_by == \"probe\"\n")));
  const std::string event = R"({"labels":{"id":"node-1"},"requested_by":"10.0.0.7"})";
  const auto decision = host.begin(question("allow", R"({"user": "ann"})", event)).get();
  CHECK(log_of(decision) == R"({"mask":[{"op":"remove","path":"/input/token"},)"
                            R"({"op":"upsert","path":"/input/user","value":"node-1"}]})");
  CHECK(decision->evaluations[0]->value == "true");
  CHECK(decision->evaluation_ns > 0);
  CHECK(log_of(host.begin(question("allow", "{}", R"({"requested_by":"probe"})")).get()) ==
        R"({"drop":true})");
  auto plain = question("allow", R"({"user": "ann"})", event);
  plain.flags = 0;
  CHECK(host.begin(std::move(plain)).get()->evaluations[0]->extras.empty());
}

TEST_CASE("each input of a batch has its own, also one that fails") {
  ContentShelf contents;
  EngineHost host;
  REQUIRE(host.activate(with_rules(
      contents,
      "drop if input.error\n\nmask contains sprintf(\"/input/%s\", [input.input.key])\n")));
  auto asked = question("broken", R"({"zero": 1, "key": "a"})");
  asked.flags |= kStrictBuiltinErrors;
  asked.inputs.emplace_back(Bytes(R"({"zero": 0, "key": "b"})"));
  asked.inputs.emplace_back(Bytes(R"({"zero": 2, "key": "c"})"));
  const auto decision = host.begin(std::move(asked)).get();
  CHECK(log_of(decision, 0) == R"({"mask":[{"op":"remove","path":"/input/a"}]})");
  REQUIRE_FALSE(decision->evaluations[1]);
  CHECK_FALSE(evaluation_errors(decision->evaluations[1].error()).empty());
  CHECK(log_of(decision, 1) == R"({"drop":true})");
  CHECK(log_of(decision, 2) == R"({"mask":[{"op":"remove","path":"/input/c"}]})");

  asked = question("broken", R"({"zero": 0})");
  asked.flags |= kStrictBuiltinErrors;
  const auto failed = host.begin(std::move(asked)).get();
  REQUIRE_FALSE(failed);
  CHECK(failed.error().code == ErrorCode::kInvalidModel);
  CHECK_FALSE(evaluation_errors(failed.error()).empty());
  CHECK(member_of(evaluation_extras(failed.error()), "log") == R"({"drop":true})");
}

TEST_CASE("a mask that fails is an error, not a decision that is lost") {
  ContentShelf contents;
  EngineHost host;
  for (const std::string rules :
       {"mask contains {\"op\": \"hide\", \"path\": \"/input/token\"}\n", "mask := \"/input\"\n",
        "mask contains \"/labels\"\n", "mask contains \"/input\" if to_number(input.input.user)\n",
        "drop := true\n\ndrop := false if input.input.user\n",
        "mask := [sprintf(\"/input/%d\", [i]) | some i in numbers.range(1, 65)]\n"}) {
    CAPTURE(rules);
    REQUIRE(host.activate(with_rules(contents, rules)));
    const auto decision = host.begin(question("allow", R"({"user": "ann"})")).get();
    CHECK(log_of(decision).starts_with(R"({"error":"data.system.log.)"));
    CHECK(decision->evaluations[0]->value == "true");
  }
}

TEST_CASE("a mask that does not end is stopped at the deadline of its question") {
  ContentShelf contents;
  EngineHost host;
  REQUIRE(host.activate(
      with_rules(contents,
                 "mask contains \"/input\" if {\n\tsome a in numbers.range(1, 1000000)\n"
                 "\tsome b in numbers.range(1, 1000000)\n\ta + b < 0\n}\n")));
  auto asked = question("allow", R"({"user": "ann"})");
  asked.deadline_ms = 200;
  const auto decision = host.begin(std::move(asked)).get();
  CHECK(log_of(decision) == R"({"error":"data.system.log.mask: cancelled by the supervisor"})");
  CHECK(decision->evaluations[0]->value == "true");
  CHECK(host.engine->status().kills == 0);
}

TEST_CASE("without rules there is nothing, and members that are no JSON are not looked at") {
  ContentShelf contents;
  EngineHost host;
  REQUIRE(host.activate(with_rules(contents, "")));
  const auto decision = host.begin(question("allow", R"({"user": "ann"})", "no JSON")).get();
  CHECK(log_of(decision).empty());
  CHECK(decision->evaluations[0]->extras.empty());
  REQUIRE(host.activate(with_rules(contents, "mask contains \"/input\"\n")));
  CHECK(log_of(host.begin(question("allow", "{}", "no JSON")).get()).starts_with(R"({"error":)"));
}

TEST_CASE(
    "what a token was is recorded without its secret, and a cache that is too large is counted") {
  ContentShelf contents;
  EngineHost host;
  REQUIRE(host.activate(with_rules(contents, "")));
  auto asked = question("token", R"({"token": "e30.e30.AAAA", "secret": "hunter2"})");
  asked.flags = kRecordNonDeterministic;
  const auto token = host.begin(std::move(asked)).get();
  REQUIRE(token);
  CHECK(token->evaluations[0]->extras ==
        R"({"nd_builtin_cache":{"io.jwt.verify_hs256":{"[\"e30.e30.\",\"\"]":false}}})");
  asked = question("many", "{}");
  asked.flags = kRecordNonDeterministic;
  const auto many = host.begin(std::move(asked)).get();
  REQUIRE(many);
  CHECK(member_of(many->evaluations[0]->extras, "nd_builtin_cache").empty());
  CHECK(std::stoul(member_of(many->evaluations[0]->extras, "nd_builtin_cache_omitted")) >
        limits::kNdCacheBytesMax);
  asked = question("clock", "{}");
  asked.flags = kRecordNonDeterministic;
  const auto clock = host.begin(std::move(asked)).get();
  REQUIRE(clock);
  CHECK(clock->evaluations[0]->value == std::to_string(clock->time_ns));
}

TEST_CASE(
    "a worker leaves no core dump, and is killed before its supervisor when memory is short") {
  EngineHost host;
  REQUIRE(wait_until([] { return !child_processes().empty(); }));
  for (const pid_t worker : child_processes()) {
    const auto text_of = [&](const char* name) {
      std::ostringstream text;
      text << std::ifstream("/proc/" + std::to_string(worker) + "/" + name).rdbuf();
      return text.str();
    };
    REQUIRE(
        wait_until([&] { return text_of("status").find("NoNewPrivs:\t1") != std::string::npos; }));
    CHECK(wait_until([&] {
      std::istringstream limits(text_of("limits"));
      for (std::string line; std::getline(limits, line);)
        if (line.starts_with("Max core file size"))
          return line.find(" 0 ") != std::string::npos && line.find("unlimited") == line.npos;
      return false;
    }));
    CHECK(text_of("oom_score_adj") == "500\n");
  }
}

}  // namespace
}  // namespace notp::rego
