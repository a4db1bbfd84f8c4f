// The agent's store on a real file: installs, reloads, repair, damage, crashes.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <set>

#include "tests/support/agent/stored_models.hpp"

namespace notp {

using namespace stored;

TEST_CASE("an installed release is there after a reload, with its floor and high-water mark") {
  TemporaryFolder folder;
  {
    auto store = open(folder.path());
    REQUIRE(store->install(install_of(kModel, 7)));
    check_holds(*store, kModel, 7);
  }
  auto store = open(folder.path());
  const auto state = store->load();
  REQUIRE(state);
  const store::StoredLedger& ledger = state->ledgers.at(kPayments);
  CHECK(ledger.floor == trust::Floor{1, 7, install_of(kModel, 7).ref.release_hash});
  CHECK(state->clock.wall_ms == 1'007);
  REQUIRE(ledger.releases.size() == 1);
  CHECK(ledger.releases[0].envelope.bytes() == "envelope 7");
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
      REQUIRE(store->install(version == 1 ? install_of(model, version)
                                          : delta_of(before, model, version)));
      history[version] = model;
      if (random.below(10) == 0) REQUIRE(store->confirm(kPayments, version));
      if (random.below(5) == 0) {
        store.reset();
        store = open(folder.path());
      }
      if (random.below(3) == 0) REQUIRE(store->collect_garbage());
      for (uint64_t kept : versions(*store)) check_holds(*store, history.at(kept), kept);
    }
    REQUIRE(store->drop(kPayments));
    collect_all(*store);
  }
  // None of it leaves anything behind.
  CHECK(count(folder.path(), "files") == 0);
  CHECK(count(folder.path(), "blobs") == 0);
  CHECK(count(folder.path(), "blob_contents") == 0);
}

TEST_CASE("an install brings only what is new and refuses a tree with content it lacks") {
  TemporaryFolder folder;
  auto store = open(folder.path());
  REQUIRE(store->install(install_of(kModel, 1)));
  Model changed = kModel;
  changed["a.rego"] = "package a2";
  REQUIRE(store->install(delta_of(kModel, changed, 2)));
  check_holds(*store, kModel, 1);
  check_holds(*store, changed, 2);

  Model more = changed;
  more["new.rego"] = "package new";
  store::InstallRecord hollow = delta_of(changed, more, 3);
  hollow.new_blobs.clear();
  CHECK(store->install(hollow).error().code == ErrorCode::kNotFound);
  CHECK(versions(*store) == std::vector<uint64_t>{2, 1});
  check_holds(*store, changed, 2);
}

TEST_CASE("the floor never goes down, not even by a mistake of the caller") {
  TemporaryFolder folder;
  auto store = open(folder.path());
  REQUIRE(store->install(install_of(kModel, 5, 2)));
  CHECK(store->install(install_of(kModel, 4, 2)).error().code == ErrorCode::kRollback);
  CHECK(store->install(install_of(kModel, 9, 1)).error().code == ErrorCode::kRollback);
  store::InstallRecord other = install_of(kModel, 5, 2);
  other.ref.release_hash = sha256("another release with the same number");
  CHECK(store->install(other).error().code == ErrorCode::kRollback);
  CHECK(versions(*store) == std::vector<uint64_t>{5});

  REQUIRE(store->drop(kPayments));
  CHECK(store->load()->ledgers.at(kPayments).releases.empty());
  CHECK(store->load()->ledgers.at(kPayments).floor.version == 5);
  CHECK(store->install(install_of(kModel, 4, 2)).error().code == ErrorCode::kRollback);
  // A recovery by epoch may restart the numbers.
  REQUIRE(store->install(install_of(kModel, 1, 3)));
  CHECK(store->load()->ledgers.at(kPayments).floor.epoch == 3);
}

TEST_CASE(
    "an install drops the releases that its record does not keep, and decides nothing itself") {
  TemporaryFolder folder;
  auto store = open(folder.path());
  Model model = kModel;
  std::map<uint64_t, Model> history;
  for (uint64_t version = 1; version <= 9; ++version) {
    model["a.rego"] = fmt::format("package a{}", version);
    history[version] = model;
    store::InstallRecord record = install_of(model, version);
    if (version == 3) record.confirmed = 2;
    record.kept_versions = {2, version - 1};
    REQUIRE(store->install(record));
  }
  CHECK(versions(*store) == std::vector<uint64_t>{9, 8, 2});
  for (uint64_t version : {9, 8, 2}) check_holds(*store, history.at(version), version);
  REQUIRE(store->confirm(kPayments, 9));
  model["a.rego"] = "package a10";
  store::InstallRecord record = install_of(model, 10);
  SUBCASE("the last confirmed one goes when the record says so") {
    record.kept_versions = {8, 2};
    REQUIRE(store->install(record));
    CHECK(versions(*store) == std::vector<uint64_t>{10, 8, 2});
  }
  SUBCASE("what is not there is not kept") {
    record.kept_versions = {9, 8, 5, 11};
    REQUIRE(store->install(record));
    CHECK(versions(*store) == std::vector<uint64_t>{10, 9, 8});
  }
  // One a.rego for each kept release, and the two files that never changed.
  collect_all(*store);
  store.reset();
  CHECK(count(folder.path(), "blobs") == 5);
  CHECK(count(folder.path(), "files") == 5);
}

