// Offers that omit what the agent knows: a push, a cut, a wrong base.
#include "tests/support/agent/agent_node.hpp"

namespace notp {
namespace {

using samples::kLedger;

// A delta, and its offer to the node's only subscription.
struct Push {
  wire::Offer offer;
  Bytes artifact;

  Push(const TestRelease& from, const TestRelease& to) : artifact(encode(from, to)) {
    offer.version = to.release.version;
    offer.size = artifact.size();
    offer.base_distance = to.release.version - from.release.version;
  }
  static delta::ReleaseContent side_of(const TestRelease& release) {
    return {
        release.envelope, release.tree.get(),
        [&release](const Hash& hash) -> Result<model::Content> { return release.blobs.at(hash); }};
  }
  static Bytes encode(const TestRelease& from, const TestRelease& to) {
    const delta::ReleaseContent base = side_of(from);
    return delta::encode_artifact(&base, side_of(to)).value();
  }
  // The bytes of the artifact up to the end of its envelope.
  size_t envelope_bytes(const TestRelease& from) const {
    size_t bytes = 0;
    while (!delta::read_envelope(ByteView(artifact).substr(0, bytes), from.envelope)) ++bytes;
    return bytes;
  }
};

AgentNode node_with(const TestRelease& release) {
  AgentNode node(samples::signed_by(samples::root(), {1}).encode());
  node.boot();
  node.connect();
  node.send_release(release);
  CHECK(node.decides().version == release.release.version);
  return node;
}

TEST_CASE("a push says the version, and the node knows the rest") {
  const TestRelease first = make_release(), second = make_release(&first);
  AgentNode node = node_with(first);
  const Push push(first, second);
  node.send(push.offer);
  node.send(wire::Chunk{0, push.artifact});
  CHECK(node.decides().version == 2);
  REQUIRE_FALSE(node.commits.empty());
  CHECK(node.commits.back().ledger == kLedger);
  CHECK(node.commits.back().version == 2);
  CHECK(node.commits.back().state == wire::CommitState::kActive);
}

TEST_CASE("after a cut the node derives which artifact it has the front of") {
  const TestRelease first = make_release(), second = make_release(&first);
  const Push push(first, second);
  const Hash id = delta::artifact_id(first.hash, second.hash);
  for (size_t bytes = push.envelope_bytes(first); bytes < push.artifact.size(); ++bytes) {
    CAPTURE(bytes);
    AgentNode node = node_with(first);
    node.send(push.offer);
    node.send(wire::Chunk{0, ByteView(push.artifact).substr(0, bytes)});
    node.disconnect();
    node.connect();
    const wire::Want& want = node.hellos.back().wants.at(0);
    REQUIRE(want.resume);
    CHECK(want.resume->artifact == id);
    CHECK(want.resume->offset == bytes);
    wire::Offer rest = push.offer;
    rest.artifact = id;
    rest.offset = bytes;
    node.send(rest);
    node.send(wire::Chunk{0, ByteView(push.artifact).substr(bytes)});
    CHECK(node.decides().version == 2);
  }
}

TEST_CASE("a front that ends within the envelope is not worth keeping") {
  const TestRelease first = make_release(), second = make_release(&first);
  const Push push(first, second);
  AgentNode node = node_with(first);
  node.send(push.offer);
  node.send(wire::Chunk{0, ByteView(push.artifact).substr(0, push.envelope_bytes(first) - 1)});
  node.disconnect();
  node.connect();
  CHECK_FALSE(node.hellos.back().wants.at(0).resume);
  // A base that the node does not have is refused, too.
  Push other = push;
  other.offer.version = 9;
  node.send(other.offer);
  node.send(wire::Chunk{0, ByteView(push.artifact).substr(0, push.artifact.size() - 1)});
  node.disconnect();
  node.connect();
  CHECK_FALSE(node.hellos.back().wants.at(0).resume);
}

TEST_CASE("a delta on a release that the node does not have is asked for whole") {
  const TestRelease first = make_release(), second = make_release(&first);
  const TestRelease third = make_release(&second);
  AgentNode node = node_with(first);
  const Push push(second, third);
  node.send(push.offer);
  node.send(wire::Chunk{0, push.artifact});
  REQUIRE(node.wants.size() == 1);
  CHECK_FALSE(node.wants[0].base);
  node.send_release(third);
  CHECK(node.decides().version == 3);
}

TEST_CASE("a delta on another release of that version is asked for whole, and is no forgery") {
  const TestRelease first = make_release();
  const TestRelease twin =
      make_release(nullptr, [](trust::Release& release) { release.fresh_s += 1; });
  const TestRelease second = make_release(&first), of_twin = make_release(&twin);
  AgentNode node = node_with(first);
  const Push push(twin, of_twin);
  node.send(push.offer);
  node.send(wire::Chunk{0, push.artifact});
  CHECK(node.alarms.empty());
  REQUIRE(node.wants.size() == 1);
  CHECK_FALSE(node.wants[0].base);
  CHECK(node.decides().version == 1);
  node.send_release(second);
  CHECK(node.decides().version == 2);
}

TEST_CASE("an offer for a subscription that the node does not have ends the session") {
  const TestRelease first = make_release();
  AgentNode node = node_with(first);
  Push push(first, make_release(&first));
  push.offer.subscription = 1;
  node.send(push.offer);
  REQUIRE(node.refusals.size() == 1);
  CHECK(node.refusals[0] == ErrorCode::kState);
}

}  // namespace
}  // namespace notp
