// `notp txn grants revoke` with all daemons: what it ends at the service and on the lane, at nodes
// that verify with a live lane: one with the embedded PDP, one beside a real OPA.
#include <doctest/doctest.h>

#include "tests/support/process/lane_opa.hpp"
#include "tests/support/process/txn_site.hpp"

namespace notp {
namespace {

const std::string kGate = "100000000000/gate";

struct Scene : TxnSite {
  Scene() {
    start();
    const auto folder = stack.file("models/gate");
    must(make_folders(folder / "gate"));
    must(write_file(folder / "manifest.json", R"({"metadata": {"name": "gate"},
        "runtimes": {"rego": {"language": {"name": "rego", "version": "1"}}},
        "partitions": {"/": {"runtime": "rego"}}, "roots": ["gate"]})"));
    must(write_file(folder / "gate/gate.rego", R"(package gate

allow := claims.txn if claims := data.system.notp.txn.verify(input.txn_token)

lane := data.system.notp.tokens.lane.state
)"));
    REQUIRE(stack.published(folder, kGate) == 1);
    json::object more = LaneSite::agent_lane();
    more["txn"] = json::object{{"verify", json::object{{"keys", "txn"}}}};
    const std::vector<std::string> ledgers{kGate, kTxnKeys};
    embedded = &stack.start_agent({.name = "edge-1", .ledgers = ledgers, .more = more});
    fed = &stack.start_agent(
        {.name = "edge-2", .ledgers = ledgers, .pdp = "opa", .opa_port = opa.port(), .more = more});
    opa.start(*fed);
    for (Agent* agent : {embedded, fed}) REQUIRE(stack.becomes_active(*agent, kGate, 1));
    REQUIRE(lanes_become_live());
  }
  bool lanes_become_live() const {
    const json::object nothing;
    const json::value live("live");
    return wait_until([&] {
      return embedded->decide("gate/lane", nothing) == live &&
             opa.decide("gate/lane", nothing) == live;
    });
  }
  // Whether both nodes take the token, or both do not.
  bool becomes(const TokenAnswer& token, bool is_valid) const {
    const json::object input{{"txn_token", token.token()}};
    return wait_until([&] {
      return embedded->decide("gate/allow", input).has_value() == is_valid &&
             opa.decide("gate/allow", input).has_value() == is_valid;
    });
  }

  // T1 of the shop, with a grant for the worker; T2 of the worker.
  TokenAnswer first() const {
    const TokenAnswer answer = shop.ask(
        with(request(lane.jwt()), "request_details", delegate_to(kWorker, R"(, "uses": 2)")));
    REQUIRE_MESSAGE(answer.status == 200, json::serialize(answer.body));
    return answer;
  }
  TokenAnswer redeem(const TokenAnswer& from, const std::string& jti) const {
    return worker.ask(TxnSite::redeem(worker, text_at(from.body, "grant"), jti));
  }
  TokenAnswer second(const TokenAnswer& from, const std::string& jti) const {
    TokenAnswer answer = redeem(from, jti);
    REQUIRE_MESSAGE(answer.status == 200, json::serialize(answer.body));
    return answer;
  }
  static std::string txn_of(const TokenAnswer& token) { return text_at(token.claims(), "txn"); }

  CliResult revoke(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"txn", "grants", "revoke"});
    arguments.insert(arguments.end(), {"--service", url()});
    return stack.notp("eve", std::move(arguments));
  }
  json::value revoked(std::vector<std::string> arguments) {
    const CliResult result = revoke(std::move(arguments));
    REQUIRE_MESSAGE(result.status == 0, result.error);
    return must(parse_json(result.output));
  }

