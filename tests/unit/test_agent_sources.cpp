// Key sources at a node's core: what policies are shown of them and how often, and which missing
// keys are reported.
#include <doctest/doctest.h>

#include "protocol/wire/source_limits.hpp"
#include "tests/support/agent/agent_node.hpp"

namespace notp {
namespace {

using samples::kLedger;
using wire::IssuerState;

const std::string kIssuer = "https://login.internal";
constexpr TimeMs kPause = limits::kUnknownKeyPauseMs;

wire::IssuerStatus issuer(IssuerState state = IssuerState::kOk, TimeMs good_ms = 1,
                          std::string name = "login") {
  return {name, "https://" + name + ".internal", kLedger, state, good_ms};
}

struct SourceNode : AgentNode {
  const TestRelease v1 = make_release();

  SourceNode() : AgentNode(samples::signed_by(samples::root(), {1}).encode()) {
    boot();
    connect();
    send_release(v1);
  }
  void say(std::vector<wire::IssuerStatus> issuers) {
    send(wire::SourceStatus{std::move(issuers)});
  }
  void miss(std::string kid, const std::string& of = kIssuer) {
    core().on_unknown_keys({{of, std::move(kid)}}, now);
    send(wire::Ping{1});  // its output is read
  }
  // The kids that were reported since the last call.
  std::vector<std::string> reported() {
    std::vector<std::string> out;
    for (const wire::UnknownKey& key : std::exchange(unknown_keys, {})) out.push_back(key.kid);
    return out;
  }
  // What a policy sees of the first issuer.
  const wire::IssuerStatus& shown() const {
    REQUIRE(sources);
    return sources->issuers.at(0);
  }
};

using Kids = std::vector<std::string>;

}  // namespace

TEST_CASE("a policy sees a changed state of a source at once, and its times once in a minute") {
  SourceNode node;
  const size_t before = node.activations;
  CHECK_FALSE(node.sources);
  node.say({});
  CHECK(node.activations == before);  // there is nothing to show
  node.say({issuer(IssuerState::kOk, 1)});
  CHECK(node.activations == before + 1);
  CHECK(node.shown() == issuer(IssuerState::kOk, 1));
  REQUIRE(node.sources_changed.size() == 1);

  node.say({issuer(IssuerState::kOk, 2)});
  node.say({issuer(IssuerState::kOk, 3)});
  CHECK(node.activations == before + 1);
  node.advance(limits::kSourceTimesShownMs - 1);
  CHECK(node.activations == before + 1);
  CHECK(node.core().status().sources.at(0).good_ms == 3);
  node.advance(1);
  CHECK(node.activations == before + 2);
  CHECK(node.shown().good_ms == 3);

  node.advance(limits::kSourceStatesShownMs);
  node.say({issuer(IssuerState::kLate, 3)});
  CHECK(node.activations == before + 3);
  CHECK(node.shown().state == IssuerState::kLate);
  // A registry that changes its mind all the time costs one activation in a second.
  for (int i = 0; i < 100; ++i) {
    node.say({issuer(i % 2 == 0 ? IssuerState::kOk : IssuerState::kFailing, 3)});
    node.advance(10);
  }
  CHECK(node.activations <= before + 5);
  node.advance(limits::kSourceStatesShownMs);
  CHECK(node.shown().state == IssuerState::kFailing);
  CHECK(node.sources_changed.back().state == IssuerState::kFailing);
  node.say({});
  node.advance(limits::kSourceStatesShownMs);
  CHECK(node.sources->issuers.empty());
}

TEST_CASE("the last word on sources outlives its session, and not the process") {
  SourceNode node;
  node.say({issuer(IssuerState::kLate, 7)});
  node.disconnect();
  node.advance(86'400'000);
  CHECK(node.shown() == issuer(IssuerState::kLate, 7));
  CHECK(node.core().status().sources == std::vector{issuer(IssuerState::kLate, 7)});
  node.connect();
  CHECK(node.shown().good_ms == 7);
  node.say({issuer(IssuerState::kOk, 9)});
  CHECK(node.shown() == issuer(IssuerState::kOk, 9));
  node.sources = nullptr;
  node.restart();
  CHECK_FALSE(node.sources);
  CHECK(node.core().status().sources.empty());
}

TEST_CASE("what is said of sources before the first release is shown with it") {
  AgentNode node(samples::signed_by(samples::root(), {1}).encode());
  node.boot();
  node.connect();
  node.send(wire::SourceStatus{{issuer(IssuerState::kFailing, 0)}});
  CHECK(node.activations == 0);
  node.send_release(make_release());
  CHECK(node.activations == 1);
  REQUIRE(node.sources);
  CHECK(node.sources->issuers[0].state == IssuerState::kFailing);
}

TEST_CASE("a release that the PDP refused is not tried again with each word on sources") {
  SourceNode node;
  node.pdp_refuses = {1, 2};
  node.send_release(make_release(&node.v1));
  const size_t before = node.activations;
  for (TimeMs good_ms = 2; good_ms < 6; ++good_ms) {
    node.say({issuer(IssuerState::kOk, good_ms)});
    node.advance(limits::kSourceTimesShownMs);
  }
  CHECK(node.activations <= before + 2);
}

TEST_CASE("a missing key is reported if its issuer is a source of this session, and not often") {
  SourceNode node;
  node.miss("early");
  node.say({issuer(), issuer(IssuerState::kOk, 1, "partner")});
  CHECK(node.reported().empty());  // nobody knew the issuer then
  node.miss("k1");
  node.miss("k2");
  node.miss("other", "https://elsewhere.internal");
  node.miss("p1", "https://partner.internal");
  CHECK(node.reported() == Kids{"k1", "p1"});
  node.miss("k3");
  node.advance(kPause - 1);
  CHECK(node.reported().empty());
  node.advance(1);
  node.send(wire::Ping{2});
  CHECK(node.reported() == Kids{"k3"});  // the newest
  node.advance(2 * kPause);
  CHECK(node.reported().empty());
  // However many random kids: two reports in a minute.
  for (int i = 0; i < 5'900; ++i) {
    node.miss(std::to_string(i));
    node.advance(10);
  }
  CHECK(node.reported().size() == 2);
}

TEST_CASE("a key that a newer release of the ledger may have is not reported any more") {
  SourceNode node;
  node.say({issuer()});
  node.miss("k1");
  node.miss("k2");
  node.send_release(make_release(&node.v1));
  node.advance(kPause);
  node.send(wire::Ping{2});
  CHECK(node.reported() == Kids{"k1"});
  node.miss("k3");
  CHECK(node.reported() == Kids{"k3"});
}

TEST_CASE("without a session the newest missing key waits for the next one's word") {
  SourceNode node;
  node.say({issuer(), issuer(IssuerState::kOk, 1, "partner")});
  node.disconnect();
  node.core().on_unknown_keys({{kIssuer, "k1"}, {"https://partner.internal", "p1"}}, node.now);
  node.core().on_unknown_keys({{kIssuer, "k2"}}, node.now);
  node.advance(600'000);
  node.connect();
  node.advance(1'000);
  node.send(wire::Ping{2});
  CHECK(node.reported().empty());
  node.say({issuer()});  // the other one is a source no more
  CHECK(node.reported() == Kids{"k2"});
}

TEST_CASE("a registry whose root is refused has no word on sources") {
  SourceNode node;
  trust::Root next = samples::root();
  next.version = 2;
  node.send_root(samples::signed_by(next, {9}));
  node.say({issuer()});
  CHECK_FALSE(node.sources);
}

}  // namespace notp