TEST_CASE("a ledger that is dropped leaves its floor and its listed head, and nothing else") {
  TemporaryFolder folder;
  Model other = {{"manifest.json", "{ }"}, {"keys.json", document(1 << 20, 4)}};
  {
    auto store = open(folder.path());
    REQUIRE(store->install(install_of(kModel, 7)));
    REQUIRE(store->install(install_of({{"data.json", document(1 << 20, 3)}}, 8)));
    REQUIRE(store->install(install_of(other, 3, 1, kKeys)));
    REQUIRE(store->keep_freshness({.sequence = 1,
                                   .envelope = "vouched",
                                   .listed = {{kPayments, {1, 9, sha256("head")}}},
                                   .parted = {},
                                   .clock = {1, 1}}));
    REQUIRE(store->drop(kPayments));
    CHECK(store->tree(kPayments, 8).error().code == ErrorCode::kNotFound);
    REQUIRE(store->drop({kPayments.zone, "never-there"}));
    collect_all(*store);
  }
  CHECK(count(folder.path(), "ledgers") == 2);
  CHECK(count(folder.path(), "releases") == 1);
  CHECK(count(folder.path(), "files") == 2);
  CHECK(count(folder.path(), "blobs") == 2);
  CHECK(count(folder.path(), "released") == 0);
  auto store = open(folder.path());
  CHECK(store->check().findings.empty());
  const auto tree = store->tree(kKeys, 3);
  REQUIRE(tree);
  for (const auto& [path, file] : (*tree)->files()) CHECK(store->blob(file.hash));
  const store::StoreState state = store->load().value();
  CHECK(state.ledgers.at(kPayments).releases.empty());
  CHECK(state.ledgers.at(kPayments).floor ==
        trust::Floor{1, 8, install_of(kModel, 8).ref.release_hash});
  CHECK(state.ledgers.at(kPayments).listed == trust::Floor{1, 9, sha256("head")});
  CHECK(store->install(install_of(kModel, 7)).error().code == ErrorCode::kRollback);
  REQUIRE(store->install(install_of(kModel, 9)));
  check_holds(*store, kModel, 9);
}

TEST_CASE("a refused release stays marked, with the reason") {
  TemporaryFolder folder;
  auto store = open(folder.path());
  REQUIRE(store->install(install_of(kModel, 1)));
  REQUIRE(store->quarantine(kPayments, 1, Error{ErrorCode::kPdpRejected, "a.rego:1: no", {}}));
  CHECK(store->quarantine(kPayments, 2, Error{}).error().code == ErrorCode::kNotFound);
  CHECK(store->confirm(kKeys, 1).error().code == ErrorCode::kNotFound);
  REQUIRE(store->install(install_of(kModel, 1)));  // fetched again: still refused
  store.reset();
  const auto state = open(folder.path())->load();
  CHECK(state->ledgers.at(kPayments).releases[0].quarantined);
  CHECK(state->ledgers.at(kPayments).releases[0].error == "a.rego:1: no");
}

TEST_CASE("two agents never share a store") {
  TemporaryFolder folder;
  auto store = open(folder.path());
  const auto second = store::SqliteStore::open(folder.path());
  REQUIRE_FALSE(second);
  CHECK(second.error().code == ErrorCode::kConflict);
  CHECK(second.error().message.find(fmt::format("process {}", ::getpid())) != std::string::npos);
  store.reset();
  CHECK(store::SqliteStore::open(folder.path()));
}

TEST_CASE("a store that a newer program wrote is not touched") {
  TemporaryFolder folder;
  open(folder.path()).reset();
  {
    SQLite::Database database((folder.path() / "agent.db").string(), SQLite::OPEN_READWRITE);
    database.exec("PRAGMA user_version = 99");
  }
  CHECK(store::SqliteStore::open(folder.path()).error().code == ErrorCode::kConfig);
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
      auto store = store::SqliteStore::open(folder.path());
      for (uint64_t version = last + 1; store; ++version) {
        const char before = 'b';
        if (::write(announce[1], &before, 1) != 1 ||
            !(*store)->install(keep_last(3, install_of(model_of(version), version))))
          break;
        const char after = 'a';
        if (::write(announce[1], &after, 1) != 1) break;
      }
      ::_exit(1);
    }
    ::close(announce[1]);
    // Dies after a random number of steps, before or during an install.
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

    auto store = open(folder.path());
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