  LaneOpa opa{stack};
  Workload shop = workload(std::string(kShop)), worker = workload(std::string(kWorker));
  Agent *embedded = nullptr, *fed = nullptr;
};

TEST_CASE("one command ends a transaction: its grants, its token, and the tokens made of it") {
  Scene scene;
  const TokenAnswer t1 = scene.first(), other = scene.first();
  const TokenAnswer t2 = scene.second(t1, "j-1");
  for (const TokenAnswer* token : {&t1, &t2, &other}) REQUIRE(scene.becomes(*token, true));

  const json::value answer = scene.revoked({"--txn", Scene::txn_of(t1), "--wait"});
  CHECK(number_at(answer, "grants") == 1);
  CHECK(at(answer, "txns") == json::value(json::array{Scene::txn_of(t1), Scene::txn_of(t2)}));
  CHECK(text_at(answer, "lane") == kLaneName);
  CHECK(number_at(answer, "applied") == number_at(answer, "nodes"));
  CHECK(number_at(answer, "nodes") >= 2);
  CHECK(scene.becomes(t1, false));
  CHECK(scene.becomes(t2, false));
  CHECK(text_at(scene.redeem(t1, "j-2").body, "error_description").contains("no such grant"));
  CHECK(scene.becomes(other, true));

  // By a grant: the token with which it was made lives.
  const TokenAnswer made = scene.second(other, "j-3");
  REQUIRE(scene.becomes(made, true));
  CHECK(at(scene.revoked({"--grant", text_at(other.body, "grant")}), "txns") ==
        json::value(json::array{Scene::txn_of(made)}));
  CHECK(scene.becomes(made, false));
  CHECK(scene.becomes(other, true));

  // Without the lane nothing but the grant ends.
  const TokenAnswer left = scene.first(), lives = scene.second(left, "j-4");
  const json::value unmarked = scene.revoked({"--txn", Scene::txn_of(left), "--no-lane"});
  CHECK(at(unmarked, "lane").is_null());
  CHECK(at(unmarked, "txns").as_array().size() == 2);
  CHECK(scene.redeem(left, "j-5").error() == "invalid_request");
  CHECK(scene.becomes(lives, true));
  CHECK(scene.revoke({"--txn", "t", "--no-lane", "--lane", "tokens"}).status == exit_code::kUsage);

  // A mark of a token in the chain, by whoever, ends its grant, too.
  const TokenAnswer marked = scene.first();
  const CliResult by_hand =
      scene.stack.notp("eve", {"tokens", "revoke", "--lane", std::string(kLaneName), "--txn",
                               Scene::txn_of(marked), "--issuer", scene.url(), "--wait"});
  REQUIRE_MESSAGE(by_hand.status == 0, by_hand.error);
  CHECK(scene.becomes(marked, false));
  CHECK(text_at(scene.redeem(marked, "j-6").body, "error_description").contains("revoked"));
}

TEST_CASE("a failure in between says what is done and what is not, and the command is repeated") {
  Scene scene;
  const TokenAnswer t1 = scene.first(), t2 = scene.second(t1, "j-1");
  for (const TokenAnswer* token : {&t1, &t2}) REQUIRE(scene.becomes(*token, true));
  scene.stack.stop_registry();
  const CliResult failed = scene.revoke({"--txn", Scene::txn_of(t1)});
  CHECK(failed.status == error_traits(ErrorCode::kUnavailable).exit);
  CHECK_MESSAGE(failed.error.contains("1 grant ended at the service; 0 of 2 transactions are "
                                      "marked on the lane tokens"),
                failed.error);
  for (const TokenAnswer* token : {&t1, &t2})
    CHECK_MESSAGE(failed.error.contains(Scene::txn_of(*token)), failed.error);
  CHECK(scene.redeem(t1, "j-2").error() == "invalid_request");
  CHECK(scene.becomes(t2, true));  // as it says

  scene.start_registry();
  REQUIRE(scene.lanes_become_live());
  const json::value again = scene.revoked({"--txn", Scene::txn_of(t1)});
  CHECK(number_at(again, "grants") == 0);
  CHECK(at(again, "txns") == json::value(json::array{Scene::txn_of(t1), Scene::txn_of(t2)}));
  CHECK(scene.becomes(t1, false));
  CHECK(scene.becomes(t2, false));
  CHECK(scene.revoked({"--txn", Scene::txn_of(t1)}) != json::value());

  // A lane that the registry does not have.
  const TokenAnswer last = scene.first();
  const CliResult wrong = scene.revoke({"--txn", Scene::txn_of(last), "--lane", "unknown"});
  CHECK(wrong.status == error_traits(ErrorCode::kNotFound).exit);
  CHECK_MESSAGE(wrong.error.contains("0 of 1 transaction"), wrong.error);
}

}  // namespace
}  // namespace notp
