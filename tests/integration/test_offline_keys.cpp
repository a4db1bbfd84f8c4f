// A node's core in virtual time with the real engine, while the keys of an issuer change: what is
// decided of its tokens, what a policy is told of it, and what the node asks of the registry.
#include <doctest/doctest.h>

#include <boost/asio.hpp>

#include "common/jose/signing_key.hpp"
#include "notp-client/agent/host/activator.hpp"
#include "notp-client/pdp/bundle_layout.hpp"
#include "notp-client/pdp/embedded_pdp.hpp"
#include "protocol/wire/source_limits.hpp"
#include "tests/support/agent/agent_node.hpp"
#include "tests/support/agent/engine.hpp"
#include "tests/support/registry/model_samples.hpp"

namespace notp {
namespace {

namespace asio = boost::asio;

const model::LedgerId kPayments = samples::kLedger, kKeys{samples::kLedger.zone, "keys"};
const std::string kIssuer = "https://login.internal";
constexpr TimeMs kHourMs = 3'600'000, kDayMs = 24 * kHourMs;

const Bytes kPolicy = R"(package payments

default allow := false

allow if {
  [valid, _, claims] := io.jwt.decode_verify(input.token, {
    "cert": json.marshal(data.keys.login),
    "iss": data.keys.login.issuer,
    "alg": "ES256",
  })
  valid
}

why := {
  "ledger": data.system.notp.ledgers.keys.state,
  "vouched_ms": data.system.notp.ledgers.keys.vouched_ms,
  "issuer": data.system.notp.sources.issuers.login,
}
)";

struct IssuerKey {
  std::string kid;
  jose::SigningKey key = jose::SigningKey::generate(jose::Algorithm::kEs256).value();

