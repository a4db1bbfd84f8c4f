// A node whose base cannot be used as it is: the registry does not know any of its releases, or its
// store is damaged. Only missing content is transferred, and nothing unverified is ever stored.
#include <SQLiteCpp/SQLiteCpp.h>
#include <fmt/format.h>

#include "common/limits.hpp"
#include "tests/fault/transfer_ends.hpp"
#include "tests/support/agent/stored_models.hpp"
#include "tests/support/temporary_folder.hpp"

namespace notp {
namespace {

constexpr size_t kPolicies = 400;

// Documents that hardly compress, and policies; `changed` of them differ by generation.
std::map<std::string, Bytes> files_of(uint64_t generation, size_t changed) {
  std::map<std::string, Bytes> out = {{"manifest.json", "{}"}};
  const auto text = [&](size_t file, size_t bytes) {
    SeededRandom random(file < changed ? generation * 1'000'003 + file : file);
    Bytes noise;
    while (noise.size() < bytes) noise += fmt::format("{:016x}", random.next_u64());
    return noise;
  };
  for (size_t i = 0; i < kPolicies; ++i)
    out[fmt::format("team{}/p{}.rego", i % 20, i)] =
        fmt::format("package payments.p{}\nid := \"{}\"\n", i, text(i, 600));
  out["payments/large/data.json"] = fmt::format("\"{}\"", text(kPolicies, 300'000));
  return out;
}

// Received messages by kind.
struct Heard {
  size_t inventory_requests = 0;
  std::vector<wire::Offer> offers;
  uint64_t chunk_bytes = 0;
};

Heard heard_in(ByteView stream) {
  Heard out;
  wire::FrameParser parser;
  parser.feed(stream);
  for (auto message = parser.next(); message && *message; message = parser.next()) {
    out.inventory_requests += std::holds_alternative<wire::InventoryRequest>(**message);
    if (const auto* offer = std::get_if<wire::Offer>(&**message)) out.offers.push_back(*offer);
    if (const auto* chunk = std::get_if<wire::Chunk>(&**message))
      out.chunk_bytes += chunk->bytes.size();
  }
  return out;
}

Heard sync(StagingNode& node, const ReleaseFixture& fixture) {
  SeededRandom random(1);
  return heard_in(node.converse(fixture, SIZE_MAX, random));
}

void check_content(StagingNode& node, const ServedRelease& release) {
  const auto tree = node.store().tree(samples::kLedger, release.release.version);
  REQUIRE(tree);
  CHECK((*tree)->content_root() == release.release.content_root);
  for (const auto& [path, file] : (*tree)->files()) {
    const auto content = node.store().blob(file.hash);
    REQUIRE_MESSAGE(content, path);
    CHECK(**content == *release.blobs.at(file.hash));
  }
}

// Changes the first stored byte of some contents, like a bad disk.
void damage(const std::filesystem::path& folder, const std::string& rows) {
  SQLite::Database database(folder / "agent.db", SQLite::OPEN_READWRITE);
  CHECK(database.exec("UPDATE " + rows) > 0);
}
constexpr const char* kFlip = " SET content = x'ff' || substr(content, 2) ";

std::vector<uint64_t> stored_versions(store::SqliteStore& store) {
  std::vector<uint64_t> versions;
  const store::StoreState state = store.load().value();
  for (const store::StoredRelease& release : state.ledgers.at(samples::kLedger).releases)
    versions.push_back(release.ref.version);
  return versions;
}

}  // namespace

TEST_CASE("a registry that knows none of a node's releases sends what differs") {
  // Both have the same first release, then different histories: the next release would be a fork.
  ReleaseFixture lost, restored;
  for (ReleaseFixture* fixture : {&lost, &restored}) fixture->publish(files_of(0, 0));
  for (uint64_t version = 2; version <= 3; ++version) lost.publish(files_of(version, 5));
  for (uint64_t version = 2; version <= 5; ++version) restored.publish(files_of(100 + version, 5));
  TemporaryFolder folder;
  uint64_t whole = 0;
  {
    StagingNode node(folder.path(), /*releases_kept=*/2);
    whole = sync(node, lost).chunk_bytes;
    REQUIRE(node.stored_version() == 3);
  }
  StagingNode node(folder.path(), /*releases_kept=*/2);
  const Heard heard = sync(node, restored);
  CHECK(node.stored_version() == 5);
  check_content(node, restored.newest());
  CHECK(heard.inventory_requests == 1);
  REQUIRE(heard.offers.size() == 1);
  REQUIRE(heard.offers[0].partial);
  CHECK_FALSE(heard.offers[0].base);
  CHECK(heard.offers[0].partial->excluded_leaves.size() == 5 * wire::kLeafBytes);
  MESSAGE(fmt::format("whole {} bytes, 5 of {} files differ: {} bytes", whole, kPolicies + 2,
                      heard.chunk_bytes));
  CHECK(heard.chunk_bytes * 20 < whole);
  // From here on, both know the release.
  restored.publish(files_of(106, 5));
  const Heard next = sync(node, restored);
  CHECK(next.inventory_requests == 0);
  CHECK(node.stored_version() == 6);
}

TEST_CASE(
    "a node of very many files says what it has in a sketch, and in a list when that is too "
    "little") {
  struct Case {
    const char* name;
    size_t changed;
    size_t requests;
  };
  for (const Case& each :
       {Case{"a few files differ", 100, 1}, Case{"many files differ", 3'000, 2}}) {
    CAPTURE(each.name);
    const auto many = [&](uint64_t generation) {
      std::map<std::string, Bytes> out = {{"manifest.json", "{}"}};
      for (size_t i = 0; i <= limits::kInventoryListedMax; ++i)
        out[fmt::format("t{}/p{}.rego", i % 50, i)] =
            fmt::format("package payments.p{}\nv := {}", i, i < each.changed ? generation : 0);
      return out;
    };
    ReleaseFixture lost, restored;
    lost.publish(many(1));
    for (uint64_t version = 1; version <= 3; ++version) restored.publish(many(10 + version));
    TemporaryFolder folder;
    StagingNode node(folder.path());
    const uint64_t whole = sync(node, lost).chunk_bytes;
    const Heard heard = sync(node, restored);
    CHECK(heard.inventory_requests == each.requests);
    REQUIRE(heard.offers.size() == 1);
    REQUIRE(heard.offers[0].partial);
    CHECK(heard.offers[0].partial->excluded_leaves.size() == each.changed * wire::kLeafBytes);
    CHECK(node.stored_version() == 3);
    check_content(node, restored.newest());
    MESSAGE(fmt::format("{}: {} of {} bytes", each.name, heard.chunk_bytes, whole));
    CHECK(heard.chunk_bytes * 2 < whole);
  }
}

TEST_CASE("with nothing in common an unknown base costs an inventory and the whole") {
  ReleaseFixture lost, other;
  lost.publish(files_of(1, SIZE_MAX));
  for (uint64_t version = 1; version <= 3; ++version)
    other.publish({{"a.rego", "package payments"}});
  TemporaryFolder folder;
  StagingNode node(folder.path());
  sync(node, lost);
  const Heard heard = sync(node, other);
  CHECK(heard.inventory_requests == 1);
  REQUIRE(heard.offers.size() == 1);
  CHECK_FALSE(heard.offers[0].partial);
  CHECK(node.stored_version() == 3);
}

TEST_CASE("a damaged content is fetched alone") {
  struct Case {
    const char* name;
    std::string rows;
    size_t contents;
  };
  const Case cases[] = {
      {"a small one", std::string("blob_contents") + kFlip + "WHERE blob = 7", 1},
      {"some small ones", std::string("blob_contents") + kFlip + "WHERE blob % 50 = 0", 8},
      {"a segment of a large one",
       std::string("segment_contents") + kFlip +
           "WHERE segment = (SELECT MIN(segment) FROM "
           "segment_contents)",
       1}};
  for (const Case& each : cases) {
    CAPTURE(each.name);
    ReleaseFixture fixture;
    fixture.publish(files_of(1, 5));
    TemporaryFolder folder;
    uint64_t whole = 0;
    {
      StagingNode node(folder.path());
      whole = sync(node, fixture).chunk_bytes;
    }
    damage(folder.path(), each.rows);
    StagingNode node(folder.path());
    const Heard heard = sync(node, fixture);
    REQUIRE(heard.offers.size() == 1);
    CHECK(heard.offers[0].version == 1);
    REQUIRE(heard.offers[0].base);
    CHECK(heard.offers[0].partial);
    MESSAGE(fmt::format("{}: {} of {} bytes", each.name, heard.chunk_bytes, whole));
    if (each.contents > 1 || std::string_view(each.name) == "a small one")
      CHECK(heard.chunk_bytes < 1'500 * each.contents);
    check_content(node, fixture.newest());
    CHECK(node.store().damaged(samples::kLedger, 1)->empty());
  }
}

TEST_CASE("what is new and what is damaged come together") {
  ReleaseFixture fixture;
  fixture.publish(files_of(1, 5));
  TemporaryFolder folder;
  {
    StagingNode node(folder.path());
    sync(node, fixture);
  }
  damage(folder.path(), std::string("blob_contents") + kFlip + "WHERE blob % 100 = 0");
  fixture.publish(files_of(2, 5));
  StagingNode node(folder.path());
  const Heard heard = sync(node, fixture);
  CHECK(node.stored_version() == 2);
  check_content(node, fixture.newest());
  CHECK(heard.chunk_bytes < 20'000);
}

TEST_CASE("a store with more damage than can be named is filled anew") {
  ReleaseFixture fixture;
  fixture.publish(files_of(1, 5));
  TemporaryFolder folder;
  {
    StagingNode node(folder.path());
    sync(node, fixture);
  }
  damage(folder.path(), std::string("blob_contents") + kFlip);
  StagingNode node(folder.path());
  const Heard heard = sync(node, fixture);
  REQUIRE(heard.offers.size() == 1);
  CHECK_FALSE(heard.offers[0].base);
  check_content(node, fixture.newest());
}

TEST_CASE("what the PDP decides with stays stored when a newer confirmed release is damaged") {
  ReleaseFixture fixture;
  fixture.publish(files_of(1, 5));
  TemporaryFolder folder;
  {
    StagingNode node(folder.path(), /*releases_kept=*/3);
    node.refuse(3);
    sync(node, fixture);
    for (uint64_t version = 2; version <= 3; ++version) {
      fixture.publish(files_of(version, 5));
      sync(node, fixture);
    }
    REQUIRE(node.active_version() == 2);
    REQUIRE(node.store().confirm(samples::kLedger, 2));
  }
  // The content that only version 2 has.
  const Hash own = model::blob_hash(files_of(2, 5).at("team0/p0.rego"));
  damage(folder.path(),
         fmt::format("blob_contents{}WHERE blob = (SELECT id FROM blobs WHERE hash = x'{}')", kFlip,
                     own.hex()));
  fixture.publish(files_of(4, 5));
  {
    StagingNode node(folder.path(), /*releases_kept=*/2);
    REQUIRE(node.active_version() == 1);
    node.refuse(4);
    sync(node, fixture);
    CHECK(node.stored_version() == 4);
    CHECK(node.active_version() == 1);
    CHECK(stored_versions(node.store()) == std::vector<uint64_t>{4, 2, 1});
    stored::collect_all(node.store());
  }
  StagingNode node(folder.path(), /*releases_kept=*/2);
  CHECK(node.active_version() == 1);
  check_content(node, fixture.at(1));
}

TEST_CASE("a ledger that is not configured any more leaves its floor behind, and nothing older") {
  const model::LedgerId other{samples::kLedger.zone, "other"};
  ReleaseFixture lost, restored;
  lost.publish(files_of(0, 0));
  for (uint64_t version = 2; version <= 3; ++version) lost.publish(files_of(version, 5));
  TemporaryFolder folder;
  {
    StagingNode node(folder.path());
    sync(node, lost);
    REQUIRE(node.active_version() == 3);
  }
  {
    StagingNode node(folder.path(), limits::kReleasesKept, nullptr, {other});
    stored::collect_all(node.store());
    CHECK(stored_versions(node.store()).empty());
    const store::StoreStats stats = node.store().stats().value();
    CHECK(stats.blobs == 0);
    CHECK(stats.segments == 0);
    CHECK(stats.garbage_files == 0);
    CHECK(node.store().load()->ledgers.at(samples::kLedger).floor.version == 3);
  }
  // A node with a new configuration; a registry that lost releases has only older ones.
  restored.publish(files_of(0, 0));
  restored.publish(files_of(2, 5));
  {
    StagingNode node(folder.path());
    sync(node, restored);
    CHECK(node.stored_version() == 0);
    CHECK(node.active_version() == 0);
    CHECK_FALSE(node.alarms().empty());
    CHECK(stored_versions(node.store()).empty());
  }
  StagingNode node(folder.path());
  sync(node, lost);
  CHECK(node.active_version() == 3);
  check_content(node, lost.newest());
}

}  // namespace notp
