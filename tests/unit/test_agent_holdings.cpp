// What a node gives back to a registry that has lost it.
#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "notp-client/agent/core/holdings.hpp"
#include "protocol/delta/artifact.hpp"
#include "tests/support/agent/agent_parts.hpp"

namespace notp {
namespace {

// v1 to v`count`, newest first.
std::vector<TestRelease> chain(size_t count) {
  std::vector<TestRelease> out;
  for (size_t i = 0; i < count; ++i) out.push_back(make_release(i == 0 ? nullptr : &out.back()));
  std::ranges::reverse(out);
  return out;
}

std::vector<store::StoredRelease> all_stored(const std::vector<TestRelease>& releases) {
  std::vector<store::StoredRelease> out;
  for (const TestRelease& release : releases) out.push_back(stored(release));
  return out;
}

struct Site : AgentPartsSite {
  explicit Site(std::vector<TestRelease> made)
      : AgentPartsSite(all_stored(made)), made(std::move(made)), holdings(parts()) {
    holdings.begin_session();
  }
  std::vector<TestRelease> made;
  agent::Holdings holdings;

  const TestRelease& v(uint64_t version) const { return made.at(made.size() - version); }
  const wire::Held& held(uint64_t above, uint64_t root = 1) {
    holdings.on_held_wanted({samples::kLedger, above, root});
    return registry.helds.back();
  }
  wire::ReturnRequest request(uint64_t version, uint64_t base = 0) const {
    return {version, samples::kLedger, version, v(version).hash, base};
  }
  std::vector<agent::ReturnJob> asked(const wire::ReturnRequest& request) {
    clear();
    holdings.on_return_wanted(request);
    std::vector<agent::ReturnJob> out;
    for (const auto& effect : all<agent::effect::GiveBack>()) out.push_back(effect.job);
    return out;
  }
  ErrorCode refused() const { return error_code_from_wire(registry.returns.back().first.code); }
};

agent::ReturnedArtifact artifact() { return {{}, std::make_shared<const Bytes>("artifact")}; }

// Reads releases as a store would; what is named damaged cannot be read.
agent::ReturnContents contents_of(const std::vector<TestRelease>& releases,
                                  uint64_t damaged_version = 0) {
  return {.tree = [&releases](const model::LedgerId&, uint64_t version) -> Result<model::TreePtr> {
            return releases.at(releases.size() - version).tree;
          },
          .blob = [&releases, damaged_version](const Hash& hash) -> Result<model::Content> {
            for (const TestRelease& release : releases)
              if (const auto found = release.blobs.find(hash); found != release.blobs.end()) {
                if (release.release.version == damaged_version)
                  return fail(ErrorCode::kCorrupt, "a damaged blob");
                return found->second;
              }
            return fail(ErrorCode::kNotFound, "no such blob");
          }};
}

agent::ReturnJob job_of(const TestRelease& release, const TestRelease* base) {
  const auto part = [](const TestRelease& of) {
    return agent::ReturnedRelease{trust::ref_of(of.release, of.hash), of.envelope};
  };
  return {.session = 1,
          .release = part(release),
          .base = base ? std::optional(part(*base)) : std::nullopt};
}

struct ConnectedNode : AgentNode {
  ConnectedNode() : AgentNode(samples::signed_by(samples::tracked_root(), {1}).encode()) {
    boot();
    connect();
  }
};

}  // namespace

// --- Held

TEST_CASE("a node lists what it holds above a version, ascending") {
  Site site(chain(5));
  CHECK(site.held(5).releases.empty());
  CHECK(site.held(9).releases.empty());
  const auto all = site.held(0).releases;
  REQUIRE(all.size() == 5);
  for (uint64_t version = 1; version <= 5; ++version)
    CHECK(all[version - 1] == site.v(version).envelope);
  CHECK(site.held(3).releases == std::vector{site.v(4).envelope, site.v(5).envelope});
  CHECK(site.registry.helds.back().freshness.empty());
}

TEST_CASE("a release that the PDP refused is held as well") {
  auto releases = chain(2);
  auto rows = all_stored(releases);
  rows.front().quarantined = true;
  AgentPartsSite site(rows);
  agent::Holdings holdings(site.parts());
  holdings.on_held_wanted({samples::kLedger, 1, 1});
  CHECK(site.registry.helds.back().releases == std::vector{releases.front().envelope});
}

TEST_CASE("an answer stays within its limits, and the next one goes on behind it") {
  Site site({});
  std::set<uint64_t> versions;
  for (uint64_t version = 1; version <= 20; ++version) {
    const Bytes large(limits::kEnvelopeBytesMax, static_cast<char>('a' + version));
    site.releases.add({.ref = {.ledger = samples::kLedger,
                               .epoch = 1,
                               .version = version,
                               .release_hash = sha256(large),
                               .content_root = {}},
                       .envelope = trust::ReleaseEnvelope(large)},
                      versions);
    versions.insert(version);
  }
  uint64_t above = 0;
  for (size_t answers = 0; above < 20; ++answers) {
    REQUIRE(answers < 20);
    const auto held = site.held(above).releases;
    CHECK(held.size() == std::min<uint64_t>(8, 20 - above));
    for (const Bytes& envelope : held)
      CHECK(envelope == Bytes(limits::kEnvelopeBytesMax, static_cast<char>('a' + ++above)));
  }
}

TEST_CASE("no more envelopes than the limit, however small") {
  Site site(chain(limits::kHeldEnvelopesMax + 6));
  CHECK(site.held(0).releases.size() == limits::kHeldEnvelopesMax);
  CHECK(site.held(limits::kHeldEnvelopesMax).releases.size() == 6);
}

TEST_CASE("a ledger that this node does not follow has nothing") {
  Site site(chain(2));
  site.holdings.on_held_wanted({{samples::kLedger.zone, "other"}, 0, 1});
  CHECK(site.registry.helds.back().releases.empty());
  site.holdings.on_return_wanted({1, {samples::kLedger.zone, "other"}, 1, site.v(1).hash, 0});
  CHECK(site.refused() == ErrorCode::kNotFound);
}

TEST_CASE("roots above a version, and the last statement, also after a restart") {
  const auto first = samples::tracked_root();
  auto second = first, third = first;
  second.version = 2;
  third.version = 3;
  const Bytes envelopes[] = {samples::signed_by(first, {1}).encode(),
                             samples::signed_by(second, {1}).encode(),
                             samples::signed_by(third, {1}).encode()};
  AgentNode node(envelopes[0]);
  node.boot();
  node.connect();
  node.send(wire::RootUpdate{envelopes[1]});
  node.send(wire::RootUpdate{envelopes[2]});
  const TestRelease release = make_release();
  node.send_release(release);
  node.attest(release);
  for (const bool restarted : {false, true}) {
    CAPTURE(restarted);
    if (restarted) {
      node.restart();
      node.connect();
    }
    for (uint64_t known = 0; known <= 3; ++known) {
      node.send(wire::HeldRequest{samples::kLedger, 0, known});
      const wire::Held held = node.helds.back();
      CHECK(held.roots == std::vector<Bytes>(envelopes + known, envelopes + 3));
      CHECK(held.releases == std::vector{release.envelope});
      const auto statement = trust::Envelope::decode(held.freshness);
      REQUIRE(statement);
      CHECK(trust::Freshness::decode(statement->payload)->sequence == node.sequence);
    }
  }
}

// --- Return

TEST_CASE("a stored release is given back, from the base that the registry has") {
  Site site(chain(3));
  auto jobs = site.asked(site.request(3, 2));
  REQUIRE(jobs.size() == 1);
  CHECK(jobs[0].release.ref.release_hash == site.v(3).hash);
  CHECK(jobs[0].base->ref.release_hash == site.v(2).hash);
  site.holdings.on_returned(jobs[0], artifact());
  REQUIRE(site.registry.returns.size() == 1);
  CHECK(site.registry.returns[0].first.code == 0);
  CHECK(*site.registry.returns[0].second == "artifact");
  CHECK_FALSE(site.asked(site.request(3)).at(0).base);
}

TEST_CASE("what is not stored, or is another release, is refused by its code") {
  Site site(chain(3));
  auto request = site.request(3);
  request.release_hash = site.v(2).hash;
  CHECK(site.asked(request).empty());
  CHECK(site.refused() == ErrorCode::kNotFound);
  request = site.request(3);
  request.version = 4;
  CHECK(site.asked(request).empty());
  CHECK(site.refused() == ErrorCode::kNotFound);
  auto job = site.asked(site.request(3)).at(0);
  site.holdings.on_returned(job, fail(ErrorCode::kCorrupt, "damaged"));
  CHECK(site.refused() == ErrorCode::kCorrupt);
  CHECK(site.registry.returns.back().second == nullptr);
}

TEST_CASE("one release is made at a time: the next session waits for the one before") {
  Site site(chain(3));
  const auto old = site.asked(site.request(3)).at(0);
  site.holdings.begin_session();
  CHECK(site.asked(site.request(2)).empty());
  CHECK(site.registry.returns.empty());
  site.holdings.on_returned(old, artifact());
  CHECK(site.registry.returns.empty());  // it was for the session before
  const auto next = site.all<agent::effect::GiveBack>();
  REQUIRE(next.size() == 1);
  CHECK(next[0].job.release.ref.version == 2);
  site.holdings.on_returned(next[0].job, artifact());
  CHECK(site.registry.returns.size() == 1);
}

TEST_CASE("a release that is asked for again and again is refused in the end, and others are not") {
  Site site(chain(2));
  size_t made = 0;
  for (int i = 0; i < 1'000; ++i)
    for (const auto& job : site.asked(site.request(2))) {
      ++made;
      site.holdings.on_returned(job, artifact());
    }
  CHECK(made == 4);
  CHECK(site.refused() == ErrorCode::kOverloaded);
  CHECK(site.asked(site.request(1)).size() == 1);
}

TEST_CASE("the artifact of a release gives exactly that release") {
  const auto releases = chain(3);
  for (const bool from_base : {true, false}) {
    const TestRelease &target = releases[0], &base = releases[1];
    const auto made =
        agent::make_return(job_of(target, from_base ? &base : nullptr), contents_of(releases), {});
    REQUIRE(made);
    CHECK(made->base.has_value() == from_base);
    if (from_base) CHECK(made->base->content_root == base.release.content_root);
    const delta::ReleaseContent from{base.envelope, base.tree.get(), contents_of(releases).blob};
    CHECK(delta::read_envelope(*made->bytes, from_base
                                                 ? trust::ReleaseEnvelope(base.envelope)
                                                 : trust::ReleaseEnvelope()) == target.envelope);
    const auto applied = delta::apply_artifact(*made->bytes, from_base ? &from : nullptr,
                                               {target.release.total_bytes, 1});
    REQUIRE(applied);
    CHECK(applied->tree->content_root() == target.release.content_root);
  }
}

TEST_CASE("a damaged base costs the delta, a damaged release the answer") {
  const auto releases = chain(3);
  const auto job = job_of(releases[0], &releases[1]);
  const auto full = agent::make_return(job, contents_of(releases, 2), {});
  REQUIRE(full);
  CHECK_FALSE(full->base);
  CHECK(agent::make_return(job, contents_of(releases, 3), {}).error().code == ErrorCode::kCorrupt);
  auto other = job;
  other.release.ref.content_root = sha256("another");
  CHECK(agent::make_return(other, contents_of(releases), {}).error().code == ErrorCode::kCorrupt);
  CHECK(agent::make_return(job, contents_of(releases), [] { return false; }).error().code ==
        ErrorCode::kCancelled);
}

// --- the whole core

TEST_CASE("a node that is asked back for a release sends it, and goes on deciding") {
  ConnectedNode node;
  const TestRelease first = make_release(), second = make_release(&first);
  node.send_release(first);
  node.send_release(second);
  node.attest(second);
  node.disconnect();
  node.connect();
  const size_t activations = node.activations;
  node.send(wire::ReturnRequest{7, samples::kLedger, 2, second.hash, 1});
  REQUIRE(node.returns.size() == 1);
  const wire::Return& head = node.returns[0];
  CHECK(head.request == 7);
  CHECK(head.code == 0);
  CHECK(head.base == wire::Base{1, first.release.content_root});
  CHECK(node.returned_bytes.at(head.stream).size() == head.size);
  CHECK(node.is_connected());
  CHECK(node.activations == activations);
  CHECK(node.decides().version == 2);
}

TEST_CASE("a damaged content is not given back, and the session goes on") {
  ConnectedNode node;
  const TestRelease release = make_release();
  node.send_release(release);
  SeededRandom random(1);
  REQUIRE(node.store.damage(random));
  node.send(wire::ReturnRequest{7, samples::kLedger, 1, release.hash, 0});
  REQUIRE(node.returns.size() == 1);
  CHECK(error_code_from_wire(node.returns[0].code) == ErrorCode::kCorrupt);
  CHECK(node.returns[0].size == 0);
  CHECK(node.is_connected());
}

TEST_CASE("a registry that has its releases again is told of them again") {
  ConnectedNode node;
  const TestRelease first = make_release(), second = make_release(&first);
  node.send_release(first);
  node.send_release(second);
  node.attest(second);
  node.advance(1'000);
  node.disconnect();
  // Its head is v1: a report of v2 would be an error of this node.
  node.commits.clear();
  node.connect({}, {trust::ref_of(first.release, first.hash)});
  CHECK(node.alarmed(ErrorCode::kRollback));
  node.advance(2'000);
  CHECK(node.commits.empty());
  node.attest(second);
  REQUIRE_FALSE(node.commits.empty());
  CHECK(node.commits.back().version == 2);
  CHECK(node.commits.back().state == wire::CommitState::kActive);
}

TEST_CASE("a release that is stored after its session has ended is named to the next one") {
  for (const bool is_shown : {false, true}) {
    ConnectedNode node;
    const TestRelease first = make_release(), second = make_release(&first);
    node.send_release(first);
    node.delays_installs = true;
    node.send_release(second);
    node.disconnect();
    node.connect();
    CHECK(node.hellos.back().wants.at(0).base->version == 1);
    if (is_shown) node.send_release(second);
    node.wants.clear();
    node.finish_install();
    REQUIRE(node.wants.size() == (is_shown ? 0 : 1));
    if (!is_shown) CHECK(node.wants[0].base->version == 2);
  }
}

TEST_CASE("no report of what the registry's head is below, also after an epoch was raised") {
  ConnectedNode node;
  const TestRelease first = make_release(), second = make_release(&first);
  node.send_release(first);
  node.send_release(second);
  auto raised = samples::tracked_root();
  raised.version = raised.epoch = 2;
  node.send_root(samples::signed_by(raised, {1}));
  node.disconnect();
  node.commits.clear();
  node.connect({}, {trust::ref_of(first.release, first.hash)});
  node.advance(5'000);
  CHECK(node.commits.empty());
}

TEST_CASE("a release that is stored between Hello and Welcome is not reported as known") {
  ConnectedNode node;
  const TestRelease first = make_release(), second = make_release(&first);
  node.send_release(first);
  node.delays_installs = true;
  node.send_release(second);
  node.disconnect();
  node.commits.clear();
  node.finishes_install_before_welcome = true;
  node.connect();
  node.advance(2'000);
  for (const wire::Commit& commit : node.commits) CHECK(commit.version == 1);
  REQUIRE(node.wants.size() == 1);
  CHECK(node.wants[0].base->version == 2);
  node.attest(second);
  CHECK(node.commits.back().version == 2);
}

}  // namespace notp
