// Releases that a registry has lost, on real Git, from nodes that tell the truth or do not.
#include "notp-server/recovery/held_check.hpp"
#include "tests/support/registry/scripted_peers.hpp"

namespace notp {
namespace {

const model::LedgerId kOther{kLedger.zone, "other"};

samples::Texts small(int step) {
  return {{"manifest.json", "{}"}, {"a/data.json", fmt::format("[{}]", step)}};
}

struct Lost : LostSite {
  // Of five releases, the first two are left.
  explicit Lost(int releases = 5, uint64_t kept = 2) {
    for (int step = 1; step <= releases; ++step) publish(texts(step));
    keep(kept);
  }
  // All that nodes have said is taken in: this answer, signed by such a key, is the last one.
  void take_in(uint8_t key) {
    const auto last = next_release(kOther, nullptr, model_of(small(1)));
    ScriptedNode node{.identity = "spiffe://core-platform.internal/node/last"};
    node.more = {samples::signed_by(last.release, {key}).encode()};
    connect(node, kOther);
    REQUIRE(is_missing(1, kOther));
  }
};

TEST_CASE("what is lost is fetched from whoever holds it, and is what it was") {
  Lost site;
  site.start();
  CHECK(site.recovery->may_publish(kLedger));
  CHECK(site.recovery->attests(kLedger));
  site.connect(site.node("edge-1", {4, 5}));
  REQUIRE(site.is_missing(5));
  site.connect(site.node("edge-2", {1, 2, 3}));
  REQUIRE(wait_until([&] { return site.row().missing == 0; }));
  const auto refused = site.recovery->may_publish(kLedger);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kConflict);
  CHECK_MESSAGE(refused.error().message.contains("lacks v3 to v5 of 273165098782/payments"),
                refused.error().message);
  CHECK(refused.error().message.contains("node/edge-1 has"));
  CHECK(refused.error().message.contains("notp registry recover"));
  CHECK_FALSE(site.recovery->attests(kLedger));
  CHECK(site.recovery->may_publish(kOther));  // nothing is known against it
  CHECK(site.recovery->attests(kOther));

