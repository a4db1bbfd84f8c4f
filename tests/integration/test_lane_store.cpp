// lane.db: what a restart, a wrong key, damage and another configuration make of it.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <fstream>

#include "common/random.hpp"
#include "common/storage/files.hpp"
#include "notp-client/lane/store/lane_store.hpp"
#include "tests/support/agent/lane_world.hpp"
#include "tests/support/temporary_folder.hpp"

namespace notp {
namespace {

using namespace lane_world;
using lane::LaneMarks;
using lane::LaneStore;

template <typename T>
T must(Result<T> result) {
  REQUIRE_MESSAGE(result, result.error().message);
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

constexpr std::array<uint8_t, limits::kLaneKeyBytes> kKey{1, 2, 3};
constexpr std::array<uint8_t, limits::kLaneKeyBytes> kOtherKey{9};

struct Store {
  TemporaryFolder folder;
  lane::LaneStoreOptions options{.folder = folder.path(),
                                 .trust_domain = kDomain,
                                 .lane = kLane,
                                 .seal = std::nullopt,
                                 .now_ms = kStartMs};
  std::unique_ptr<LaneStore> store;
  uint64_t number = 0, losses = 0;

  LaneStore& open() {
    store.reset();
    store = must(LaneStore::open(options));
    return *store;
  }
  LaneMarks marks_at(uint64_t revision) const {
    return {.position = wire::LanePosition{history(1), 1, revision},
            .has_tokens = options.seal.has_value(),
            .terms = {900, false, kLifeS},
            .signed_ms = kStartMs,
            .heard_ms = kStartMs,
            .trusted_ms = kStartMs + 5};
  }
  Result<void> write(lane::Change change, uint64_t revision = 1) {
    const std::vector<lane::effect::Take> takes{
        {++number, losses, std::move(change), marks_at(revision)}};
    return store->write(takes);
  }
  Result<void> write_events(std::vector<Event> events, uint64_t revision = 1) {
    return write(lane::change::Events{std::move(events)}, revision);
  }
  Rows load() const {
    Rows rows;
    must(store->load([&](std::span<const Event> events) {
      for (const Event& event : events) rows.emplace(key_of(event), event);
    }));
    return rows;
  }
  std::filesystem::path file() const { return folder.path() / lane::kLaneFile; }
};

Event mark(int number, int64_t not_before_s, int64_t until_s = kStartS + kLifeS) {
  return Event::mark(
      feed::mark_key(feed::MarkKind::kSubject, "iss", "user" + std::to_string(number)),
      not_before_s, until_s);
}

Event list(int number) {
  return Event::status_list(feed::token_id("list" + std::to_string(number)), 2,
                            Bytes(100'000, static_cast<char>(number)), kStartS + kLifeS);
}

bool has_aside(const std::filesystem::path& folder) {
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.path().filename().string().starts_with("lane.db.old-")) return true;
  return false;
}

}  // namespace

TEST_CASE("revocations, lists and marks are there after a restart, tokens are not") {
  Store world;
  world.open();
  CHECK(world.store->marks() == LaneMarks{});
  must(world.write_events({mark(1, kStartS), list(1), dead(1), alive(2)}, 7));
  world.open();
  CHECK(world.store->marks() == world.marks_at(7));
  CHECK_FALSE(world.store->damage());
  const Rows rows = world.load();
  CHECK(rows.size() == 3);
  for (const Event& event : {mark(1, kStartS), list(1), dead(1)})
    CHECK(rows.at(key_of(event)) == event);
  struct stat seen{};
  REQUIRE(::stat(world.file().c_str(), &seen) == 0);
  CHECK((seen.st_mode & 0777) == 0600);
}

TEST_CASE(
    "a mark never moves back, a tombstone never gets shorter, a deleted token stays deleted") {
  Store world;
  world.options.seal.emplace(kKey);
  world.open();
  must(world.write_events({mark(1, 100, 900), dead(1, 900), alive(2)}));
  must(world.write_events({mark(1, 50, 800), dead(1, 800), alive(1), dead(2)}));
  must(world.write_events({alive(2)}));
  world.open();
  const Rows rows = world.load();
  CHECK(rows.size() == 3);
  CHECK(rows.at(key_of(mark(1, 0))).not_before_s == 100);
  CHECK(rows.at(key_of(mark(1, 0))).until_s == 900);
  CHECK(rows.at(key_of(dead(1))).until_s == 900);
  CHECK_FALSE(rows.contains(key_of(alive(2))));
}

TEST_CASE("tokens are sealed: no attribute is in the file, and another key is refused") {
  Store world;
  world.options.seal.emplace(kKey);
  world.open();
  std::vector<Event> tokens;
  for (int i = 0; i < 100; ++i) {
    Event token = alive(i);
    token.record.sub = "subject-in-clear";
    token.record.scope = "scope-in-clear";
    tokens.push_back(token);
  }
  must(world.write_events(tokens, 100));
  world.open();
  CHECK(world.store->marks().has_tokens);
  const Rows rows = world.load();
  CHECK(rows.size() == 100);
  for (const Event& token : tokens) CHECK(rows.at(key_of(token)) == token);
  world.store.reset();
  for (const char* part : {"", "-wal"}) {
    std::error_code none;
    if (!std::filesystem::exists(world.file().string() + part, none)) continue;
    const Bytes bytes = must(read_file(world.file().string() + part, 64 << 20));
    CHECK_FALSE(bytes.contains("in-clear"));
    CHECK_FALSE(bytes.contains("login.internal"));
  }

  world.options.seal.emplace(kOtherKey);
  const auto refused = LaneStore::open(world.options);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kConfig);
  CHECK(refused.error().message.contains("another key"));
  // Nothing has changed.
  world.options.seal.emplace(kKey);
  world.open();
  CHECK(world.load().size() == 100);
  // Without a key they are removed, and revocations stay.
  must(world.write_events({dead(3)}));
  world.options.seal.reset();
  world.open();
  CHECK_FALSE(world.store->marks().has_tokens);
  CHECK(world.store->marks().position);
  CHECK(world.load().size() == 1);
  world.options.seal.emplace(kOtherKey);
  world.open();
  CHECK(world.load().size() == 1);
  CHECK_FALSE(world.store->marks().has_tokens);
}

TEST_CASE("a snapshot's end removes tokens that neither it nor a batch since its begin has had") {
  Store world;
  world.options.seal.emplace(kKey);
  world.open();
  must(world.write_events({alive(1), alive(2), alive(3), dead(9), mark(1, 5)}));
  must(world.write(lane::change::SnapshotBegins{10}));
  Event newer = alive(2);
  newer.record.scope = "newer";
  must(world.write_events({newer, alive(4)}));
  feed::Snapshot part;
  part.as_of = 10;
  Event older = alive(2);
  older.record.scope = "older";
  part.rows = {alive(1), older};
  must(world.write(lane::change::Rows{part}));
  world.open();
  CHECK(world.load().size() == 6);
  must(world.write(lane::change::SnapshotEnds{}));
  world.open();
  const Rows rows = world.load();
  CHECK(rows.size() == 5);  // 1, 2, 4; what is revoked stays
  CHECK(rows.at(key_of(newer)) == newer);
  CHECK_FALSE(rows.contains(key_of(alive(3))));
}

TEST_CASE("lists that a snapshot does not have are gone after a restart, newer ones stay") {
  Store world;
  world.open();
  const auto ordered = [](std::vector<Event> rows) {
    std::ranges::sort(rows, {}, feed::key_of);
    return rows;
  };
  must(world.write_events({mark(1, 5), list(1), list(2), list(3), list(4)}));
  must(world.write(lane::change::SnapshotBegins{10}));
  Event newer = list(2);
  newer.list = Bytes(100, 'n');
  must(world.write_events({newer, list(5)}));
  // Two parts, the first of which ends among the lists.
  std::vector<Event> rows = ordered({mark(1, 5), list(1), list(2), list(3), dead(1)});
  feed::Snapshot first, second;
  first.as_of = second.as_of = 10;
  first.rows = {rows.begin(), rows.begin() + 3};
  second.rows = {rows.begin() + 3, rows.end()};
  first.last = second.after = key_of(first.rows.back());
  REQUIRE(first.last->kind == feed::EventKind::kList);
  must(world.write(lane::change::Rows{first}));
  CHECK(world.load().contains(key_of(rows[3])));  // of the part that is yet to come
  must(world.write(lane::change::Rows{second}));
  must(world.write(lane::change::SnapshotEnds{}));
  world.open();
  const Rows kept = world.load();
  CHECK_FALSE(kept.contains(key_of(list(4))));  // what it says is revoked
  for (const Event& each : {list(1), newer, list(3), list(5)}) CHECK(kept.at(key_of(each)) == each);

  // A snapshot of tokens alone says nothing about lists; nor does one whose part was not stored.
  must(world.write(lane::change::SnapshotBegins{11}));
  feed::Snapshot tokens;
  tokens.as_of = 11;
  tokens.after = feed::EventKey{feed::EventKind::kDeleted, {}};
  must(world.write(lane::change::Rows{tokens}));
  must(world.write(lane::change::SnapshotEnds{}));
  world.open();
  CHECK(world.load().size() == kept.size());
}

TEST_CASE("what has ended is removed, in steps") {
  Store world;
  world.options.seal.emplace(kKey);
  world.open();
  std::vector<Event> events;
  for (size_t i = 0; i < limits::kLaneRowsExpired + 10; ++i)
    events.push_back(dead(static_cast<int>(i), 100));
  events.push_back(mark(1, 5, 100));
  events.push_back(mark(2, 5, 200));
  events.push_back(alive(-1, 100));
  events.push_back(alive(-2, 200));
  must(world.write_events(events));
  CHECK(must(world.store->expire(101)));
  CHECK_FALSE(must(world.store->expire(101)));
  const Rows rows = world.load();
  CHECK(rows.size() == 2);
  CHECK(rows.contains(key_of(mark(2, 0))));
  CHECK(rows.contains(key_of(alive(-2))));
}

TEST_CASE("another lane begins empty, but never with an earlier time") {
  Store world;
  world.open();
  must(world.write_events({dead(1)}));
  SUBCASE("lane") { world.options.lane = "other"; }
  SUBCASE("trust domain") { world.options.trust_domain = "other.internal"; }
  world.open();
  CHECK(world.load().empty());
  CHECK_FALSE(world.store->marks().position);
  CHECK(world.store->marks().trusted_ms == kStartMs + 5);
  CHECK_FALSE(world.store->damage());
}

TEST_CASE("after a clock was reset, nothing counts as complete") {
  Store world;
  world.open();
  must(world.write_events({dead(1)}));
  world.store.reset();
  must(lane::reset_lane_clock(world.folder.path(), kStartMs - 1'000'000));
  world.open();
  CHECK(world.store->marks().trusted_ms == kStartMs - 1'000'000);
  CHECK(world.store->marks().heard_ms == kStartMs - 1'000'000);
  CHECK_FALSE(world.store->marks().position);
  CHECK(world.load().size() == 1);
  const TemporaryFolder none;
  must(lane::reset_lane_clock(none.path(), 1));
}

TEST_CASE("after a write that failed, a position counts again when the core knows of it") {
  Store world;
  world.open();
  must(world.write_events({dead(1)}, 1));
  std::vector<lane::effect::Take> unaware{
      {1, /*losses=*/7, lane::change::Events{{dead(2)}}, world.marks_at(2)}};
  must(world.store->write(unaware));
  CHECK_FALSE(world.store->marks().position);
  unaware[0].losses = 0;
  must(world.store->write(unaware));
  CHECK(world.store->marks().position);
}

TEST_CASE("a damaged file that cannot be set aside is no crash, and is tried again") {
  Store world;
  world.open();
  must(world.write_events({dead(1)}, 1));
  const auto folder = world.folder.path();
  const std::filesystem::path elsewhere = folder.string() + ".away";
  std::filesystem::rename(folder, elsewhere);
  CHECK_FALSE(world.store->set_aside({ErrorCode::kCorrupt, "damaged", {}}));
  // A file takes the folder's place, so that none can be made.
  must(write_file(folder, "", 0600));
  CHECK_FALSE(world.write_events({dead(2)}, 2));
  CHECK_FALSE(world.store->expire(kStartS));
  std::filesystem::remove(folder);
  std::filesystem::rename(elsewhere, folder);
  must(world.write_events({dead(3)}, 3));
  CHECK_FALSE(world.store->marks().position);  // the second change is missing
  world.losses = 1;
  must(world.write_events({dead(4)}, 4));
  CHECK(world.store->marks().position);
  CHECK(world.load().contains({EventKind::kDeleted, token_id(1)}));
}

TEST_CASE("a damaged file is set aside with an alarm; nothing that is read is another revocation") {
  Store world;
  world.options.seal.emplace(kKey);
  world.open();
  std::vector<Event> events;
  for (int i = 0; i < 300; ++i) {
    events.push_back(dead(i, kStartS + i));
    events.push_back(mark(i, i, kStartS + i));
    events.push_back(alive(1'000 + i));
  }
  events.push_back(list(1));
  must(world.write_events(events, 5));
  const Rows want = world.load();
  world.store.reset();
  const Bytes good = must(read_file(world.file(), 64 << 20));
  SeededRandom random(7);
  size_t found = 0;
  for (int i = 0; i < 200; ++i) {
    Bytes bad = good;
    bad[random.below(bad.size())] ^= static_cast<char>(1 << random.below(8));
    world.store.reset();
    for (const char* part : {"-wal", "-shm"}) std::filesystem::remove(world.file().string() + part);
    must(write_file(world.file(), bad, 0600));
    auto opened = LaneStore::open(world.options);
    if (!opened) {
      // The number of its format, or the key's check.
      CHECK(opened.error().code == ErrorCode::kConfig);
      continue;
    }
    world.store = *std::move(opened);
    Rows rows;
    const auto loaded = world.store->load([&](std::span<const Event> read) {
      for (const Event& event : read) rows.emplace(key_of(event), event);
    });
    for (const auto& [key, row] : rows) {
      REQUIRE(want.contains(key));
      CHECK(want.at(key) == row);
    }
    if (!loaded) {
      CHECK(loaded.error().code == ErrorCode::kCorrupt);
      must(world.store->set_aside(loaded.error()));
      CHECK(world.load().empty());
    }
    if (world.store->damage()) {
      ++found;
      CHECK(has_aside(world.folder.path()));
      CHECK_FALSE(world.store->marks().position);
    }
  }
  CHECK(found > 20);
  // Of the files that were set aside, four are kept.
  world.store.reset();
  size_t kept = 0;
  for (const auto& entry : std::filesystem::directory_iterator(world.folder.path()))
    kept += entry.path().filename().string().starts_with("lane.db.old-") &&
            !entry.path().string().ends_with("-wal");
  CHECK(kept == limits::kLaneSetAsideMax);
}

TEST_CASE("a key is 32 bytes or their digits, in a file that others cannot read") {
  const TemporaryFolder folder;
  const auto file = folder.path() / "key";
  const auto read = [&](const Bytes& text, unsigned mode = 0600) {
    must(write_file(file, text, mode));
    return lane::RecordSeal::read(file);
  };
  const Bytes raw(32, 'k');
  const auto one = must(read(raw));
  const auto other = must(read(to_hex(raw) + "\n"));
  CHECK(must(other.open(one.seal("text", "context"), "context")) == "text");
  CHECK(one.seal("text", "context") != one.seal("text", "context"));
  CHECK_FALSE(one.open(one.seal("text", "context"), "another"));
  CHECK_FALSE(read("short"));
  CHECK_FALSE(read(Bytes(64, 'x')));
  CHECK_FALSE(read(raw, 0644));
  CHECK(read("short").error().code == ErrorCode::kConfig);
}

}  // namespace notp
