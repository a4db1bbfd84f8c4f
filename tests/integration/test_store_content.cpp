// The agent's store: content in segments, garbage, damage and its repair.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <fstream>

#include "common/limits.hpp"
#include "notp-client/store/segments.hpp"
#include "tests/support/agent/stored_models.hpp"

namespace notp {

using namespace stored;

TEST_CASE("large content is stored in shared segments") {
  TemporaryFolder folder;
  Model model = {{"data.json", document(4 << 20, 1)}};
  {
    auto store = open(folder.path());
    REQUIRE(store->install(keep_last(2, install_of(model, 1))));
    check_holds(*store, model, 1);
  }
  const int64_t before = count(folder.path(), "segments");
  CHECK(before > 16);
  Model changed = model;
  changed["data.json"].replace(2 << 20, 6, "edited");
  {
    auto store = open(folder.path());
    REQUIRE(store->install(keep_last(2, install_of(changed, 2))));
    check_holds(*store, model, 1);
    check_holds(*store, changed, 2);
  }
  CHECK(count(folder.path(), "segments") <= before + 3);
  {
    auto store = open(folder.path());
    for (uint64_t version = 3; version < 6; ++version)
      REQUIRE(store->install(keep_last(2, install_of(kModel, version))));
    collect_all(*store);
  }
  CHECK(count(folder.path(), "released") == 0);
  CHECK(count(folder.path(), "segments") == 0);
  CHECK(count(folder.path(), "segment_contents") == 0);
}

std::map<std::string, int64_t> rows_of(const std::filesystem::path& folder) {
  std::map<std::string, int64_t> rows;
  for (const char* table : {"files", "blobs", "blob_contents", "segments", "segment_contents"})
    rows[table] = count(folder, table);
  return rows;
}

TEST_CASE("an install deletes no content; idle time does, in small steps, over crashes too") {
  TemporaryFolder folder;
  Model old = {{"data.json", document(40 << 20, 5)}};
  for (int i = 0; i < 300; ++i) old[fmt::format("f{}.rego", i)] = fmt::format("package f{}", i);
  {
    auto store = open(folder.path());
    REQUIRE(store->install(keep_last(2, install_of(old, 1))));
    REQUIRE(store->install(keep_last(2, install_of(kModel, 2))));
  }
  const auto before = rows_of(folder.path());
  REQUIRE(before.at("segments") > static_cast<int64_t>(limits::kCollectRowsMax));
  {
    auto store = open(folder.path());
    REQUIRE(store->install(keep_last(2, install_of(kModel, 3))));  // version 1 goes
    CHECK(versions(*store) == std::vector<uint64_t>{3, 2});
  }
  CHECK(rows_of(folder.path()) == before);
  auto last = before;
  bool more = true;
  int steps = 0;
  for (; more; ++steps) {
    REQUIRE(steps < 20);
    {
      // Each step is the first one of a process.
      auto store = open(folder.path());
      const auto collected = store->collect_garbage();
      REQUIRE(collected);
      more = *collected;
      check_holds(*store, kModel, 2);
      check_holds(*store, kModel, 3);
    }
    const auto now = rows_of(folder.path());
    for (const auto& [table, rows] : now)
      CHECK(last.at(table) - rows <= static_cast<int64_t>(limits::kCollectRowsMax));
    last = now;
  }
  CHECK(steps > 3);
  CHECK(last == std::map<std::string, int64_t>{{"files", 3},
                                               {"blobs", 3},
                                               {"blob_contents", 3},
                                               {"segments", 0},
                                               {"segment_contents", 0}});
  CHECK(count(folder.path(), "released") == 0);
}

TEST_CASE(
    "the first large release goes into a fresh file, with all that was there, checks included") {
  TemporaryFolder folder;
  const auto file = folder.path() / "agent.db";
  const auto size = [&](const char* suffix) {
    std::error_code none;
    const auto bytes = std::filesystem::file_size(file.string() + suffix, none);
    return none ? 0 : bytes;
  };
  const Model large = {{"manifest.json", "{}"}, {"data.json", document(8 << 20, 9)}};
  {
    auto store = open(folder.path());
    REQUIRE(store->install(install_of(kModel, 5)));
    REQUIRE(store->drop(kPayments));
    collect_all(*store);
    REQUIRE(store->pin_root({1, "root"}, false));
  }
  std::ofstream(file.string() + ".new") << "what a crash has left";
  auto store = open(folder.path());
  CHECK(size(".new") == 0);
  CHECK(store->install(install_of(large, 4)).error().code == ErrorCode::kRollback);
  CHECK(size(".new") == 0);
  CHECK(size("") < 1 << 20);
  REQUIRE(store->install(install_of(large, 6)));
  CHECK(size("") > 2 << 20);
  CHECK(size("-wal") < 1 << 20);
  CHECK(size(".new") == 0);
  check_holds(*store, large, 6);
  Model next = large;
  next["manifest.json"] = "{ }";
  REQUIRE(store->install(delta_of(large, next, 7)));
  store.reset();
  store = open(folder.path());
  check_holds(*store, large, 6);
  check_holds(*store, next, 7);
  CHECK(store->load()->root_chain.size() == 1);
  CHECK(store->check().findings.empty());
}

TEST_CASE("content that comes back before it is collected is kept") {
  TemporaryFolder folder;
  const Model large = {{"data.json", document(2 << 20, 6)}};
  auto store = open(folder.path());
  REQUIRE(store->install(keep_last(2, install_of(large, 1))));
  REQUIRE(store->install(keep_last(2, install_of(kModel, 2))));
  REQUIRE(store->install(keep_last(2, install_of(kModel, 3))));  // the large document is garbage
  SUBCASE("as a whole") {
    REQUIRE(store->install(keep_last(2, install_of(large, 4))));
    collect_all(*store);
    check_holds(*store, large, 4);
  }
  SUBCASE("in part, when its blob is gone and its segments are not") {
    REQUIRE(store->collect_garbage());
    Model near = large;
    near["data.json"].replace(1 << 20, 6, "edited");
    REQUIRE(store->install(keep_last(2, install_of(near, 4))));
    collect_all(*store);
    check_holds(*store, near, 4);
    REQUIRE(store->install(keep_last(2, install_of(large, 5))));
    collect_all(*store);
    check_holds(*store, large, 5);
  }
  store.reset();
  CHECK(count(folder.path(), "released") == 0);
}

TEST_CASE(
    "a ledger that is dropped and comes back before it is collected has its new files alone") {
  TemporaryFolder folder;
  {
    auto store = open(folder.path());
    Model old = kModel;
    old["z.rego"] = "package z";
    REQUIRE(store->install(install_of(old, 1)));
    REQUIRE(store->drop(kPayments));
    REQUIRE(store->install(install_of(kModel, 2)));
    REQUIRE(store->install(install_of({{"manifest.json", "{ }"}}, 3)));
  }
  auto store = open(folder.path());
  check_holds(*store, kModel, 2);
  collect_all(*store);
  check_holds(*store, kModel, 2);
  CHECK(store->check().findings.empty());
}

TEST_CASE("a store that has become much smaller gives its space back") {
  TemporaryFolder folder;
  SeededRandom random(8);
  Bytes noise(100 << 20, '\0');
  for (char& byte : noise) byte = static_cast<char>(random.next_u64());
  auto store = open(folder.path());
  REQUIRE(store->install(keep_last(2, install_of({{"noise.json", std::move(noise)}}, 1))));
  const auto file = folder.path() / "agent.db";
  for (uint64_t version = 2; version < 4; ++version) {
    REQUIRE(store->install(keep_last(2, install_of(kModel, version))));
    collect_all(*store);
    CHECK(std::filesystem::file_size(file.string() + "-wal") <= 1 << 20);
    // It stays as long as a release uses it.
    if (version == 2) CHECK(std::filesystem::file_size(file) > 100 << 20);
  }
  CHECK(std::filesystem::file_size(file) < 80 << 20);
  check_holds(*store, kModel, 3);
}

TEST_CASE("segments cover the content and keep to their sizes") {
  for (size_t bytes : {size_t{0}, size_t{1}, limits::kSegmentBytesMin, size_t{3 << 20}}) {
    const Bytes content = document(bytes, bytes);
    const auto segments = store::cut_segments(content);
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
    REQUIRE(store->install(install_of(model, 1)));
    REQUIRE(store->install(install_of(next, 2)));
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
    const auto read = store->blob(model::blob_hash(content));
    if (read) continue;
    CHECK(read.error().code == ErrorCode::kCorrupt);
    ++corrupt;
  }
  CHECK(corrupt > 0);
  REQUIRE(store->install(install_of(next, 2)));
  check_holds(*store, next, 2);
}

TEST_CASE("damaged content is named, each once in the order of paths, and repaired alone") {
  TemporaryFolder folder;
  const Model model = {{"a.rego", "package a"},
                       {"b.json", document(1 << 20, 3)},
                       {"c.rego", "package a"},
                       {"d.rego", "package d"},
                       {"manifest.json", "{}"}};
  auto store = open(folder.path());
  REQUIRE(store->install(install_of(model, 1)));
  CHECK(store->damaged(kPayments, 1).value().empty());
  CHECK(store->damaged(kPayments, 2).error().code == ErrorCode::kNotFound);
  const auto while_stopped = [&](const std::string& sql) {
    store.reset();
    damage(folder.path(), sql);
    store = open(folder.path());
  };
  const auto repair = [&] {
    store::InstallRecord record = install_of(model, 1);
    const std::vector<Hash> damaged = store->damaged(kPayments, 1).value();
    std::erase_if(record.new_blobs, [&](const auto& blob) {
      return std::ranges::find(damaged, blob.first) == damaged.end();
    });
    REQUIRE(record.new_blobs.size() == damaged.size());
    REQUIRE(store->install(record));
    CHECK(store->damaged(kPayments, 1).value().empty());
    store.reset();
    store = open(folder.path());
    check_holds(*store, model, 1);
    collect_all(*store);
    CHECK(store->check().findings.empty());
  };
  SUBCASE("small ones") {
    while_stopped("UPDATE blob_contents SET content = x'7c' WHERE length(content) < 10");
    CHECK(store->damaged(kPayments, 1).value() == std::vector<Hash>{model::blob_hash("package a"),
                                                                    model::blob_hash("package d"),
                                                                    model::blob_hash("{}")});
    repair();
  }
  SUBCASE("one that is missing") {
    while_stopped("DELETE FROM blob_contents WHERE content = x'7b7d'");
    CHECK(store->damaged(kPayments, 1).value() == std::vector<Hash>{model::blob_hash("{}")});
    repair();
  }
  SUBCASE("a segment") {
    while_stopped("UPDATE segment_contents SET content = x'00' WHERE segment = 3");
    CHECK(store->damaged(kPayments, 1).value() ==
          std::vector<Hash>{model::blob_hash(model.at("b.json"))});
    repair();
  }
  SUBCASE("with a file list that is no good, nothing can be said") {
    while_stopped("DELETE FROM files WHERE path = x'612e7265676f'");
    CHECK(store->damaged(kPayments, 1).error().code == ErrorCode::kCorrupt);
  }
}

TEST_CASE("a damaged file list is found on read and repaired") {
  TemporaryFolder folder;
  {
    auto store = open(folder.path());
    REQUIRE(store->install(install_of(kModel, 1)));
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
  REQUIRE(store->install(install_of(kModel, 1)));
  store.reset();
  store = open(folder.path());
  check_holds(*store, kModel, 1);
}

}  // namespace notp
