// Decisions of the embedded engine with the clock and chance in their policy: replayed, and for a
// sample evaluated by an unmodified OPA that is given what was recorded.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>

#include "common/json/json_members.hpp"
#include "common/storage/files.hpp"
#include "notp-client/decision/log_mask.hpp"
#include "protocol/record/json_comparison.hpp"
#include "tests/support/agent/recorded_node.hpp"
#include "tests/support/process/shell.hpp"

namespace notp {
namespace {

// How many decisions are made and replayed.
int decisions() {
  const char* const asked = std::getenv("NOTP_REPLAYED_DECISIONS");
  return asked ? std::atoi(asked) : 2'000;
}

// Gives OPA's evaluation the recorded results in the place of its own functions.
constexpr std::string_view kMocks = R"(package replay

result(name, arguments) := data.current.recorded[name][json.marshal(arguments)]

chance(name, n) := result("rand.intn", [name, n])

id(name) := result("uuid.rfc4122", [name])

verify(token, constraints) := result("io.jwt.decode_verify", [token, object.union(constraints, {"secret": ""})])

value(c) := r if {
	r := data.shop[c.rule] with input as c.input
		with data.current as c
		with time.now_ns as c.at
		with rand.intn as data.replay.chance
		with uuid.rfc4122 as data.replay.id
		with io.jwt.decode_verify as data.replay.verify
}

results := {sprintf("%d", [i]): r | some i, c in data.cases; r := value(c)}
)";

// Without padding, as in RFC 7515.
std::string base64url(ByteView bytes) {
  std::string text = to_base64(bytes);
  while (text.ends_with('=')) text.pop_back();
  std::ranges::replace(text, '+', '-');
  std::ranges::replace(text, '/', '_');
  return text;
}

// Of ada, for the secret in the policy.
std::string token_of_ada() {
  const std::string content =
      base64url(R"({"alg":"HS256"})") + "." + base64url(R"({"sub":"ada","exp":4000000000})");
  return content + "." + base64url(decision::hmac_sha256("a secret that both sides know", content));
}

struct Case {
  size_t entry = 0;  // of the log
  std::string rule;
};

Bytes cases_json(const RecordingLog& log, const std::vector<Case>& cases) {
  Bytes text;
  for (const Case& each : cases) {
    const record::DecisionContent& decision = log.decision(each.entry);
    text +=
        fmt::format(R"({}{{"rule":"{}","input":{},"at":{},"recorded":{}}})",
                    text.empty() ? "" : ",", each.rule, *decision.input, decision.eval_time_ns,
                    decision.nd_builtin_cache.empty() ? Bytes("{}") : decision.nd_builtin_cache);
  }
  return fmt::format(R"({{"cases":[{}],"current":{{}},"system":{{"notp":{}}}}})", text,
                     log.entries[0].active->system);
}

// What an unmodified OPA says about these decisions, by number; undefined ones are missing.
std::map<std::string, Bytes> ask_opa(const RecordingLog& log, const std::vector<Case>& cases) {
  const char* const opa = std::getenv("NOTP_OPA");
  if (opa == nullptr)
    FAIL("NOTP_OPA is not set: export NOTP_OPA=$(tools/build-opa), or run tools/test");
  Shell shell;
  for (const auto& [path, text] : shop_files()) {
    if (path == "manifest.json") continue;
    REQUIRE(make_folders(shell.path("model/" + path).parent_path()));
    REQUIRE(write_file(shell.path("model/" + path), text));
  }
  REQUIRE(write_file(shell.path("model/mocks.rego"), kMocks));
  REQUIRE(write_file(shell.path("model/data.json"), cases_json(log, cases)));
  const Ran ran = shell.run({opa, "eval", "--data", shell.path("model").string(), "--format", "raw",
                             "data.replay.results"});
  REQUIRE_MESSAGE(ran.status == 0, ran.output << ran.error);
  std::map<std::string, Bytes> results;
  Bytes text = ran.output;
  while (text.ends_with('\n')) text.pop_back();
  const auto members = json_members(text);
  REQUIRE_MESSAGE(members, text.substr(0, 1'000));
  for (const JsonMember& member : *members)
    results.emplace(std::string(member.name), Bytes(member.value));
  return results;
}

}  // namespace

TEST_CASE("what a node decided is the same again, and what OPA says of the same") {
  ReleaseShelf archive;
  RecordedNode node;
  node.activate({&archive.add(signed_release(kShop, 1, shop_files(), {"shop"}))});
  const std::string rules[] = {"decision", "allow", "conflict", "signed", "nothing", "claims"};
  const std::set<std::string> asked_of_opa = {"decision", "allow", "claims"};
  std::map<record::Outcome, int> outcomes;
  std::vector<Case> cases;
  const std::string token = token_of_ada();
  // Prime to what the questions repeat by.
  const size_t step = decisions() <= 2'000 ? 1 : 101;
  for (int i = 0; i < decisions(); ++i) {
    const size_t round = static_cast<size_t>(i) / std::size(rules);
    const std::string user = round % 3 == 0 ? "ada" : round % 3 == 1 ? "bo" : fmt::format("u{}", i);
    const std::string& rule = rules[static_cast<size_t>(i) % std::size(rules)];
    if (asked_of_opa.contains(rule) && round % step == 0)
      cases.push_back({static_cast<size_t>(i), rule});
    // Every fifth signature is wrong.
    const Bytes input = fmt::format(
        R"({{"user":"{}","amount":{}.50,"big":12345678901234567890123,"token":"{}{}"}})", user,
        i % 200, token, i % 5 == 0 ? "AAAA" : "");
    ++outcomes[node.ask("shop/" + rule, input).outcome];
  }
  for (const auto outcome : {record::Outcome::kError, record::Outcome::kUndefined,
                             record::Outcome::kAllow, record::Outcome::kDeny})
    CHECK(outcomes[outcome] > 0);
  // A whole package, all of data, and no input.
  node.ask("shop", R"({"user":"ada","amount":1,"token":""})");
  node.ask("", R"({"user":"ada","amount":1,"token":""})");
  node.ask("shop/allow", std::nullopt);

  const std::map<std::string, Bytes> by_opa = ask_opa(node.log.seen(), cases);
  size_t same_as_opa = 0;
  for (size_t i = 0; i < cases.size(); ++i) {
    const record::DecisionContent& decision = node.log.decision(cases[i].entry);
    const auto said = by_opa.find(std::to_string(i));
    REQUIRE_MESSAGE((said != by_opa.end()) == decision.result.has_value(), cases[i].rule);
    if (!decision.result) continue;
    REQUIRE_MESSAGE(record::is_same_json(*decision.result, said->second), *decision.result
                                                                              << "\n"
                                                                              << said->second);
    ++same_as_opa;
  }
  CHECK(same_as_opa > cases.size() / 2);

  std::vector<cli::AuditRecord> recorded = RecordedLog(node).decisions();
  REQUIRE(recorded.size() == node.log.entries.size());
  cli::DecisionReplay replay(archive, {.worker = test_worker()});
  std::array<size_t, 3> verdicts{};
  const auto began = std::chrono::steady_clock::now();
  for (cli::AuditRecord& each : recorded) {
    const auto replayed = replay.replay(std::move(each));
    REQUIRE_MESSAGE(replayed, replayed.error().message);
    ++verdicts[static_cast<size_t>(replayed->verdict.replay)];
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  CHECK(verdicts == std::array<size_t, 3>{recorded.size(), 0, 0});
  CHECK(archive.pulls == 1);
  MESSAGE(
      fmt::format("{} decisions replayed in {:.1f} s: {} the same, {} differ, {} cannot; {} of "
                  "{} asked of OPA with what was recorded are defined, all the same",
                  recorded.size(), took.count(), verdicts[0], verdicts[1], verdicts[2], same_as_opa,
                  cases.size()));
}

}  // namespace notp
