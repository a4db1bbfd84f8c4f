// The registry's online key: what it signs, and when it does not.
#include <doctest/doctest.h>

#include "common/storage/files.hpp"
#include "notp-server/registry/git_registry.hpp"
#include "notp-server/trust/freshness_signer.hpp"
#include "tests/support/registry/signed_releases.hpp"
#include "tests/support/temporary_folder.hpp"

namespace notp {
namespace {

using samples::kLedger;
using samples::kNode;

constexpr Now kNow{samples::kIssuedMs + 10'000'000, 5'000};

struct World {
  TemporaryFolder folder;
  std::filesystem::path key_file = folder.path() / "freshness.key";
  std::unique_ptr<registry::GitRegistry> registry =
      registry::GitRegistry::open(folder.path() / "data").value();
  std::unique_ptr<trust::RootStore> roots;
  std::unique_ptr<trust::FreshnessSigner> signer;

  explicit World(const trust::Root& root = samples::tracked_root()) {
    const auto file = folder.path() / "root.envelope";
    REQUIRE(write_file(file, samples::signed_by(root, {1}).encode()).has_value());
    auto opened = trust::RootStore::open(folder.path() / "data" / "roots", file,
                                         std::string(samples::kDomain), kNow.wall_ms);
    REQUIRE(opened.has_value());
    roots = *std::move(opened);
    signer = std::make_unique<trust::FreshnessSigner>(*registry, *roots);
  }
  void give_key(uint8_t number) {
    REQUIRE(write_file(key_file, samples::key(number).to_pem(), 0600).has_value());
    REQUIRE(signer->configure({.private_key = key_file}).has_value());
  }
  registry::ReleaseInfoPtr publish(const std::string& text) {
    const auto release = samples::next_release(
        kLedger, registry->head(kLedger), samples::model_of({{"data.json", "\"" + text + "\""}}));
    REQUIRE(registry->publish(release).has_value());
    return registry->head(kLedger);
  }
  // For kNode, or for a class.
  Result<std::pair<trust::Freshness, Bytes>> sign(
      uint64_t sequence_min = 1, std::optional<trust::ClassId> class_id = {}) const {
    trust::FreshHead payments{kLedger, 0, 0, {}, {}};
    if (const auto head = registry->head(kLedger))
      payments = {kLedger, head->ref.epoch, head->ref.version, head->ref.release_hash, {}};
    trust::Freshness listed;
    if (!class_id) listed.audience = kNode;
    listed.class_id = class_id;
    listed.heads = {{{kLedger.zone, "gateway"}, 0, 0, {}, {}}, payments};
    return signer->sign(std::move(listed), sequence_min, kNow);
  }
};

trust::Verdict verdict_of(const std::pair<trust::Freshness, Bytes>& statement,
                          const trust::Root& root) {
  trust::Envelope envelope = trust::envelope_of(statement.first);
  envelope.signatures.push_back({statement.second, {}});
  const Bytes bytes = envelope.encode();
  trust::Trusted trusted = samples::trusting(root);
  trust::Update update;
  update.freshness = bytes;
  update.expected = {kLedger};
  return trust::verify_update(update, trusted, kNow.wall_ms);
}

TEST_CASE("a statement holds the heads and what is withdrawn, and its reader can verify it") {
  World world;
  world.give_key(7);
  const registry::ReleaseInfoPtr first = world.publish("one");
  const registry::ReleaseInfoPtr second = world.publish("two");
  REQUIRE(world.registry->withdraw(kLedger, 1, "wrong", samples::kAlice, kNow.wall_ms));
  const auto statement = world.sign();
  REQUIRE(statement.has_value());
  const trust::Freshness& said = statement->first;
  CHECK(said.audience == kNode);
  CHECK(said.sequence == static_cast<uint64_t>(kNow.wall_ms));
  CHECK(said.root_version == 1);
  CHECK(said.issued_ms == kNow.wall_ms);
  CHECK(said.expires_ms == kNow.wall_ms + limits::kFreshnessLifetimeMs);
  REQUIRE(said.heads.size() == 2);
  CHECK(said.heads[0].ledger.name == "gateway");
  CHECK(said.heads[0].version == 0);
  CHECK(said.heads[1].version == 2);
  CHECK(said.heads[1].release_hash == second->ref.release_hash);
  CHECK(said.heads[1].withdrawn == std::vector{first->ref.release_hash});
  const trust::Verdict verdict = verdict_of(*statement, samples::tracked_root());
  CHECK_MESSAGE(!verdict.error, (verdict.error ? verdict.error->message : ""));
  REQUIRE(verdict.freshness.has_value());
  CHECK(world.signer->signed_total() == 1);
}

TEST_CASE(
    "a statement for a class is its reader's after the assignment to it, until what it says "
    "changes") {
  World world;
  world.give_key(7);
  world.publish("one");
  const trust::ClassId id = *trust::ClassId::from_bytes(Bytes(16, 'c'));
  const auto statement = world.sign(1, id);
  REQUIRE(statement.has_value());
  CHECK(verdict_of(*statement, samples::tracked_root()).error->code == ErrorCode::kWrongTarget);

  trust::Assignment wanted;
  wanted.audience = kNode;
  wanted.class_id = id;
  const auto assignment = world.signer->sign(wanted, 1, kNow);
  REQUIRE(assignment.has_value());
  CHECK(assignment->first.expires_ms == kNow.wall_ms + limits::kAssignmentLifetimeMs);
  trust::Envelope envelope = trust::envelope_of(statement->first);
  envelope.signatures.push_back({statement->second, {}});
  const Bytes bytes = envelope.encode();
  trust::Update update;
  update.assignment = assignment->second;
  update.freshness = bytes;
  update.expected = {kLedger};
  const auto verdict =
      trust::verify_update(update, samples::trusting(samples::tracked_root()), kNow.wall_ms);
  CHECK_MESSAGE(!verdict.error, (verdict.error ? verdict.error->message : ""));
  CHECK(verdict.freshness.has_value());
  CHECK(world.signer->signed_total() == 1);
  CHECK(world.signer->class_signed_total() == 1);
  CHECK(world.signer->assigned_total() == 1);

  CHECK(world.signer->holds(statement->first));
  REQUIRE(world.registry->withdraw(kLedger, 1, "wrong", samples::kAlice, kNow.wall_ms));
  CHECK_FALSE(world.signer->holds(statement->first));
  const auto next = world.sign(1, id);
  CHECK(world.signer->holds(next->first));
  trust::Root root = samples::tracked_root();
  root.version = 2;
  REQUIRE(world.roots->publish(samples::signed_by(root, {1}).encode(), kNow.wall_ms));
  CHECK_FALSE(world.signer->holds(next->first));
}

TEST_CASE("sequences never fall behind what the reader has, nor past the end") {
  World world;
  world.give_key(7);
  const auto wall = static_cast<uint64_t>(kNow.wall_ms);
  CHECK(world.sign(wall + 5)->first.sequence == wall + 5);
  CHECK(world.sign(limits::kVersionMax)->first.sequence == limits::kVersionMax);
  CHECK(world.sign(limits::kVersionMax + 1).error().code == ErrorCode::kLimit);
}

TEST_CASE("only the key that the root names signs, and a rotation needs no restart") {
  World world;
  CHECK(world.signer->key_state() == trust::FreshnessKeyState::kMissing);
  CHECK(world.sign().error().code == ErrorCode::kConfig);
  world.give_key(8);
  CHECK(world.signer->key_state() == trust::FreshnessKeyState::kOther);
  CHECK(world.sign().error().code == ErrorCode::kConfig);
  trust::Root next = samples::root();
  next.version = 2;
  next.freshness_keys = {samples::key(8).public_key()};
  REQUIRE(world.roots->publish(samples::signed_by(next, {1}).encode(), kNow.wall_ms));
  CHECK(world.signer->key_state() == trust::FreshnessKeyState::kSigning);
  const auto statement = world.sign();
  REQUIRE(statement.has_value());
  CHECK(statement->first.root_version == 2);
  CHECK(verdict_of(*statement, next).freshness.has_value());
  CHECK(verdict_of(*statement, samples::tracked_root()).error.has_value());
}

TEST_CASE("a root without a freshness key turns signing off") {
  World world(samples::root());
  world.give_key(7);
  CHECK_FALSE(world.signer->enabled());
  CHECK(world.signer->key_state() == trust::FreshnessKeyState::kOff);
  CHECK_FALSE(world.sign().has_value());
}

TEST_CASE("a key file that cannot be read leaves the key that there is") {
  World world;
  world.give_key(7);
  REQUIRE(write_file(world.key_file, "junk").has_value());
  CHECK(world.signer->configure({.private_key = world.key_file}).error().code ==
        ErrorCode::kConfig);
  CHECK(world.signer->configure({.private_key = world.folder.path() / "none"}).error().code ==
        ErrorCode::kNotFound);
  CHECK(world.sign().has_value());
}

}  // namespace
}  // namespace notp
