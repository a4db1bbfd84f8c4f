// The audit store's files: what they keep, what a crash leaves, and what damage costs.
#include <doctest/doctest.h>

#include <fstream>
#include <map>

#include "notp-server/audit/day_files.hpp"
#include "tests/support/registry/node_logs.hpp"
#include "tests/support/temporary_folder.hpp"

namespace notp::audit {
namespace {

namespace fs = std::filesystem;

constexpr TimeMs kDayMs = 24LL * 3600 * 1000;
constexpr TimeMs kNoonMs = 20'786 * kDayMs + kDayMs / 2;  // 2026-11-29
constexpr const char* kFirstDay = "2026-11-29.db";
constexpr const char* kSecondDay = "2026-11-30.db";

struct Site {
  TemporaryFolder folder;
  fs::path audit = folder.path() / "audit";
  TimeMs now_ms = kNoonMs;

  std::unique_ptr<DayFiles> open(const fs::path& at, bool read_only = false) {
    auto store = DayFiles::open(at, {.wall_ms = [this] { return now_ms; }, .read_only = read_only});
    REQUIRE_MESSAGE(store, store.error().message);
    return *std::move(store);
  }
  std::unique_ptr<DayFiles> open() { return open(audit); }
  // The folder as a kill -9 would leave it now.
  fs::path killed_copy(const std::string& name) const {
    fs::copy(audit, folder.path() / name);
    return folder.path() / name;
  }
  StoredSegment next(samples::NodeLog& log, size_t count) const {
    record::Segment segment = log.next(count);
    return samples::stored(log, std::move(segment), log.tree, now_ms);
  }
};

void announce(AuditStore& store, const samples::NodeLog& log) {
  REQUIRE(store.put_log({.log = log.id,
                         .node = log.node,
                         .log_key = log.log_key,
                         .announcement = "announced",
                         .tree = {},
                         .first_ms = 1,
                         .last_ms = 1,
                         .pruned = 0}));
}

std::vector<SegmentRow> rows_of(const AuditStore& store, AuditStore::Range range = {}) {
  std::vector<SegmentRow> out;
  REQUIRE(store.list(range, [&](const SegmentRow& row, const SegmentIndex&) {
    out.push_back(row);
    return true;
  }));
  return out;
}

std::vector<record::Position> firsts_of(const AuditStore& store, AuditStore::Range range = {}) {
  std::vector<record::Position> out;
  for (const SegmentRow& row : rows_of(store, range)) out.push_back(row.first);
  return out;
}

using Positions = std::vector<record::Position>;

void check_same(const StoredSegment& a, const StoredSegment& b) {
  CHECK(a.node == b.node);
  CHECK(a.segment == b.segment);
  CHECK(a.index.head == b.index.head);
  CHECK(a.index.filter == b.index.filter);
  CHECK(a.tree == b.tree);
  CHECK(a.stored_ms == b.stored_ms);
  CHECK(a.first_time_ns == b.first_time_ns);
  CHECK(a.last_time_ns == b.last_time_ns);
}

// Overwrites a part in the middle of a file.
void damage(const fs::path& file, size_t bytes) {
  std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
  REQUIRE(stream);
  stream.seekp(static_cast<std::streamoff>(fs::file_size(file) / 2));
  stream << std::string(bytes, '\xa5');
}

TEST_CASE("what was appended is there again, in the order of arrival") {
  Site site;
  samples::NodeLog one("edge-1", 1), two("edge-2", 2);
  std::vector<StoredSegment> made;
  {
    const auto store = site.open();
    announce(*store, one);
    announce(*store, two);
    made.push_back(site.next(one, 40));
    made.push_back(site.next(two, 7));
    REQUIRE(store->append({made[0], made[1]}));
    made.push_back(site.next(one, 30));
    REQUIRE(store->append({made[2]}));
  }
  CHECK_FALSE(fs::exists(site.audit / (std::string(kFirstDay) + "-wal")));
  const auto store = site.open();
  const auto rows = rows_of(*store);
  REQUIRE(rows.size() == 3);
  for (size_t i = 0; i < 3; ++i) {
    const auto read = store->read(rows[2 - i].key);
    REQUIRE(read);
    check_same(*read, made[i]);
    CHECK((rows[2 - i].key >> 32) == 20'786);
  }
  CHECK(rows_of(*store, {.ascending = true}).front().key == rows.back().key);
  CHECK(rows_of(*store, {.key = rows[1].key}).size() == 1);
  CHECK(rows_of(*store, {.key = rows[1].key, .ascending = true}).size() == 1);
  const auto found = store->find(one.id, 41);
  REQUIRE(found);
  CHECK(found->segment.head.first == 40);
  CHECK(store->find(one.id, 70).error().code == ErrorCode::kNotFound);
  CHECK(store->find(record::LogId{}, 0).error().code == ErrorCode::kNotFound);
  CHECK(store->read(1).error().code == ErrorCode::kNotFound);
  CHECK(store->read(rows[0].key + 1).error().code == ErrorCode::kNotFound);
  const auto logs = store->logs({}, 10);
  REQUIRE(logs);
  REQUIRE(logs->size() == 2);
  for (const StoredLog& log : *logs) {
    const samples::NodeLog& of = log.log == one.id ? one : two;
    CHECK(log.tree == of.tree);
    CHECK(log.node == of.node);
    CHECK(log.log_key == of.log_key);
    CHECK(log.first_ms == kNoonMs);
  }
  CHECK(store->logs((*logs)[0].log, 10)->size() == 1);
  CHECK(store->logs_by_prefix(one.id.view().substr(0, 6)) == std::vector{one.id});
  CHECK(store->damages().empty());
}

TEST_CASE("a list keeps to its range of times, and may be read while it runs") {
  Site site;
  samples::NodeLog log("edge-1", 1);
  const auto store = site.open();
  announce(*store, log);
  for (int i = 0; i < 100; ++i) REQUIRE(store->append({site.next(log, 10)}));
  CHECK(rows_of(*store).size() == 100);
  const AuditStore::Range range{.since_ns = samples::decision_time_ns(205),
                                .until_ns = samples::decision_time_ns(240),
                                .ascending = true};
  CHECK(firsts_of(*store, range) == Positions{200, 210, 220, 230});
  size_t read = 0;
  REQUIRE(store->list({}, [&](const SegmentRow& row, const SegmentIndex& index) {
    CHECK(!index.filter.empty());
    CHECK(store->read(row.key)->segment.head.first == row.first);
    return ++read < 70;
  }));
  CHECK(read == 70);
  REQUIRE(store->list({.with_filters = false}, [&](const SegmentRow&, const SegmentIndex& index) {
    CHECK(index.filter.empty());
    CHECK(!index.head.empty());
    return true;
  }));
}

TEST_CASE("killed at any time, the files have what was acknowledged") {
  Site site;
  samples::NodeLog log("edge-1", 1);
  const auto store = site.open();
  announce(*store, log);
  REQUIRE(store->append({site.next(log, 10)}));
  // Between the commit of the day's file and that of logs.db: the latter is an append behind.
  {
    const fs::path before = site.killed_copy("before");
    REQUIRE(store->append({site.next(log, 10), site.next(log, 5)}));
    const fs::path after = site.killed_copy("after");
    for (const char* end : {"", "-wal"})
      fs::copy_file(before / (std::string("logs.db") + end), after / (std::string("logs.db") + end),
                    fs::copy_options::overwrite_existing);
    const auto recovered = site.open(after);
    CHECK(firsts_of(*recovered) == Positions{20, 10, 0});
    const auto logs = recovered->logs({}, 10);
    REQUIRE(logs);
    REQUIRE(logs->size() == 1);
    CHECK(logs->front().tree == log.tree);
    CHECK(recovered->find(log.id, 24)->segment.head.first == 20);
    CHECK(recovered->damages().empty());
    REQUIRE(recovered->append({site.next(log, 3)}));
    CHECK(firsts_of(*recovered) == Positions{25, 20, 10, 0});
  }
}

TEST_CASE("without logs.db, everything but announcements is made again from the days") {
  Site site;
  samples::NodeLog log("edge-1", 1);
  {
    const auto store = site.open();
    announce(*store, log);
    REQUIRE(store->append({site.next(log, 10)}));
    site.now_ms += kDayMs;
    record::Segment dropped = samples::NodeLog::without_body(log.next(4));
    REQUIRE(store->append({samples::stored(log, dropped, log.tree, site.now_ms)}));
  }
  fs::remove(site.audit / "logs.db");
  const auto store = site.open();
  CHECK(store->damages().empty());
  CHECK(firsts_of(*store) == Positions{10, 0});
  const auto logs = store->logs({}, 10);
  REQUIRE(logs->size() == 1);
  CHECK(logs->front().announcement.empty());
  CHECK(logs->front().tree == log.tree);
  CHECK(logs->front().pruned == 4);
  announce(*store, log);
  CHECK(store->logs({}, 10)->front().announcement == "announced");
  CHECK(store->logs({}, 10)->front().tree == log.tree);
}

TEST_CASE("each day of arrival has a file; a clock that goes back does not") {
  Site site;
  samples::NodeLog log("edge-1", 1);
  const auto store = site.open();
  announce(*store, log);
  for (const TimeMs step : {TimeMs{0}, kDayMs, -kDayMs}) {
    site.now_ms += step;
    REQUIRE(store->append({site.next(log, 10)}));
  }
  CHECK(fs::exists(site.audit / kFirstDay));
  CHECK(fs::exists(site.audit / kSecondDay));
  CHECK_FALSE(fs::exists(site.audit / (std::string(kFirstDay) + "-wal")));
  const auto rows = rows_of(*store);
  REQUIRE(rows.size() == 3);
  CHECK((rows[0].key >> 32) == (rows[1].key >> 32));
  CHECK((rows[1].key >> 32) == (rows[2].key >> 32) + 1);
  for (const record::Position position : {0, 10, 20})
    CHECK(store->find(log.id, position)->segment.head.first == position);
}

TEST_CASE("a damaged, replaced or missing day is named, and the others go on") {
  Site site;
  samples::NodeLog log("edge-1", 1);
  std::map<std::string, fs::path> copies;
  {
    const auto store = site.open();
    announce(*store, log);
    REQUIRE(store->append({site.next(log, 10)}));
  }
  fs::copy_file(site.audit / kFirstDay, site.folder.path() / "older.db");
  {
    const auto store = site.open();
    REQUIRE(store->append({site.next(log, 10)}));
    site.now_ms += kDayMs;
    REQUIRE(store->append({site.next(log, 10)}));
  }
  const fs::path day = site.audit / kFirstDay;
  std::string what;
  SUBCASE("not a database") {
    std::ofstream(day, std::ios::trunc) << "not a database";
    what = kFirstDay;
  }
  SUBCASE("a copy of an earlier hour") {
    fs::copy_file(site.folder.path() / "older.db", day, fs::copy_options::overwrite_existing);
    what = "replaced";
  }
  SUBCASE("another day's file") {
    fs::copy_file(site.audit / kSecondDay, day, fs::copy_options::overwrite_existing);
    what = "replaced";
  }
  SUBCASE("another store's file") {
    Site other;
    samples::NodeLog others("edge-9", 9);
    REQUIRE(other.open()->append({other.next(others, 1)}));
    fs::copy_file(other.audit / kFirstDay, day, fs::copy_options::overwrite_existing);
    what = "replaced";
  }
  SUBCASE("missing") {
    fs::remove(day);
    what = "missing";
  }
  const auto store = site.open();
  CHECK(firsts_of(*store) == Positions{20});
  CHECK(firsts_of(*store, {.ascending = true}) == Positions{20});
  const auto damages = store->damages();
  REQUIRE(damages.size() == 1);
  CHECK(damages[0].file == kFirstDay);
  const auto lost = store->find(log.id, 3);
  REQUIRE_FALSE(lost);
  CHECK(lost.error().code == ErrorCode::kCorrupt);
  CHECK(lost.error().message.contains(kFirstDay));
  CHECK(lost.error().message.contains(what));
  CHECK(store->find(log.id, 23));
  const auto faults = store->faults(log.id);
  REQUIRE(faults);
  REQUIRE(faults->size() == 1);
  CHECK((*faults)[0].code == ErrorCode::kCorrupt);
  CHECK((*faults)[0].position == 0);
  CHECK((*faults)[0].message.contains(kFirstDay));
  REQUIRE(store->append({site.next(log, 10)}));
  CHECK(firsts_of(*store) == Positions{30, 20});
}

TEST_CASE("flipped bytes of a body are found, named, and cost that segment alone") {
  Site site;
  samples::NodeLog log("edge-1", 1);
  {
    const auto store = site.open();
    announce(*store, log);
    REQUIRE(store->append({site.next(log, 20)}));
    REQUIRE(store->append({site.next(log, 1'000)}));  // the middle of the file is in its body
    site.now_ms += kDayMs;
    REQUIRE(store->append({site.next(log, 10)}));
  }
  damage(site.audit / kFirstDay, 64);
  const auto store = site.open();
  CHECK(firsts_of(*store) == Positions{1'020, 20, 0});
  const auto lost = store->find(log.id, 100);
  REQUIRE_FALSE(lost);
  CHECK(lost.error().code == ErrorCode::kCorrupt);
  CHECK(lost.error().message.contains(kFirstDay));
  CHECK(store->find(log.id, 5));
  CHECK(store->find(log.id, 1'025));
  CHECK(store->damages().size() == 1);
}

TEST_CASE("today's file, damaged before a start, is kept beside, and a new one continues") {
  Site site;
  samples::NodeLog log("edge-1", 1);
  uint64_t last = 0;
  {
    const auto store = site.open();
    announce(*store, log);
    REQUIRE(store->append({site.next(log, 10), site.next(log, 10)}));
    last = rows_of(*store).front().key;
  }
  std::ofstream(site.audit / kFirstDay, std::ios::trunc) << "not a database";
  {
    const auto store = site.open();
    REQUIRE(store->append({site.next(log, 10)}));
    const auto rows = rows_of(*store);
    REQUIRE(rows.size() == 1);
    CHECK(rows[0].key == last + 1);
    CHECK(fs::exists(site.audit / (std::string(kFirstDay) + ".damaged")));
  }
  const auto store = site.open();
  CHECK(firsts_of(*store) == Positions{20});
  REQUIRE(store->damages().size() == 1);
  CHECK(store->damages()[0].file == std::string(kFirstDay) + ".damaged");
  CHECK(store->faults(log.id)->size() == 1);
  CHECK(store->find(log.id, 5).error().code == ErrorCode::kCorrupt);
}

TEST_CASE("a removed segment leaves its hashes, and no secret") {
  Site site;
  samples::NodeLog log("edge-1", 1);
  const auto store = site.open();
  announce(*store, log);
  const StoredSegment first = site.next(log, 20);
  const record::Segment bare = samples::NodeLog::without_body(first.segment);
  REQUIRE(store->append({first, site.next(log, 20)}));
  SUBCASE("today") {}
  SUBCASE("on a closed day, which others have open") {
    site.now_ms += kDayMs;
    REQUIRE(store->append({site.next(log, 1)}));
    CHECK(store->find(log.id, 0));
  }
  const uint64_t key = rows_of(*store, {.ascending = true}).front().key;
  REQUIRE(store->remove(key));
  const auto read = store->read(key);
  REQUIRE(read);
  CHECK(read->segment.body.empty());
  CHECK(read->segment.subtrees == bare.subtrees);
  CHECK(read->segment.head.secret == Bytes(32, '\0'));
  CHECK(read->index.head.empty());
  CHECK(read->index.filter.empty());
  CHECK(store->find(log.id, 25)->segment.head.first == 20);
  REQUIRE(store->remove(key));
  CHECK(store->remove(key + 100).error().code == ErrorCode::kNotFound);
}

TEST_CASE("faults are kept once, newest first, and not without end") {
  Site site;
  samples::NodeLog log("edge-1", 1), other("edge-2", 2);
  const auto store = site.open();
  const auto fault = [&](const samples::NodeLog& of, record::Position position) {
    return StoredFault{.log = of.id,
                       .code = ErrorCode::kLogFork,
                       .position = position,
                       .message = "why",
                       .at_ms = 5,
                       .checkpoint = "note",
                       .segment = "bytes"};
  };
  for (int twice = 0; twice < 2; ++twice)
    for (record::Position i = 0; i < 3; ++i) REQUIRE(store->put_fault(fault(log, i)));
  auto faults = store->faults(log.id);
  REQUIRE(faults);
  REQUIRE(faults->size() == 3);
  CHECK((*faults)[0].position == 2);
  CHECK((*faults)[0].code == ErrorCode::kLogFork);
  CHECK((*faults)[0].checkpoint == "note");
  for (record::Position i = 0; i < 100; ++i) REQUIRE(store->put_fault(fault(log, i)));
  CHECK(store->faults(log.id)->size() == limits::kFaultsPerLogMax);
  REQUIRE(store->put_fault(fault(other, 0)));
  CHECK(store->faults(other.id)->size() == 1);
}

TEST_CASE("on a read-only disk the store can be read, also with the log of a crash") {
  Site site;
  samples::NodeLog log("edge-1", 1);
  const auto writer = site.open();
  announce(*writer, log);
  REQUIRE(writer->append({site.next(log, 10)}));
  site.now_ms += kDayMs;
  REQUIRE(writer->append({site.next(log, 10)}));
  const fs::path copy = site.killed_copy("copy");
  const auto store = site.open(copy, true);
  CHECK(firsts_of(*store) == Positions{10, 0});
  CHECK(store->append({site.next(log, 1)}).error().code == ErrorCode::kIo);
}

}  // namespace
}  // namespace notp::audit
