// Transaction tokens at two agents, one with the embedded PDP and one beside a real OPA: one policy
// and one ledger of keys, equal answers; and what records say of them.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "common/http/client.hpp"
#include "tests/support/process/audit_site.hpp"
#include "tests/support/process/txn_keys.hpp"

namespace notp {
namespace {

const std::string kGate = "100000000000/gate";

constexpr const char* kGatePolicy = R"(package gate

default decision := {"allow": false}

decision := {"allow": true, "sub": claims.sub, "txn": claims.txn} if {
	claims := data.system.notp.txn.verify(input.txn_token)
	input.action in split(claims.scope, " ")
}

once if data.system.notp.txn.presented(data.system.notp.txn.verify(input.txn_token)) == 0

state := data.system.notp.txn.state(input.txn_token)
)";

struct Scene {
  explicit Scene(bool records = false) {
    stack.grant("admin", "publish");
    stack.grant("admin", "audit");
    stack.registry_more["audit"] = json::object{{"seal_ms", 300}};
    stack.write_registry_config();
    stack.start_registry();
    publish_keys({&first});
    must(make_folders(stack.file("gate/gate")));
    must(
        write_file(stack.file("gate/manifest.json"), json::serialize(manifest_of("gate", "gate"))));
    must(write_file(stack.file("gate/gate/gate.rego"), kGatePolicy));
    REQUIRE(stack.published(stack.file("gate"), kGate) == 1);
    json::object more = verify();
    if (records) more["decisions"] = json::object{{"record", true}};
    embedded = &stack.start_agent({.name = "edge-1", .ledgers = {kGate, kIssuers}, .more = more});
    fed = &stack.start_agent({.name = "edge-2",
                              .ledgers = {kGate, kIssuers},
                              .pdp = "opa",
                              .opa_port = opa.port(),
                              .more = verify()});
    opa.start(*fed);
    for (Agent* agent : {embedded, fed}) {
      REQUIRE(stack.becomes_active(*agent, kGate, 1));
      REQUIRE(stack.becomes_active(*agent, kIssuers, 1));
    }
  }
  static json::object verify() {
    json::object verify{{"keys", "txn"}};
    verify["tokens"] = json::array{"/txn_token"};
    return {{"txn", json::object{{"verify", std::move(verify)}}}};
  }
  // The ledger of keys has these alone from now on.
  void publish_keys(const std::vector<const Signer*>& signers) {
    keys.publish(signers);
    if (!embedded) return;
    for (Agent* agent : {embedded, fed})
      REQUIRE(stack.becomes_active(*agent, kIssuers, keys.version()));
  }
  static json::object input(const std::string& token, const std::string& action = "pay") {
    return {{"txn_token", token}, {"action", action}};
  }
  // The one answer of the embedded PDP, of the OPA, and of the OPA through its agent.
  json::value of_all(const std::string& path, const json::object& input) {
    const auto own = embedded->decide(path, input);
    CHECK(own == opa.decide(path, input));
    CHECK(own == fed->decide(path, input));
    return own.value_or(nullptr);
  }
  bool allows(const std::string& token, const std::string& action = "pay") {
    return at(of_all("gate/decision", input(token, action)), "allow") == true;
  }