  REQUIRE(site.recover());
  CHECK(site.row().state == wire::RecoveryState::kRecovered);
  site.check_back();
  CHECK(site.peers->deltas == 2);  // v3 after v2, and v5 after v4
  CHECK(site.new_heads == std::vector<model::LedgerId>{kLedger});
  CHECK(site.freshness_due == 1);
  CHECK(site.recovery->may_publish(kLedger));
  CHECK(site.recovery->attests(kLedger));
  CHECK_FALSE(fs::exists(site.data() / registry::kRestoredMark));
  const auto info = site.registry->info(kLedger, 3).value();
  CHECK(info->publisher == kEve);
  CHECK_MESSAGE(info->message ==
                    "Recovered from spiffe://core-platform.internal/node/edge-2: "
                    "release v3",
                info->message);
  publish_files(*site.registry, texts(6));
  CHECK(site.registry->head(kLedger)->ref.version == 6);
}

TEST_CASE("a ledger that the registry does not know at all comes back") {
  Lost site(3, 0);
  site.start();
  site.connect(site.node("edge-1", {1, 2, 3}));
  REQUIRE(site.is_missing(3));
  REQUIRE(site.recover());
  site.check_back();
}

TEST_CASE("after a restore all is held up until a recovery is confirmed, also of nothing") {
  Lost site(2, 2);
  site.mark();
  site.known = {"spiffe://core-platform.internal/node/edge-1",
                "spiffe://core-platform.internal/node/edge-2"};
  site.start();
  for (const model::LedgerId& ledger : {kLedger, kOther}) {
    CHECK_FALSE(site.recovery->attests(ledger));
    const auto refused = site.recovery->may_publish(ledger);
    REQUIRE_FALSE(refused);
    CHECK_MESSAGE(
        refused.error().message.contains("restored from a backup of 1970-01-01T00:00:01Z"),
        refused.error().message);
  }
  CHECK_FALSE(site.recovery->may_publish_root());
  CHECK(site.status().restored_ms == 2'000);
  CHECK(site.status().silent == 2);

  const auto silent = site.recover();
  REQUIRE_FALSE(silent);
  CHECK_MESSAGE(silent.error().message.contains("2 of 2 nodes have not been heard"),
                silent.error().message);
  CHECK(silent.error().message.contains("node/edge-1, spiffe"));
  site.recovery->heard(site.known[0]);
  site.restart();  // the mark stays
  CHECK_FALSE(site.recovery->attests(kLedger));
  site.recovery->heard(site.known[0]);
  REQUIRE(wait_until(
      [&] { return site.status().silent_nodes == std::vector<std::string>{site.known[1]}; }));
  CHECK_FALSE(site.recover());
  REQUIRE(site.recover({.accept_silent = true}));
  CHECK(site.recovery->may_publish(kLedger));
  CHECK(site.recovery->may_publish_root());
  CHECK(site.recovery->attests(kLedger));
  CHECK_FALSE(fs::exists(site.data() / registry::kRestoredMark));
  CHECK(site.status().restored_ms == 0);
}

TEST_CASE("a node that does not answer counts as not heard, for a while") {
  Lost site;
  site.mark();
  ScriptedNode mute = site.node("edge-1", {5});
  mute.is_mute = true;
  site.known = {mute.identity};
  site.start();
  site.connect(mute);
  CHECK_FALSE(site.recover());
  CHECK(site.status().silent == 1);
}

TEST_CASE("a mark that nobody can read keeps the registry from starting") {
  Lost site;
  REQUIRE(write_file(site.data() / registry::kRestoredMark, "{\"restored_ms\": true}"));
  const auto opened = registry::read_restored_mark(site.data());
  REQUIRE_FALSE(opened);
  CHECK(opened.error().code == ErrorCode::kCorrupt);
  CHECK(opened.error().message.contains("restored.json"));
}

// --- nodes that lie

TEST_CASE("a claim, a forgery and the envelope of another ledger change nothing") {
  Lost site;
  site.publish(small(1), kOther);
  site.start();
  ScriptedNode liar{.identity = "spiffe://core-platform.internal/node/liar"};
  SUBCASE("no envelope") {}
  SUBCASE("of another ledger") { liar.more = {site.source->head(kOther)->envelope}; }
  SUBCASE("forged") {
    const auto head = site.source->head(kLedger);
    registry::NewRelease forged = next_release(kLedger, head, model_of(small(9)));
    forged.release.version = 999;
    liar.more = {samples::signed_by(forged.release, {9}).encode()};
  }
  SUBCASE("noise") {
    liar.more = {"noise", Bytes(5'000, '\xff'), ""};
    liar.roots = {"noise"};
    liar.freshness = "noise";
  }
  SUBCASE("what the registry has") {
    liar.more = {site.source->info(kLedger, 1).value()->envelope};
  }
  site.connect(liar);
  // A node after it is heard, so that the answer is taken in.
  site.connect(site.node("edge-1", {1}, kOther), kOther);
  REQUIRE(site.is_missing(1, kOther));
  CHECK(site.recovery->may_publish(kLedger));
  CHECK(site.recovery->attests(kLedger));
  CHECK(site.row().newest_version == 0);
  REQUIRE(site.recover());
  CHECK(site.registry->head(kLedger)->ref.version == 2);
  CHECK(site.registry->head(kOther)->ref.version == 1);
}

TEST_CASE("a node that gives back something else is passed over") {
  Lost site(3, 2);
  site.start();
  ScriptedNode liar = site.node("liar", {2, 3});
  std::string words;
  SUBCASE("noise") {
    liar.damages = [](Bytes& artifact) { artifact = "noise"; };
  }
  SUBCASE("cut") {
    liar.damages = [](Bytes& artifact) { artifact.resize(artifact.size() / 2); };
  }
  SUBCASE("a bit") {
    liar.damages = [](Bytes& artifact) { artifact[artifact.size() * 2 / 3] ^= 1; };
  }
  SUBCASE("another release") {
    const auto other = site.source->snapshot(kLedger, 1).value();
    liar.damages = [other](Bytes& artifact) {
      artifact = delta::encode_artifact(nullptr, other->side()).value();
    };
  }
  SUBCASE("a refusal") { liar.refuses = static_cast<uint32_t>(ErrorCode::kCorrupt); }
  site.connect(liar);
  REQUIRE(site.is_missing(3));
  // Nobody else has it.
  REQUIRE(site.recover());
  CHECK(site.row().state == wire::RecoveryState::kLost);
  CHECK_MESSAGE(site.row().message.contains("node/liar"), site.row().message);
  CHECK(site.registry->head(kLedger)->ref.version == 2);
  CHECK_FALSE(site.recovery->attests(kLedger));
  CHECK(fs::exists(site.data() / registry::kRestoredMark));

  site.connect(site.node("edge-1", {3}));
  REQUIRE(wait_until([&] { return site.row().holders == 2; }));
  REQUIRE(site.recover());
  site.check_back();
  CHECK(site.row().state == wire::RecoveryState::kRecovered);
  CHECK_FALSE(fs::exists(site.data() / registry::kRestoredMark));
}

TEST_CASE("what comes back is what a root that it was signed by has let it hold") {
  const auto policy = next_release(kLedger, nullptr, model_of(texts(1)));
  const auto root = [](uint64_t version, uint8_t publisher, trust::ContentRule content) {
    trust::Root out = samples::root();
    out.version = version;
    out.delegations = {{"*/*", samples::public_keys({publisher}), 1, content}};
    return std::make_shared<const trust::Root>(out);
  };
  using enum trust::ContentRule;
  const auto any = root(2, 2, kAny), strict = root(3, 2, kKeys), others = root(4, 3, kAny);
  const trust::Trusted trusted{.root = any};
  const auto verified = trust::verify_release(samples::signed_by(policy.release, {2}).encode(),
                                              kLedger, trusted, samples::kIssuedMs);
  REQUIRE(verified);
  const auto code = [&](const recovery::RootWindow& window) {
    const auto checked = recovery::check_lost_content(*verified, policy.content, window);
    return checked ? ErrorCode{} : checked.error().code;
  };
  CHECK(code({any}) == ErrorCode{});
  CHECK(code({any, strict}) == ErrorCode{});
  CHECK(code({strict}) == ErrorCode::kWrongTarget);
  CHECK(code({strict, others}) == ErrorCode::kWrongTarget);
  CHECK(code({others}) == ErrorCode::kSignature);
}

TEST_CASE("two histories: the ledger waits for a new epoch, the others do not wait") {
  Lost site(3, 2);
  const auto v2 = site.registry->head(kLedger);
  const auto v1 = site.registry->info(kLedger, 1).value();
  ScriptedNode forked{.identity = "spiffe://core-platform.internal/node/forked"};
  registry::NewRelease other;
  SUBCASE("another v2") { other = next_release(kLedger, v1, model_of(small(9))); }
  SUBCASE("v3 after another v2") {
    other = next_release(kLedger, v2, model_of(small(9)));
    other.release.previous_hash = sha256("another");
  }
  SUBCASE("two v3") {
    other = next_release(kLedger, v2, model_of(small(9)));
    site.start();
    site.connect(site.node("edge-1", {3}));
    REQUIRE(site.is_missing(3));
  }
  forked.more = {samples::signed_by(other.release, {2}).encode()};
  if (!site.recovery) site.start();
  site.connect(forked);
  REQUIRE(wait_until([&] { return site.row().state == wire::RecoveryState::kFork; }));
  CHECK_MESSAGE(site.row().message.contains("next epoch"), site.row().message);
  const auto refused = site.recovery->may_publish(kLedger);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message.contains("node/forked has"));
  CHECK_FALSE(site.recovery->attests(kLedger));
  CHECK(site.recovery->may_publish(kOther));
  CHECK(site.recovery->may_publish_root());  // the way out
  REQUIRE(site.recover());
  CHECK(site.registry->head(kLedger)->ref.version == 2);
  CHECK(site.row().state == wire::RecoveryState::kFork);
  CHECK_FALSE(fs::exists(site.data() / registry::kRestoredMark));

  trust::Root next = samples::tracked_root();
  next.version = next.epoch = 2;
  REQUIRE(site.roots->publish(samples::signed_by(next, {1}).encode(), samples::kIssuedMs));
  CHECK(site.recovery->may_publish(kLedger));
  CHECK_FALSE(site.recovery->attests(kLedger));  // nodes may be above
  registry::NewRelease above =
      next_release(kLedger, site.registry->head(kLedger), model_of(small(7)));
  above.release.epoch = 2;
  const trust::Envelope envelope = samples::signed_by(above.release, {2});
  above.ref = trust::ref_of(above.release, trust::release_hash(envelope.payload));
  above.envelope = envelope.encode();
  REQUIRE(site.registry->publish(above));
  CHECK(site.recovery->attests(kLedger));
  CHECK(site.row().newest_version == 0);
}

TEST_CASE("a version of an epoch that is over does not count") {
  Lost site(2, 2);
  trust::Root root = samples::tracked_root();
  root.version = root.epoch = 2;
  site.start();
  REQUIRE(site.roots->publish(samples::signed_by(root, {1}).encode(), samples::kIssuedMs));
  registry::NewRelease high =
      next_release(kLedger, site.registry->head(kLedger), model_of(small(9)));
  high.release.version = 999;
  ScriptedNode node{.identity = "spiffe://core-platform.internal/node/edge-1"};
  node.more = {samples::signed_by(high.release, {2}).encode()};
  site.connect(node);
  site.take_in(2);
  CHECK(site.recovery->may_publish(kLedger));
  high.release.version = 3;
  high.release.epoch = 2;
  node.more = {samples::signed_by(high.release, {2}).encode()};
  site.connect(node);
  REQUIRE(site.is_missing(3));
  CHECK_FALSE(site.recovery->may_publish(kLedger));
}

// --- gaps, roots, withdrawals, long histories

TEST_CASE("releases that no node holds are a gap, if that is accepted") {
  Lost site;
  site.start();
  site.connect(site.node("edge-1", {4, 5}));
  REQUIRE(site.is_missing(5));
  CHECK(site.row().missing == 1);
  CHECK(site.row().missing_versions == "v3");
  const auto refused = site.recover();
  REQUIRE_FALSE(refused);
  CHECK_MESSAGE(refused.error().message.contains("no connected node holds "
                                                 "273165098782/payments v3"),
                refused.error().message);
  REQUIRE(site.recover({.accept_missing = true}));
  CHECK(site.row().state == wire::RecoveryState::kRecovered);
  for (const uint64_t version : {1, 2, 4, 5}) site.check_back(kLedger, version);
  const auto lost = site.registry->info(kLedger, 3);
  REQUIRE_FALSE(lost);
  CHECK_MESSAGE(lost.error().message.contains("v3 is lost"), lost.error().message);
  check_fsck(repository_of(site.data()));
  publish_files(*site.registry, texts(6));
  site.restart();
  CHECK(site.registry->damaged().empty());
  CHECK(site.registry->head(kLedger)->ref.version == 6);
}

TEST_CASE("a node that leaves takes its releases with it, and an accepted gap does not grow") {
  Lost site(6, 1);
  site.start();
  site.connect(site.node("edge-1", {3, 6}));
  const auto leaving = site.connect(site.node("edge-2", {5}));
  REQUIRE(site.is_missing(6));
  REQUIRE(wait_until([&] { return site.row().missing == 2; }));
  CHECK(site.row().missing_versions == "v2, v4");
  site.peers->end(leaving);
  CHECK(site.row().missing_versions == "v2, v4, v5");
  REQUIRE(site.recover({.accept_missing = true}));
  CHECK(site.registry->head(kLedger)->ref.version == 6);
  CHECK(site.registry->history(kLedger, 0, 10).value().size() == 3);
}

TEST_CASE("the newest release is not given up while a node has it that is away") {
  Lost site(4, 2);
  site.start();
  const auto leaving = site.connect(site.node("edge-1", {3, 4}));
  REQUIRE(site.is_missing(4));
  site.connect(site.node("edge-2", {3}));
  REQUIRE(wait_until([&] { return site.row().missing == 0; }));
  site.peers->end(leaving);
  REQUIRE(site.recover({.accept_missing = true}));
  CHECK(site.registry->head(kLedger)->ref.version == 3);
  CHECK(site.row().state == wire::RecoveryState::kLost);
  CHECK_MESSAGE(site.row().message.contains("no connected node holds"), site.row().message);
  CHECK_FALSE(site.recovery->may_publish(kLedger));
  site.connect(site.node("edge-1", {3, 4}));
  REQUIRE(wait_until([&] { return site.row().holders == 1; }));
  REQUIRE(site.recover());
  site.check_back();
}

TEST_CASE("lost roots come back, and what only they let sign") {
  Lost site(2, 2);
  trust::Root second = samples::tracked_root();
  second.version = 2;
  second.delegations = {{"*/*", samples::public_keys({4}), 1}};
  second.issued_ms = samples::kIssuedMs - 1'000;
  second.expires_ms = samples::kIssuedMs - 1;  // over by now
  trust::Root third = second;
  third.version = 3;
  third.expires_ms = 0;
  // v3 is by a key that the second root has brought, v4 by one that it has dropped.
  registry::NewRelease next = next_release(kLedger, site.source->head(kLedger), model_of(small(3)));
  next.envelope = samples::signed_by(next.release, {4}).encode();
  REQUIRE(site.source->publish(next));
  site.start();
  ScriptedNode node = site.node("edge-1", {3});
  node.roots = {samples::signed_by(second, {1}).encode(), samples::signed_by(third, {1}).encode()};
  site.connect(node);
  REQUIRE(site.is_missing(3));
  CHECK(site.status().newest_root == 3);
  const auto refused = site.recovery->may_publish_root();
  REQUIRE_FALSE(refused);
  CHECK_MESSAGE(refused.error().message.contains("lacks the roots v2 to v3"),
                refused.error().message);
  REQUIRE(site.recover());
  CHECK(site.roots->newest() == 3);
  CHECK(site.roots_changed == 1);
  CHECK(site.recovery->may_publish_root());
  site.check_back();

  // A key that a root has taken away gives nothing back any more.
  registry::NewRelease stolen =
      next_release(kLedger, site.source->head(kLedger), model_of(small(4)));
  ScriptedNode thief{.identity = "spiffe://core-platform.internal/node/thief"};
  thief.more = {samples::signed_by(stolen.release, {2}).encode()};
  site.connect(thief);
  site.take_in(4);
  CHECK(site.recovery->may_publish(kLedger));
}

TEST_CASE("a release of before a lost root is recovered after it, also by a second attempt") {
  Lost site(3, 2);  // v3 is by key 2
  site.mark();
  trust::Root second = samples::tracked_root();
  second.version = 2;
  second.delegations = {{"*/*", samples::public_keys({4}), 1}};
  site.start();
  ScriptedNode broken = site.node("edge-1", {3});
  broken.roots = {samples::signed_by(second, {1}).encode()};
  broken.refuses = static_cast<uint32_t>(ErrorCode::kIo);
  site.connect(broken);
  REQUIRE(site.is_missing(3));
  REQUIRE(site.recover());
  CHECK(site.roots->newest() == 2);  // that much has been done
  CHECK(site.registry->head(kLedger)->ref.version == 2);
  site.restart();
  site.connect(site.node("edge-1", {3}));
  REQUIRE(site.is_missing(3));
  REQUIRE(site.recover());
  site.check_back();
}

TEST_CASE("withdrawn releases are withdrawn again, by the registry's own word alone") {
  Lost site(4, 2);
  site.mark();
  const auto hash = [&](uint64_t version) {
    return site.source->info(kLedger, version).value()->ref.release_hash;
  };
  trust::FreshHead head = samples::head_of(site.source->head(kLedger)->release);
  head.withdrawn = {hash(1)};
  site.start();
  ScriptedNode node = site.node("edge-1", {3, 4});
  node.freshness = samples::signed_by(samples::freshness(5, {head}), {7}).encode();
  ScriptedNode of_class = site.node("edge-3", {4});
  head.withdrawn = {hash(3)};
  of_class.freshness = samples::signed_by(samples::class_freshness(5, {head}), {7}).encode();
  ScriptedNode forger = site.node("edge-2", {4});
  head.withdrawn = {hash(2)};
  forger.freshness = samples::signed_by(samples::freshness(6, {head}), {2}).encode();
  site.connect(node);
  site.connect(of_class);
  site.connect(forger);
  REQUIRE(wait_until([&] { return site.row().holders == 3; }));
  REQUIRE(site.recover());
  site.check_back();
  for (const uint64_t version : {1, 3}) {
    const std::string withdrawn = site.registry->info(kLedger, version).value()->withdrawn;
    CHECK_MESSAGE(withdrawn.contains("withdrawn before the restore: statement of 2023-11-14"),
                  withdrawn);
    CHECK(withdrawn.contains("admin/eve"));
  }
  for (const uint64_t version : {2, 4})
    CHECK(site.registry->info(kLedger, version).value()->withdrawn.empty());
  check_fsck(repository_of(site.data()));
}

TEST_CASE("a long history is asked for in parts, and all of it comes back") {
  constexpr uint64_t kReleases = 330;
  LostSite site;
  std::map<uint64_t, registry::SnapshotPtr> held;
  for (uint64_t version = 1; version <= kReleases; ++version)
    held[version] = site.publish(small(static_cast<int>(version)));
  site.keep(2);
  site.start();
  ScriptedNode node{.identity = "spiffe://core-platform.internal/node/edge-1"};
  node.releases[kLedger] = held;
  site.connect(node);
  REQUIRE(wait_until([&] { return site.row().newest_version >= 2 + recovery::kLostVersionsMax; }));
  REQUIRE(site.recover());
  CHECK(site.registry->head(kLedger)->ref.version == kReleases);
  for (const uint64_t version : {uint64_t{3}, uint64_t{258}, uint64_t{259}, kReleases})
    site.check_back(kLedger, version);
  check_fsck(repository_of(site.data()));
  CHECK_FALSE(fs::exists(site.data() / registry::kRestoredMark));
  MESSAGE("questions: " << site.peers->held_asked.load());
}

TEST_CASE("many nodes tell the same, and few are asked at a time") {
  Lost site;
  site.mark();
  site.start();
  std::vector<serve::SessionHandle> sessions;
  const ScriptedNode node = site.node("edge", {3, 4, 5});
  for (int i = 0; i < 300; ++i) {
    ScriptedNode one = node;
    one.identity += std::to_string(i);
    site.known.push_back(one.identity);
    sessions.push_back(site.peers->connect(one, kLedger, 5));
  }
  REQUIRE(wait_until([&] { return site.status().silent == 0; }));
  CHECK(site.row().holders == recovery::kHoldersMax);
  for (size_t i = 1; i < sessions.size(); ++i) site.peers->end(sessions[i]);
  CHECK(site.row().holders == 1);
  REQUIRE(site.recover());
  site.check_back();
}

}  // namespace
}  // namespace notp
