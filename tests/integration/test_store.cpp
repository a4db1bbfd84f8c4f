// The agent's store on a real file: swaps, reloads, repair, damage, crashes.
#include <SQLiteCpp/SQLiteCpp.h>
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <set>

#include "common/random.hpp"
#include "notp-client/store/segments.hpp"
#include "notp-client/store/sqlite_store.hpp"
#include "tests/support/temporary_folder.hpp"

namespace notp {
namespace {

const LedgerId kPayments{100'000'000'000, "payments"};
const LedgerId kKeys{100'000'000'000, "keys"};

using Model = std::map<std::string, Bytes>;

Swap swap_of(const Model& model, uint64_t version, uint64_t epoch = 1,
             const LedgerId& ledger = kPayments) {
  Swap swap;
  Files files;
  for (const auto& [path, content] : model) {
    const Hash hash = blob_hash(content);
    files[path] = {hash, content.size()};
    swap.new_blobs[hash] = std::make_shared<const Bytes>(content);
  }
  auto tree = Tree::make(files);
  REQUIRE(tree);
  swap.tree = std::make_shared<const Tree>(*std::move(tree));
  swap.ledger = ledger;
  swap.release.trust_domain = "core-platform.internal";
  swap.release.ledger = ledger;
  swap.release.epoch = epoch;
  swap.release.version = version;
  swap.release.content_root = swap.tree->content_root();
  swap.hash = sha256(fmt::format("{}@{}.{}", ledger.text(), epoch, version));
  swap.envelope = fmt::format("envelope {}", version);
  swap.now_ms = 1'000 + static_cast<TimeMs>(version);
  return swap;
}

// As an agent does: only the content that the store does not have.
Swap delta_of(const Model& from, const Model& to, uint64_t version) {
  Swap swap = swap_of(to, version);
  for (const auto& [path, content] : from) swap.new_blobs.erase(blob_hash(content));
  return swap;
}

std::unique_ptr<SqliteStore> open(const std::filesystem::path& folder, size_t kept = 8) {
  auto store = SqliteStore::open(folder, kept);
  if (!store) FAIL(store.error().message);
  return *std::move(store);
}

void check_holds(SqliteStore& store, const Model& model, uint64_t version) {
  const auto tree = store.tree(kPayments, version);
  REQUIRE_MESSAGE(tree, tree.error().message);
  CHECK((*tree)->files().size() == model.size());
  for (const auto& [path, entry] : (*tree)->files()) {
    REQUIRE(model.contains(path));
    const auto content = store.blob(entry.hash);
    REQUIRE_MESSAGE(content, content.error().message);
    CHECK(**content == model.at(path));
  }
}

std::vector<uint64_t> versions(SqliteStore& store) {
  const auto state = store.load();
  REQUIRE_MESSAGE(state, state.error().message);
  std::vector<uint64_t> out;
  for (const auto& release : state->ledgers.at(kPayments).releases) out.push_back(release.version);
  return out;
}

int64_t count(const std::filesystem::path& folder, const std::string& table) {
  SQLite::Database database((folder / "agent.db").string());
  return database.execAndGet("SELECT COUNT(*) FROM " + table).getInt64();
}

void damage(const std::filesystem::path& folder, const std::string& sql) {
  SQLite::Database database((folder / "agent.db").string(), SQLite::OPEN_READWRITE);
  REQUIRE(database.exec(sql) > 0);
}

Bytes document(size_t bytes, uint64_t seed) {
  SeededRandom random(seed);
  Bytes text = "[";
  while (text.size() < bytes)
    text += fmt::format("{{\"id\":{},\"role\":\"r{}\"}},", random.next_u64(), random.below(20));
  text.back() = ']';
  return text;
}

const Model kModel = {
    {"manifest.json", "{}"}, {"a.rego", "package a"}, {"b/c.rego", "package b.c"}};

}  // namespace

TEST_CASE("a swapped release is there after a reload, with its floor and high-water mark") {
  TemporaryFolder folder;
  {
    auto store = open(folder.path());
    REQUIRE(store->swap(swap_of(kModel, 7)));
    check_holds(*store, kModel, 7);
  }
  auto store = open(folder.path());
  const auto state = store->load();
  REQUIRE(state);
  const StoredLedger& ledger = state->ledgers.at(kPayments);
  CHECK(ledger.floor == Floor{1, 7, swap_of(kModel, 7).hash});
  CHECK(state->high_water_ms == 1'007);
  REQUIRE(ledger.releases.size() == 1);
  CHECK(ledger.releases[0].envelope == "envelope 7");
  CHECK_FALSE(ledger.releases[0].confirmed);
  check_holds(*store, kModel, 7);
  CHECK(store->tree(kPayments, 6).error().code == ErrorCode::kNotFound);
  CHECK(store->tree(kKeys, 7).error().code == ErrorCode::kNotFound);
}

TEST_CASE("every kept version reads back, whatever changed between them") {
  TemporaryFolder folder;
  SeededRandom random(42);
  Model model = kModel;
  std::map<uint64_t, Model> history;
  {
    auto store = open(folder.path());
    for (uint64_t version = 1; version <= 40; ++version) {
      const Model before = model;
      for (uint64_t edits = random.below(4); edits > 0; --edits) {
        const auto path = fmt::format("f{}.rego", random.below(6));
        if (random.below(3) == 0)
          model.erase(path);
        else
          model[path] = fmt::format("package p{}", random.below(8));
      }
      REQUIRE(
          store->swap(version == 1 ? swap_of(model, version) : delta_of(before, model, version)));
      history[version] = model;
      if (random.below(10) == 0) REQUIRE(store->confirm(kPayments, version));
      if (random.below(5) == 0) {
        store.reset();
        store = open(folder.path());
      }
      for (uint64_t kept : versions(*store)) check_holds(*store, history.at(kept), kept);
    }
    REQUIRE(store->drop(kPayments));
  }
  // Nothing is left behind by any of it.
  CHECK(count(folder.path(), "files") == 0);
  CHECK(count(folder.path(), "blobs") == 0);
  CHECK(count(folder.path(), "blob_contents") == 0);
}

TEST_CASE("a swap brings only what is new and refuses a tree with content it lacks") {
  TemporaryFolder folder;
  auto store = open(folder.path());
  REQUIRE(store->swap(swap_of(kModel, 1)));
  Model changed = kModel;
  changed["a.rego"] = "package a2";
  REQUIRE(store->swap(delta_of(kModel, changed, 2)));
  check_holds(*store, kModel, 1);
  check_holds(*store, changed, 2);

  Model more = changed;
  more["new.rego"] = "package new";
  Swap hollow = delta_of(changed, more, 3);
  hollow.new_blobs.clear();
  CHECK(store->swap(hollow).error().code == ErrorCode::kNotFound);
  CHECK(versions(*store) == std::vector<uint64_t>{2, 1});
  check_holds(*store, changed, 2);
}

TEST_CASE("the floor never goes down, not even by a mistake of the caller") {
  TemporaryFolder folder;
  auto store = open(folder.path());
  REQUIRE(store->swap(swap_of(kModel, 5, 2)));
  CHECK(store->swap(swap_of(kModel, 4, 2)).error().code == ErrorCode::kRollback);
  CHECK(store->swap(swap_of(kModel, 9, 1)).error().code == ErrorCode::kRollback);
  Swap other = swap_of(kModel, 5, 2);
  other.hash = sha256("another release with the same number");
  CHECK(store->swap(other).error().code == ErrorCode::kRollback);
  CHECK(versions(*store) == std::vector<uint64_t>{5});

  REQUIRE(store->drop(kPayments));
  CHECK(store->load()->ledgers.at(kPayments).releases.empty());
  CHECK(store->load()->ledgers.at(kPayments).floor.version == 5);
  CHECK(store->swap(swap_of(kModel, 4, 2)).error().code == ErrorCode::kRollback);
  // A recovery by epoch may number from the start again.
  REQUIRE(store->swap(swap_of(kModel, 1, 3)));
  CHECK(store->load()->ledgers.at(kPayments).floor.epoch == 3);
}

TEST_CASE("every root is kept, one after the other") {
  TemporaryFolder folder;
  {
    auto store = open(folder.path());
    REQUIRE(store->pin_root({3, "root 3"}, false));  // the chain begins where a person pinned it
    REQUIRE(store->pin_root({4, "root 4"}, false));
    REQUIRE(store->pin_root({4, "root 4"}, true));  // nothing new, nothing done
    CHECK(store->pin_root({4, "another root 4"}, false).error().code == ErrorCode::kRollback);
    CHECK(store->pin_root({3, "root 3"}, false).error().code == ErrorCode::kRollback);
    CHECK(store->pin_root({6, "root 6"}, false).error().code == ErrorCode::kRollback);
  }
  const auto state = open(folder.path())->load();
  REQUIRE(state);
  REQUIRE(state->roots.size() == 2);
  CHECK(state->roots[0].envelope == "root 3");
  CHECK(state->roots[1].version == 4);
}

FreshnessKeep keep_of(uint64_t sequence, uint64_t version) {
  return {.sequence = sequence,
          .envelope = fmt::format("statement {}", sequence),
          .listed = {{kPayments, {1, version, swap_of(kModel, version).hash}}},
          .parted = {},
          .now_ms = 10'000 + static_cast<TimeMs>(sequence)};
}

std::vector<Bytes> statements(SqliteStore& store) {
  const auto state = store.load();
  REQUIRE_MESSAGE(state, state.error().message);
  std::vector<Bytes> out;
  for (const StoredStatement& statement : state->statements) out.push_back(statement.envelope);
  return out;
}

TEST_CASE("freshness: the last statement, its sequence, its heads and its time in one step") {
  TemporaryFolder folder;
  {
    auto store = open(folder.path());
    REQUIRE(store->swap(swap_of(kModel, 7)));
    REQUIRE(store->keep_freshness(keep_of(5, 7)));
    REQUIRE(store->keep_freshness(keep_of(6, 8)));
    CHECK(store->keep_freshness(keep_of(6, 9)).error().code == ErrorCode::kReplay);
    CHECK(store->keep_freshness(keep_of(4, 9)).error().code == ErrorCode::kReplay);
  }
  auto store = open(folder.path());
  const auto state = store->load();
  CHECK(state->freshness_sequence == 6);
  REQUIRE(state->statements.size() == 1);
  CHECK(state->statements[0].envelope == "statement 6");
  CHECK(state->statements[0].accepted_ms == 10'006);
  CHECK(state->high_water_ms == 10'006);
  CHECK(state->ledgers.at(kPayments).listed == keep_of(6, 8).listed.at(kPayments));
  CHECK(state->ledgers.at(kPayments).floor.version == 7);

  // Another freshness key: the count starts anew with that root, what was vouched for stays.
  REQUIRE(store->pin_root({1, "root 1"}, false));
  REQUIRE(store->pin_root({2, "root 2"}, true));
  CHECK(store->load()->freshness_sequence == 0);
  CHECK(store->load()->ledgers.at(kPayments).listed == Floor{});
  CHECK(store->load()->ledgers.at(kPayments).floor.version == 7);
  CHECK(statements(*store) == std::vector<Bytes>{"statement 6"});
  REQUIRE(store->keep_freshness(keep_of(1, 8)));
  CHECK(statements(*store) == std::vector<Bytes>{"statement 1"});
}

TEST_CASE("the last statement that vouched for a stored release is kept as long as that release") {
  TemporaryFolder folder;
  auto store = open(folder.path(), 2);
  REQUIRE(store->swap(swap_of(kModel, 1)));
  REQUIRE(store->keep_freshness(keep_of(10, 1)));
  REQUIRE(store->swap(swap_of(kModel, 2)));
  FreshnessKeep next = keep_of(11, 2);
  next.parted = {{kPayments, swap_of(kModel, 1).hash}};
  REQUIRE(store->keep_freshness(next));
  REQUIRE(store->keep_freshness(keep_of(12, 2)));
  CHECK(statements(*store) == std::vector<Bytes>{"statement 10", "statement 12"});
  next = keep_of(13, 3);
  next.parted = {{kPayments, swap_of(kModel, 2).hash}, {kPayments, sha256("never stored")}};
  REQUIRE(store->keep_freshness(next));
  CHECK(statements(*store) == std::vector<Bytes>{"statement 10", "statement 12", "statement 13"});
  REQUIRE(store->swap(swap_of(kModel, 3)));  // release 1 goes
  REQUIRE(store->keep_freshness(keep_of(14, 3)));
  CHECK(statements(*store) == std::vector<Bytes>{"statement 12", "statement 14"});
}

TEST_CASE("the latest time seen only rises, but for a person who says otherwise") {
  TemporaryFolder folder;
  auto store = open(folder.path());
  REQUIRE(store->keep_time(50'000));
  REQUIRE(store->keep_time(40'000));
  CHECK(store->load()->high_water_ms == 50'000);
  Swap early = swap_of(kModel, 1), late = swap_of(kModel, 2);
  early.now_ms = 20'000;
  late.now_ms = 60'000;
  REQUIRE(store->swap(early));
  CHECK(store->load()->high_water_ms == 50'000);
  REQUIRE(store->swap(late));
  REQUIRE(store->keep_freshness(keep_of(60'000, 2)));
  CHECK(store->load()->high_water_ms == 70'000);

  REQUIRE(store->reset_clock(30'000));
  store.reset();
  const auto state = open(folder.path())->load();
  REQUIRE(state);
  CHECK(state->high_water_ms == 30'000);
  // Nothing was accepted in what is the future now.
  CHECK(state->ledgers.at(kPayments).releases[0].stored_ms == 30'000);
  CHECK(state->ledgers.at(kPayments).releases[1].stored_ms == 20'000);
  CHECK(state->statements.at(0).accepted_ms == 30'000);
}

TEST_CASE("a store of the version before keeps its floors, releases and root") {
  TemporaryFolder folder;
  {
    auto store = open(folder.path());
    REQUIRE(store->swap(swap_of(kModel, 7)));
  }
  Bytes row;
  put_varint(row, 2);
  put_varint(row, 6);
  row += "root 2";
  Sha256 sum;
  sum.update("notp.store.v1\0").update("pinned_root").update(row);
  const Bytes check(sum.finish().view().substr(0, 16));
  const auto make_version_1 = [&](ByteView checksum) {
    SQLite::Database database((folder.path() / "agent.db").string(), SQLite::OPEN_READWRITE);
    database.exec(R"sql(
      DROP TABLE roots; DROP TABLE freshness; DROP TABLE statements; DROP TABLE vouchers;
      DROP TABLE listed;
      CREATE TABLE pinned_root(
        id INTEGER PRIMARY KEY CHECK(id = 1), version INTEGER NOT NULL, envelope BLOB NOT NULL,
        checksum BLOB NOT NULL);
      PRAGMA user_version = 1;
    )sql");
    SQLite::Statement write(database,
                            "INSERT INTO pinned_root VALUES(1, 2, CAST('root 2' AS BLOB), ?)");
    write.bind(1, checksum.data(), static_cast<int>(checksum.size()));
    write.exec();
  };
  SUBCASE("whole") {
    make_version_1(check);
    auto store = open(folder.path());
    const auto state = store->load();
    REQUIRE_MESSAGE(state, state.error().message);
    CHECK(state->ledgers.at(kPayments).floor == Floor{1, 7, swap_of(kModel, 7).hash});
    CHECK(state->high_water_ms == 1'007);
    REQUIRE(state->roots.size() == 1);
    CHECK(state->roots[0].version == 2);
    CHECK(state->roots[0].envelope == "root 2");
    check_holds(*store, kModel, 7);
    REQUIRE(store->keep_freshness(keep_of(1, 7)));
    store.reset();
    CHECK(open(folder.path())->load()->freshness_sequence == 1);
  }
  SUBCASE("with a root that is damaged") {
    make_version_1(Bytes(16, 'x'));
    CHECK(SqliteStore::open(folder.path()).error().code == ErrorCode::kCorrupt);
  }
}

TEST_CASE("the newest releases are kept, and the last confirmed one however old") {
  TemporaryFolder folder;
  auto store = open(folder.path(), 3);
  Model model = kModel;
  std::map<uint64_t, Model> history;
  for (uint64_t version = 1; version <= 9; ++version) {
    model["a.rego"] = fmt::format("package a{}", version);
    history[version] = model;
    Swap swap = swap_of(model, version);
    if (version == 3) swap.confirmed = 2;
    REQUIRE(store->swap(swap));
  }
  CHECK(versions(*store) == std::vector<uint64_t>{9, 8, 2});
  for (uint64_t version : {9, 8, 2}) check_holds(*store, history.at(version), version);
  REQUIRE(store->confirm(kPayments, 9));
  model["a.rego"] = "package a10";
  REQUIRE(store->swap(swap_of(model, 10)));
  CHECK(versions(*store) == std::vector<uint64_t>{10, 9, 8});
  // One a.rego for each kept release, and the two files that never changed.
  store.reset();
  CHECK(count(folder.path(), "blobs") == 5);
  CHECK(count(folder.path(), "files") == 5);
}

TEST_CASE("a refused release stays marked, with the reason") {
  TemporaryFolder folder;
  auto store = open(folder.path());
  REQUIRE(store->swap(swap_of(kModel, 1)));
  REQUIRE(store->quarantine(kPayments, 1, Error{ErrorCode::kPdpRejected, "a.rego:1: no", {}}));
  CHECK(store->quarantine(kPayments, 2, Error{}).error().code == ErrorCode::kNotFound);
  CHECK(store->confirm(kKeys, 1).error().code == ErrorCode::kNotFound);
  REQUIRE(store->swap(swap_of(kModel, 1)));  // fetched again: still refused
  store.reset();
  const auto state = open(folder.path())->load();
  CHECK(state->ledgers.at(kPayments).releases[0].quarantined);
  CHECK(state->ledgers.at(kPayments).releases[0].error == "a.rego:1: no");
}

TEST_CASE("large content is stored in shared segments") {
  TemporaryFolder folder;
  Model model = {{"data.json", document(4 << 20, 1)}};
  {
    auto store = open(folder.path());
    REQUIRE(store->swap(swap_of(model, 1)));
    check_holds(*store, model, 1);
  }
  const int64_t before = count(folder.path(), "segments");
  CHECK(before > 16);
  Model changed = model;
  changed["data.json"].replace(2 << 20, 6, "edited");
  {
    auto store = open(folder.path(), 2);
    REQUIRE(store->swap(swap_of(changed, 2)));
    check_holds(*store, model, 1);
    check_holds(*store, changed, 2);
  }
  CHECK(count(folder.path(), "segments") <= before + 3);
  {
    auto store = open(folder.path(), 2);
    for (uint64_t version = 3; version < 6; ++version)
      REQUIRE(store->swap(swap_of(kModel, version)));
  }
  CHECK(count(folder.path(), "segments") == 0);
  CHECK(count(folder.path(), "segment_contents") == 0);
}

TEST_CASE("segments cover the content and keep to their sizes") {
  for (size_t bytes : {size_t{0}, size_t{1}, limits::kSegmentBytesMin, size_t{3 << 20}}) {
    const Bytes content = document(bytes, bytes);
    const auto segments = cut_segments(content);
    Bytes joined;
    for (size_t i = 0; i < segments.size(); ++i) {
      joined.append(segments[i]);
      CHECK(segments[i].size() <= limits::kSegmentBytesMax);
      if (i + 1 < segments.size()) CHECK(segments[i].size() >= limits::kSegmentBytesMin);
    }
    CHECK(joined == content);
  }
}

TEST_CASE("damaged content is found on read and repaired by fetching the release again") {
  TemporaryFolder folder;
  const Model model = {{"manifest.json", "{}"}, {"data.json", document(1 << 20, 3)}};
  Model next = model;
  next["manifest.json"] = "{ }";
  {
    auto store = open(folder.path());
    REQUIRE(store->swap(swap_of(model, 1)));
    REQUIRE(store->swap(swap_of(next, 2)));
  }
  SUBCASE("a small blob") {
    damage(folder.path(), "UPDATE blob_contents SET content = x'7c7d' WHERE blob = 1 OR blob = 2");
  }
  SUBCASE("a segment") {
    damage(folder.path(),
           "UPDATE segment_contents SET content = substr(content, 1, 100) || x'00' || "
           "substr(content, 102) WHERE segment = 3");
  }
  SUBCASE("a missing segment") { damage(folder.path(), "DELETE FROM segments WHERE id = 2"); }
  SUBCASE("a list of segments") {
    damage(folder.path(), "UPDATE blobs SET segments = x'ffff' WHERE segments IS NOT NULL");
  }
  auto store = open(folder.path());
  size_t corrupt = 0;
  for (const auto& [path, content] : model) {
    const auto read = store->blob(blob_hash(content));
    if (read) continue;
    CHECK(read.error().code == ErrorCode::kCorrupt);
    ++corrupt;
  }
  CHECK(corrupt > 0);
  REQUIRE(store->swap(swap_of(next, 2)));
  check_holds(*store, next, 2);
}

TEST_CASE("a damaged file list is found on read and repaired") {
  TemporaryFolder folder;
  {
    auto store = open(folder.path());
    REQUIRE(store->swap(swap_of(kModel, 1)));
  }
  SUBCASE("path") {
    damage(folder.path(), "UPDATE files SET path = x'612e7265676e' WHERE path = x'612e7265676f'");
  }
  SUBCASE("another blob") { damage(folder.path(), "UPDATE files SET blob = 1 WHERE blob = 2"); }
  SUBCASE("lost row") { damage(folder.path(), "DELETE FROM files WHERE blob = 1"); }
  SUBCASE("range") { damage(folder.path(), "UPDATE files SET last_install = 0 WHERE blob = 1"); }
  SUBCASE("lost blob") { damage(folder.path(), "DELETE FROM blobs WHERE id = 1"); }
  SUBCASE("blob hash") { damage(folder.path(), "UPDATE blobs SET hash = x'00' WHERE id = 1"); }
  auto store = open(folder.path());
  CHECK(store->tree(kPayments, 1).error().code == ErrorCode::kCorrupt);
  REQUIRE(store->swap(swap_of(kModel, 1)));
  store.reset();
  store = open(folder.path());
  check_holds(*store, kModel, 1);
}

TEST_CASE("a flipped row of trust is damage, not a new truth") {
  TemporaryFolder folder;
  {
    auto store = open(folder.path());
    REQUIRE(store->swap(swap_of(kModel, 5)));
    REQUIRE(store->pin_root({2, "root 2"}, false));
    REQUIRE(store->keep_freshness(keep_of(9, 5)));
  }
  SUBCASE("floor version") { damage(folder.path(), "UPDATE ledgers SET version = 4"); }
  SUBCASE("floor epoch") { damage(folder.path(), "UPDATE ledgers SET epoch = 0"); }
  SUBCASE("floor hash") { damage(folder.path(), "UPDATE ledgers SET release = zeroblob(32)"); }
  SUBCASE("ledger name") {
    damage(folder.path(), "UPDATE ledgers SET name = '100000000000/paymentz'");
  }
  SUBCASE("root version") { damage(folder.path(), "UPDATE roots SET version = 1"); }
  SUBCASE("root") { damage(folder.path(), "UPDATE roots SET envelope = CAST('x' AS BLOB)"); }
  SUBCASE("sequence") { damage(folder.path(), "UPDATE freshness SET sequence = 1"); }
  SUBCASE("listed head") { damage(folder.path(), "UPDATE listed SET version = 1"); }
  SUBCASE("clock") { damage(folder.path(), "UPDATE clock SET high_water_ms = 1"); }
  auto store = open(folder.path());
  CHECK(store->load().error().code == ErrorCode::kCorrupt);
}

TEST_CASE("a damaged release row is left out, and the floor still holds") {
  TemporaryFolder folder;
  {
    auto store = open(folder.path());
    REQUIRE(store->swap(swap_of(kModel, 4)));
    REQUIRE(store->swap(swap_of(kModel, 5)));
  }
  damage(folder.path(), "UPDATE releases SET confirmed = 1 WHERE version = 5");
  auto store = open(folder.path());
  CHECK(versions(*store) == std::vector<uint64_t>{4});
  CHECK(store->load()->ledgers.at(kPayments).floor.version == 5);
  REQUIRE(store->swap(swap_of(kModel, 5)));
  CHECK(versions(*store) == std::vector<uint64_t>{5, 4});
}

TEST_CASE("a damaged statement vouches for nothing, and its sequence still holds") {
  TemporaryFolder folder;
  {
    auto store = open(folder.path());
    REQUIRE(store->keep_freshness(keep_of(9, 5)));
  }
  damage(folder.path(), "UPDATE statements SET accepted_ms = accepted_ms + 1");
  auto store = open(folder.path());
  CHECK(statements(*store).empty());
  CHECK(store->keep_freshness(keep_of(9, 5)).error().code == ErrorCode::kReplay);
}

TEST_CASE("two agents never share a store") {
  TemporaryFolder folder;
  auto store = open(folder.path());
  const auto second = SqliteStore::open(folder.path());
  REQUIRE_FALSE(second);
  CHECK(second.error().code == ErrorCode::kConflict);
  CHECK(second.error().message.find(fmt::format("process {}", ::getpid())) != std::string::npos);
  store.reset();
  CHECK(SqliteStore::open(folder.path()));
}

TEST_CASE("a store that a newer program wrote is not touched") {
  TemporaryFolder folder;
  open(folder.path()).reset();
  {
    SQLite::Database database((folder.path() / "agent.db").string(), SQLite::OPEN_READWRITE);
    database.exec("PRAGMA user_version = 99");
  }
  CHECK(SqliteStore::open(folder.path()).error().code == ErrorCode::kConfig);
}

TEST_CASE("killed at any moment, the store holds the old or the new release, whole") {
  TemporaryFolder folder;
  const auto model_of = [](uint64_t version) {
    Model model = kModel;
    model["a.rego"] = fmt::format("package a{}", version);
    model["data.json"] = document(200 << 10, version / 3);
    return model;
  };
  uint64_t last = 0;
  SeededRandom random(7);
  for (int round = 0; round < 12; ++round) {
    int announce[2];
    REQUIRE(::pipe(announce) == 0);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      auto store = SqliteStore::open(folder.path(), 3);
      for (uint64_t version = last + 1; store; ++version) {
        const char before = 'b';
        if (::write(announce[1], &before, 1) != 1 ||
            !(*store)->swap(swap_of(model_of(version), version)))
          break;
        const char after = 'a';
        if (::write(announce[1], &after, 1) != 1) break;
      }
      ::_exit(1);
    }
    ::close(announce[1]);
    // Dies after a random number of steps, before or during a swap.
    uint64_t acknowledged = last;
    const uint64_t steps = 3 + random.below(20);
    char step = 0;
    for (uint64_t i = 0; i < steps; ++i) {
      REQUIRE(::read(announce[0], &step, 1) == 1);
      acknowledged += step == 'a';
    }
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    REQUIRE(WIFSIGNALED(status));
    while (::read(announce[0], &step, 1) == 1) acknowledged += step == 'a';
    ::close(announce[0]);

    auto store = open(folder.path(), 3);
    const auto kept = versions(*store);
    REQUIRE_FALSE(kept.empty());
    CHECK(kept.front() >= acknowledged);
    CHECK(kept.front() <= acknowledged + 1);
    CHECK(store->load()->ledgers.at(kPayments).floor.version == kept.front());
    for (uint64_t version : kept) check_holds(*store, model_of(version), version);
    last = kept.front();
  }
}

}  // namespace notp