  Stack stack;
  Opa opa{stack, free_port()};
  KeyLedger keys{stack};
  Signer first{"first"}, second{"second"};
  Agent *embedded = nullptr, *fed = nullptr;
};

int64_t count_of(const Agent& agent, const std::string& outcome) {
  const auto answer = must(http::call_blocking({.url = agent.url() + "/metrics"}));
  const std::string series = fmt::format("notp_agent_txn_tokens_total{{outcome=\"{}\"}} ", outcome);
  const size_t begin = answer.body.find(series);
  return begin == std::string::npos ? -1 : std::stoll(answer.body.substr(begin + series.size()));
}

TEST_CASE("a rotated and removed key, and a token that is presented twice") {
  Scene scene;
  const std::string old = scene.first.token("t-1"), next = scene.second.token("t-2");
  CHECK(scene.allows(old));
  CHECK_FALSE(scene.allows(old, "delete"));
  CHECK_FALSE(scene.allows(scene.first.token("t-3", "at+jwt")));
  CHECK_FALSE(scene.allows(next));
  CHECK(scene.of_all("gate/state", Scene::input(next)) == "unknown_key");

  // Both keys; then the new one alone.
  scene.publish_keys({&scene.first, &scene.second});
  CHECK(scene.allows(old));
  CHECK(scene.allows(next));
  scene.publish_keys({&scene.second});
  CHECK_FALSE(scene.allows(old));
  CHECK_FALSE(scene.allows(scene.first.token("t-4")));
  CHECK(scene.of_all("gate/state", Scene::input(old)) == "unknown_key");
  CHECK(scene.allows(next));
  CHECK(count_of(*scene.embedded, "unknown_key") >= 3);
  CHECK(count_of(*scene.fed, "unknown_key") >= 3);
  CHECK(count_of(*scene.embedded, "refused") >= 1);

  // Single use: at this path of the embedded PDP, whatever was asked of others; an OPA cannot tell.
  const json::object fresh = Scene::input(scene.second.token("t-5"));
  CHECK(scene.embedded->decide("gate/once", Scene::input(scene.first.token("t-5"))) ==
        std::nullopt);
  CHECK(scene.embedded->decide("gate/decision", fresh));
  CHECK(scene.embedded->decide("gate/once", fresh) == json::value(true));
  CHECK(scene.embedded->decide("gate/once", fresh) == std::nullopt);
  CHECK(scene.embedded->decide("gate/once", Scene::input(scene.second.token("t-5"))) ==
        std::nullopt);
  CHECK(scene.embedded->decide("gate/once", Scene::input(scene.second.token("t-6"))) ==
        json::value(true));
  CHECK(scene.opa.decide("gate/once", fresh) == std::nullopt);
  CHECK(scene.fed->decide("gate/once", fresh) == std::nullopt);
}

TEST_CASE("of many questions at once with one token, one is the first") {
  Scene scene;
  const json::object input = Scene::input(scene.first.token("race"));
  std::atomic<int> firsts = 0, asked = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&] {
      for (int j = 0; j < 25; ++j) {
        firsts += scene.embedded->decide("gate/once", input) == json::value(true) ? 1 : 0;
        ++asked;
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(asked == 200);
  CHECK(firsts == 1);
}

// What verify() and presented() have said is in the record: the token itself is not.
TEST_CASE("an auditor replays what was decided about a token, also when its key has gone") {
  Scene scene(true);
  const std::string token = scene.first.token("t-1");
  std::vector<std::string> ids;
  const auto ask = [&](const std::string& path) {
    const IdentifiedAnswer answer = ask_with_id(scene.embedded->url(), path, Scene::input(token));
    REQUIRE_MESSAGE(answer.status == 200, answer.body);
    ids.push_back(answer.decision_id);
  };
  ask("gate/decision");
  ask("gate/once");  // the first time
  ask("gate/once");  // and not the first
  ask("gate/state");
  scene.publish_keys({&scene.second});  // the token's key is gone
  ask("gate/decision");
  const auto replay = [&](const std::string& id) {
    return scene.stack.notp("eve", {"decisions", "replay", id});
  };
  REQUIRE(wait_until([&] { return replay(ids.back()).status == 0; }));
  for (const std::string& id : ids) {
    const CliResult result = replay(id);
    REQUIRE_MESSAGE(result.status == 0, result.error << result.output);
    const json::array& listed = at(result.document, "listed").as_array();
    REQUIRE(listed.size() == 1);
    CHECK_MESSAGE(text_at(listed[0], "verdict") == "same", result.output);
    CHECK(at(listed[0], "recorded") == at(listed[0], "replayed"));
  }
}

}  // namespace
}  // namespace notp
