// The trust state in the agent's store: roots, freshness, time; and the effects of damage.
#include <SQLiteCpp/SQLiteCpp.h>
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "tests/support/agent/stored_models.hpp"

namespace notp {

using namespace stored;

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
  REQUIRE(state->root_chain.size() == 2);
  CHECK(state->root_chain[0].envelope == "root 3");
  CHECK(state->root_chain[1].version == 4);
}

store::FreshnessKeep keep_of(uint64_t sequence, uint64_t version) {
  return {.sequence = sequence,
          .envelope = fmt::format("statement {}", sequence),
          .listed = {{kPayments, {1, version, install_of(kModel, version).ref.release_hash}}},
          .parted = {},
          .clock = {10'000 + static_cast<TimeMs>(sequence), static_cast<TimeMs>(sequence)}};
}

std::vector<Bytes> statements(store::SqliteStore& store) {
  const auto state = store.load();
  REQUIRE_MESSAGE(state, state.error().message);
  std::vector<Bytes> out;
  for (const store::StoredStatement& statement : state->statements)
    out.push_back(statement.envelope);
  return out;
}

TEST_CASE("freshness: the last statement, its sequence, its heads and its time in one step") {
  TemporaryFolder folder;
  {
    auto store = open(folder.path());
    REQUIRE(store->install(install_of(kModel, 7)));
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
  CHECK(state->clock.wall_ms == 10'006);
  CHECK(state->ledgers.at(kPayments).listed == keep_of(6, 8).listed.at(kPayments));
  CHECK(state->ledgers.at(kPayments).floor.version == 7);

  // Another freshness key: the sequence restarts with that root, earlier attestations stay.
  REQUIRE(store->pin_root({1, "root 1"}, false));
  REQUIRE(store->pin_root({2, "root 2"}, true));
  CHECK(store->load()->freshness_sequence == 0);
  CHECK(store->load()->ledgers.at(kPayments).listed == trust::Floor{});
  CHECK(store->load()->ledgers.at(kPayments).floor.version == 7);
  CHECK(statements(*store) == std::vector<Bytes>{"statement 6"});
  REQUIRE(store->keep_freshness(keep_of(1, 8)));
  CHECK(statements(*store) == std::vector<Bytes>{"statement 1"});
}

TEST_CASE("the last assignment is kept, and goes with the freshness key that has signed it") {
  TemporaryFolder folder;
  {
    auto store = open(folder.path());
    CHECK(store->load()->assignment.empty());
    REQUIRE(store->keep_assignment(8, "assignment 8"));
    REQUIRE(store->keep_assignment(9, "assignment 9"));
    REQUIRE(store->keep_assignment(9, "assignment 9, signed again"));
    CHECK(store->keep_assignment(8, "assignment 8").error().code == ErrorCode::kReplay);
  }
  auto store = open(folder.path());
  CHECK(store->load()->assignment == "assignment 9, signed again");
  REQUIRE(store->pin_root({1, "root 1"}, false));
  CHECK(store->load()->assignment == "assignment 9, signed again");
  REQUIRE(store->pin_root({2, "root 2"}, true));
  CHECK(store->load()->assignment.empty());
  REQUIRE(store->keep_assignment(1, "assignment 1"));
  CHECK(store->load()->assignment == "assignment 1");
}

TEST_CASE("the last statement that vouched for a stored release is kept as long as that release") {
  TemporaryFolder folder;
  auto store = open(folder.path());
  REQUIRE(store->install(keep_last(2, install_of(kModel, 1))));
  REQUIRE(store->keep_freshness(keep_of(10, 1)));
  REQUIRE(store->install(keep_last(2, install_of(kModel, 2))));
  store::FreshnessKeep next = keep_of(11, 2);
  next.parted = {{kPayments, install_of(kModel, 1).ref.release_hash}};
  REQUIRE(store->keep_freshness(next));
  REQUIRE(store->keep_freshness(keep_of(12, 2)));
  CHECK(statements(*store) == std::vector<Bytes>{"statement 10", "statement 12"});
  next = keep_of(13, 3);
  next.parted = {{kPayments, install_of(kModel, 2).ref.release_hash},
                 {kPayments, sha256("never stored")}};
  REQUIRE(store->keep_freshness(next));
  CHECK(statements(*store) == std::vector<Bytes>{"statement 10", "statement 12", "statement 13"});
  REQUIRE(store->install(keep_last(2, install_of(kModel, 3))));  // release 1 goes
  REQUIRE(store->keep_freshness(keep_of(14, 3)));
  CHECK(statements(*store) == std::vector<Bytes>{"statement 12", "statement 14"});
}

TEST_CASE("the latest time seen only rises, but for a person who says otherwise") {
  TemporaryFolder folder;
  auto store = open(folder.path());
  REQUIRE(store->keep_time({50'000, 0}));
  REQUIRE(store->keep_time({40'000, 0}));
  CHECK(store->load()->clock.wall_ms == 50'000);
  store::InstallRecord early = install_of(kModel, 1), late = install_of(kModel, 2);
  early.now_ms = 20'000;
  late.now_ms = 60'000;
  REQUIRE(store->install(early));
  CHECK(store->load()->clock.wall_ms == 50'000);
  REQUIRE(store->install(late));
  REQUIRE(store->keep_freshness(keep_of(60'000, 2)));
  CHECK(store->load()->clock.wall_ms == 70'000);

  REQUIRE(store->reset_clock(30'000));
  store.reset();
  const auto state = open(folder.path())->load();
  REQUIRE(state);
  CHECK(state->clock.wall_ms == 30'000);
  // Nothing was accepted at a time that is in the future now.
  CHECK(state->ledgers.at(kPayments).releases[0].stored_ms == 30'000);
  CHECK(state->ledgers.at(kPayments).releases[1].stored_ms == 20'000);
  CHECK(state->statements.at(0).accepted_ms == 30'000);
}

// In the format before the previous one.
void make_version_3(const std::filesystem::path& folder, TimeMs mark_ms, bool is_damaged) {
  Bytes row;
  put_varint(row, static_cast<uint64_t>(mark_ms));
  Sha256 sum;
  sum.update("notp.store.v1\0").update("clock").update(row);
  Bytes check(sum.finish().view().substr(0, 16));
  if (is_damaged) check = Bytes(16, 'x');
  SQLite::Database database((folder / "agent.db").string(), SQLite::OPEN_READWRITE);
  database.exec(R"sql(
    DROP TABLE assignment;
    DROP TABLE clock;
    CREATE TABLE clock(
      id INTEGER PRIMARY KEY CHECK(id = 1), high_water_ms INTEGER NOT NULL, checksum BLOB NOT NULL);
    PRAGMA user_version = 3;
  )sql");
  SQLite::Statement write(database, "INSERT INTO clock VALUES(1, ?, ?)");
  write.bind(1, mark_ms);
  write.bind(2, check.data(), static_cast<int>(check.size()));
  write.exec();
}

TEST_CASE("a store of the version before keeps all that it held") {
  TemporaryFolder folder;
  {
    auto store = open(folder.path());
    REQUIRE(store->install(install_of(kModel, 7)));
    REQUIRE(store->pin_root({2, "root 2"}, false));
    REQUIRE(store->keep_freshness(keep_of(1, 7)));
  }
  SUBCASE("whole") {
    make_version_3(folder.path(), 123'456, false);
    auto store = open(folder.path());
    const auto state = store->load();
    REQUIRE_MESSAGE(state, state.error().message);
    CHECK(state->ledgers.at(kPayments).floor ==
          trust::Floor{1, 7, install_of(kModel, 7).ref.release_hash});
    CHECK(state->clock == trust::ClockMarks{123'456, 0});
    REQUIRE(state->root_chain.size() == 1);
    CHECK(state->freshness_sequence == 1);
    check_holds(*store, kModel, 7);
    REQUIRE(store->keep_freshness(keep_of(2, 7)));
    store.reset();
    CHECK(open(folder.path())->load()->clock == trust::ClockMarks{123'456, 2});
  }
  SUBCASE("damaged: nothing is changed") {
    make_version_3(folder.path(), 123'456, true);
    CHECK(store::SqliteStore::open(folder.path()).error().code == ErrorCode::kCorrupt);
    CHECK(store::SqliteStore::open(folder.path()).error().code == ErrorCode::kCorrupt);
  }
}

TEST_CASE("a statement of the registry sets the latest time seen back, and only that") {
  TemporaryFolder folder;
  auto store = open(folder.path());
  REQUIRE(store->keep_time({9'000'000, 500}));
  store::FreshnessKeep keep = keep_of(700, 1);
  keep.clock = {20'000, 400};
  REQUIRE(store->keep_freshness(keep));
  CHECK(store->load()->clock == trust::ClockMarks{9'000'000, 500});
  keep.sequence = 701;
  keep.sets_clock_back = true;
  REQUIRE(store->keep_freshness(keep));
  CHECK(store->load()->clock == trust::ClockMarks{20'000, 500});
}

TEST_CASE("a flipped row of trust is damage, not a new truth") {
  TemporaryFolder folder;
  {
    auto store = open(folder.path());
    REQUIRE(store->install(install_of(kModel, 5)));
    REQUIRE(store->pin_root({2, "root 2"}, false));
    REQUIRE(store->keep_freshness(keep_of(9, 5)));
    REQUIRE(store->keep_assignment(9, "assignment"));
  }
  SUBCASE("assignment sequence") { damage(folder.path(), "UPDATE assignment SET sequence = 8"); }
  SUBCASE("assignment envelope") {
    damage(folder.path(), "UPDATE assignment SET envelope = x'00'");
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
    REQUIRE(store->install(install_of(kModel, 4)));
    REQUIRE(store->install(install_of(kModel, 5)));
  }
  damage(folder.path(), "UPDATE releases SET confirmed = 1 WHERE version = 5");
  auto store = open(folder.path());
  CHECK(versions(*store) == std::vector<uint64_t>{4});
  CHECK(store->load()->ledgers.at(kPayments).floor.version == 5);
  REQUIRE(store->install(install_of(kModel, 5)));
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

}  // namespace notp
