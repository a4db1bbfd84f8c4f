// The agent's store on a real file: swaps, reloads, repair, damage, crashes.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <set>

#include "tests/support/stored_models.hpp"

namespace notp {

using namespace stored;

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
  CHECK(ledger.floor == Floor{1, 7, swap_of(kModel, 7).ref.release_hash});
  CHECK(state->clock.wall_ms == 1'007);
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
      if (random.below(3) == 0) REQUIRE(store->collect());
      for (uint64_t kept : versions(*store)) check_holds(*store, history.at(kept), kept);
    }
    REQUIRE(store->drop(kPayments));
    collect_all(*store);
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
  other.ref.release_hash = sha256("another release with the same number");
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
  collect_all(*store);
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