  std::string token() const {
    // It ends in 2100: the engine reads the machine's clock.
    return jose::sign_token({{"kid", kid}}, {{"iss", kIssuer}, {"exp", 4'102'444'800}}, key)
        .value();
  }
  json::value jwk() const { return key.public_jwk(kid).canonical(); }
};

TestRelease release_of(const model::LedgerId& ledger, const samples::Texts& texts,
                       const TestRelease* previous = nullptr) {
  model::ModelContent content = samples::model_of(texts);
  TestRelease out = make_release(previous, [&](trust::Release& release) {
    release.ledger = ledger;
    release.data_roots = {ledger.name};
    release.content_root = content.tree->content_root();
    release.total_bytes = content.tree->total_bytes();
    release.file_count = texts.size();
    release.fresh_s = 12 * kHourMs / 1000;
    release.hard_s = 30 * kDayMs / 1000;
    release.on_hard = trust::OnHard::kDeny;
  });
  out.tree = std::move(content.tree);
  out.blobs = std::move(content.blobs);
  return out;
}

TestRelease keys_release(const std::vector<const IssuerKey*>& keys,
                         const TestRelease* previous = nullptr) {
  json::object set{{"issuer", kIssuer}, {"keys", json::array()}};
  for (const IssuerKey* key : keys) set["keys"].as_array().push_back(key->jwk());
  return release_of(kKeys, {{"keys/login/data.json", json::serialize(set)}}, previous);
}

// The agent's parts around a virtual clock: all but its own threads, its store's file and its
// socket.
struct Node : AgentNode {
  asio::io_context context{1};
  asio::thread_pool pool{1}, engine{1};
  transport::OffloadPool store_worker{1};
  pdp::EmbeddedPdp real{
      context.get_executor(), engine.get_executor(), pool, {.engine = {.worker = test_worker()}}};
  std::optional<std::optional<Error>> outcome;
  agent::Activator activator{
      context.get_executor(), real, store, store_worker,
      [this](const agent::DesiredState&, const std::optional<Error>& why) { outcome = why; }};
  std::vector<wire::UnknownKey> missed;

  Node()
      : AgentNode(samples::signed_by(samples::tracked_root(), {1}).encode(), {kPayments, kKeys}) {
    real.on_unknown_keys([this](const std::vector<wire::UnknownKey>& keys) {
      missed.insert(missed.end(), keys.begin(), keys.end());
    });
    hands_over = [this](const agent::effect::Activate& effect) {
      outcome.reset();
      activator.activate(effect);
      run_until([this] { return outcome.has_value(); });
      return *outcome;
    };
    activator.start();
    boot();
    connect();
  }
  ~Node() { activator.stop(); }

  void run_until(const std::function<bool()>& is_done) {
    const auto work = asio::make_work_guard(context);
    context.restart();
    while (!is_done()) REQUIRE(context.run_one_for(std::chrono::seconds(60)) == 1);
  }
  json::value ask(const std::string& name, const std::string& token = {}) {
    pdp::Question question{.path = {"payments", name}};
    question.inputs.emplace_back(Bytes(json::serialize(json::object{{"token", token}})));
    const auto decided =
        asio::co_spawn(pool, real.evaluate(std::move(question)), asio::use_future).get();
    REQUIRE(decided);
    REQUIRE_MESSAGE(decided->at(0), decided->at(0).error().message);
    const pdp::Decision& decision = *decided->at(0);
    CHECK(decision.extras.empty());
    return decision.value ? json::parse(*decision.value) : json::value();
  }
  bool allows(const IssuerKey& key) { return ask("allow", key.token()).as_bool(); }
  void say(wire::IssuerState state, TimeMs good_ms) {
    send(wire::SourceStatus{{{"login", kIssuer, kKeys, state, good_ms}}});
  }
};

}  // namespace

TEST_CASE("a day without a registry: known keys decide, new ones deny, and the policy knows why") {
  const IssuerKey old_key{"2026-05"}, new_key{"2026-06"};
  const TestRelease policy = release_of(kPayments, {{"payments/allow.rego", kPolicy}});
  const TestRelease keys = keys_release({&old_key});
  Node node;
  const auto attest_all = [&](const TestRelease& head) {
    node.attest({AgentNode::head(head), AgentNode::head(policy)});
  };
  node.send_release(policy);
  node.send_release(keys);
  attest_all(keys);
  CHECK(node.ask("why").is_null());  // nobody has said how the issuer is
  const TimeMs good_ms = node.now.wall_ms;
  node.say(wire::IssuerState::kOk, good_ms);
  CHECK(node.allows(old_key));
  CHECK(node.missed.empty());
  json::value why = node.ask("why");
  CHECK(why.at("ledger") == "fresh");
  CHECK(why.at("issuer") ==
        json::value{
            {"issuer", kIssuer}, {"ledger", kKeys.text()}, {"state", "ok"}, {"good_ms", good_ms}});

  // The registry is away, and the issuer begins to sign with another key.
  node.disconnect();
  node.advance(kDayMs);
  CHECK(node.allows(old_key));
  CHECK_FALSE(node.allows(new_key));
  why = node.ask("why");
  CHECK(why.at("ledger") == "stale");
  CHECK(why.at("vouched_ms").as_int64() <= good_ms);
  CHECK(why.at("issuer").at("state") == "ok");
  CHECK(why.at("issuer").at("good_ms") == good_ms);
  CHECK(node.now.wall_ms - good_ms == kDayMs);

  // The PDP has noticed which key it misses; the registry hears of it when it is back.
  node.run_until([&] { return !node.missed.empty(); });
  REQUIRE(node.missed.size() == 1);
  CHECK(node.missed[0].issuer == kIssuer);
  CHECK(node.missed[0].kid == "2026-06");
  node.core().on_unknown_keys(node.missed, node.now);
  node.connect();
  CHECK(node.unknown_keys.empty());
  node.say(wire::IssuerState::kFailing, good_ms);
  CHECK(node.ask("why").at("issuer").at("state") == "failing");
  REQUIRE(node.unknown_keys.size() == 1);
  CHECK(node.unknown_keys[0].kid == "2026-06");

  const TestRelease next = keys_release({&old_key, &new_key}, &keys);
  node.send_release(next);
  attest_all(next);
  node.say(wire::IssuerState::kOk, node.now.wall_ms);
  node.advance(limits::kSourceStatesShownMs);
  CHECK(node.allows(old_key));
  CHECK(node.allows(new_key));
  why = node.ask("why");
  CHECK(why.at("ledger") == "fresh");
  CHECK(why.at("issuer").at("state") == "ok");
}

TEST_CASE("OPA's bundle has what the embedded engine is told of the issuers") {
  pdp::ActiveSet active;
  const auto loads_nothing = [](const Hash& hash) -> Result<model::Content> {
    return fail(ErrorCode::kNotFound, hash.brief());
  };
  const auto document = [&] {
    const auto layout = pdp::bundle_layout(active, loads_nothing, test_checker());
    REQUIRE_MESSAGE(layout, layout.error().message);
    return json::parse(layout->at("system/notp/data.json").made).as_object();
  };
  CHECK_FALSE(document().contains("sources"));
  active.sources = std::make_shared<const wire::SourceStatus>(
      wire::SourceStatus{{{"login", kIssuer, kKeys, wire::IssuerState::kSuspect, 7}}});
  CHECK(document().at("sources") == json::value{{"issuers",
                                                 {{"login",
                                                   {{"issuer", kIssuer},
                                                    {"ledger", kKeys.text()},
                                                    {"state", "suspect"},
                                                    {"good_ms", 7}}}}}});
}

}  // namespace notp
