// One bit of a store flips while the agent is stopped: in every column of every table, and anywhere
// in the file. It is detected, or it changes nothing; wrong content is never accepted. An agent
// without its registry reports the damage; with the registry the damage is repaired.
#include <SQLiteCpp/SQLiteCpp.h>
#include <fmt/format.h>
#include <sqlite3.h>

#include <fstream>
#include <iterator>
#include <map>

#include "common/storage/files.hpp"
#include "tests/fault/transfer_ends.hpp"
#include "tests/support/agent/stored_models.hpp"

namespace notp {
namespace {

constexpr uint64_t kSeed = 20;
constexpr size_t kKept = 3;
constexpr uint64_t kHead = 4;
constexpr TimeMs kNowMs = samples::kIssuedMs + 1'800'000;

std::map<std::string, Bytes> model(uint64_t version) {
  Bytes large = stored::document(200 << 10, version > kHead ? version : 1);
  large.replace(100 << 10, 8, fmt::format("edit {:03}", version));
  return {{"manifest.json", "{}"},
          {"payments/data.json", std::move(large)},
          {"p.rego", fmt::format("package payments\nversion := {}", version)},
          {"q.rego", "package payments"},
          {"payments/r/data.json", stored::document(3'000, version)}};
}

trust::Root second_root() {
  trust::Root root = samples::tracked_root();
  root.version = 2;
  return root;
}

store::FreshnessKeep attestation(uint64_t sequence, const ServedRelease& head) {
  trust::Freshness freshness = samples::freshness(sequence, {samples::head_of(head.release)});
  freshness.root_version = 2;
  freshness.issued_ms = kNowMs - 20'000 + static_cast<TimeMs>(sequence);
  freshness.expires_ms = freshness.issued_ms + 60'000;
  return {.sequence = sequence,
          .envelope = samples::signed_by(freshness, {7}).encode(),
          .listed = {{samples::kLedger, samples::place_of(head.release)}},
          .parted = {},
          .clock = {freshness.issued_ms, freshness.issued_ms}};
}

void copy_store(const std::filesystem::path& from, const std::filesystem::path& to) {
  std::filesystem::copy(
      from, to,
      std::filesystem::copy_options::recursive | std::filesystem::copy_options::overwrite_existing);
}

// A store with everything that it can hold, made by an agent; and the same with a log that was not
// written back.
struct Scene {
  ReleaseFixture fixture, later;
  TemporaryFolder folder, with_log;
  store::StoreState state;

  Scene() {
    SeededRandom random(kSeed);
    {
      StagingNode node(folder.path(), kKept);
      for (uint64_t version = 1; version < kHead; ++version) {
        fixture.publish(model(version));
        node.converse(fixture, SIZE_MAX, random);
      }
      REQUIRE(node.store().pin_root({2, samples::signed_by(second_root(), {1}).encode()}, true));
      REQUIRE(node.store().keep_freshness(attestation(5, fixture.newest())));
      REQUIRE(node.store().keep_assignment(
          5, samples::signed_by(samples::assignment(5), {7}).encode()));
      REQUIRE(
          node.store().quarantine(samples::kLedger, 2, Error{ErrorCode::kPdpRejected, "no", {}}));
    }
    {
      StagingNode node(folder.path(), kKept);
      const auto parted = std::pair(samples::kLedger, fixture.newest().hash);
      fixture.publish(model(kHead));
      node.converse(fixture, SIZE_MAX, random);
      REQUIRE(node.stored_version() == kHead);
      store::FreshnessKeep keep = attestation(6, fixture.newest());
      keep.parted.push_back(parted);
      REQUIRE(node.store().keep_freshness(keep));
      copy_store(folder.path(), with_log.path());
    }
    // As if content with those two segments had just been removed.
    stored::damage(folder.path(), "INSERT INTO released(segments) VALUES(x'0102')");
    stored::damage(folder.path(), "UPDATE segments SET holders = holders + 1 WHERE id <= 2");
    for (uint64_t version = 1; version <= kHead + kKept; ++version) later.publish(model(version));
    auto store = stored::open(folder.path());
    state = store->load().value();
  }
};

const Scene& scene() {
  static const Scene made;
  return made;
}

bool same(const store::StoreState& a, const store::StoreState& b) {
  const auto roots = [](const store::StoredRoot& x, const store::StoredRoot& y) {
    return x.version == y.version && x.envelope == y.envelope;
  };
  const auto statements = [](const store::StoredStatement& x, const store::StoredStatement& y) {
    return x.envelope == y.envelope && x.accepted_ms == y.accepted_ms;
  };
  const auto releases = [](const store::StoredRelease& x, const store::StoredRelease& y) {
    return x.ref.version == y.ref.version && x.ref.release_hash == y.ref.release_hash &&
           x.envelope == y.envelope && x.ref.content_root == y.ref.content_root &&
           x.confirmed == y.confirmed && x.quarantined == y.quarantined &&
           x.stored_ms == y.stored_ms;
  };
  const auto ledgers = [&](const auto& x, const auto& y) {
    return x.first == y.first && x.second.floor == y.second.floor &&
           x.second.listed == y.second.listed &&
           std::ranges::equal(x.second.releases, y.second.releases, releases);
  };
  return std::ranges::equal(a.root_chain, b.root_chain, roots) &&
         a.freshness_sequence == b.freshness_sequence && a.assignment == b.assignment &&
         a.clock.wall_ms == b.clock.wall_ms &&
         std::ranges::equal(a.statements, b.statements, statements) &&
         std::ranges::equal(a.ledgers, b.ledgers, ledgers);
}

// Reads everything. True: nothing is missing or wrong. Content returned as valid must be valid.
// `may_be_older`: the part of a log after the damage does not count.
bool reads_right(store::SqliteStore& store, bool may_be_older) {
  const auto state = store.load();
  bool right = state && same(*state, scene().state);
  if (state && !may_be_older) {
    CHECK(state->freshness_sequence == scene().state.freshness_sequence);
    CHECK(state->assignment == scene().state.assignment);
    CHECK(state->clock.wall_ms == scene().state.clock.wall_ms);
    CHECK(state->root_chain.size() == 2);
    for (const auto& [ledger, stored] : state->ledgers) {
      CHECK(stored.floor == scene().state.ledgers.at(ledger).floor);
      CHECK(stored.listed == scene().state.ledgers.at(ledger).listed);
    }
  }
  for (uint64_t version = 1; version <= kHead; ++version) {
    const ServedRelease& release = scene().fixture.at(version);
    const auto tree = store.tree(samples::kLedger, version);
    if (version > kHead - kKept) right &= tree.has_value();
    if (tree) CHECK((*tree)->content_root() == release.tree->content_root());
    (void)store.damaged(samples::kLedger, version);
    for (const auto& [hash, bytes] : release.blobs) {
      const auto content = store.blob(hash);
      if (content) CHECK(**content == *bytes);
      if (version > kHead - kKept) right &= content.has_value();
    }
  }
  return right;
}

// Starts as an agent would; returns the error if that fails.
Result<void> try_start(const std::filesystem::path& folder) {
  NOTP_ASSIGN(const auto store, store::SqliteStore::open(folder));
  NOTP_ASSIGN(store::StoreState state, store->load());
  NOTP_TRY(agent::AgentTrust::open({.trust_domain = std::string(samples::kDomain),
                                    .audience = samples::kNode,
                                    .ledgers = {samples::kLedger}},
                                   samples::signed_by(samples::root(), {1}).encode(), state,
                                   Now{kNowMs, 5'000}));
  return {};
}

std::vector<store::StoreFinding> findings(const std::filesystem::path& folder) {
  const auto store = store::SqliteStore::open_to_read(folder);
  if (store) return (*store)->check().findings;
  return {{"database", "agent.db", store.error().message, "?"}};
}

struct Counts {
  size_t cases = 0, found = 0, harmless = 0, no_start = 0, alone = 0, fallen_back = 0;
  std::map<std::string, size_t> harmless_in;

  std::string text() const {
    std::string out = fmt::format(
        "seed {}: {} flips, {} found by verify, {} without effect; {} keep the agent from "
        "starting, with advice; without its registry {} agents go on with the newest release, {} "
        "say that they cannot; without effect:",
        kSeed, cases, found, harmless, no_start, alone, fallen_back);
    for (const auto& [where, number] : harmless_in) out += fmt::format(" {} {}", where, number);
    return out;
  }
};

// With the registry: gets the newest release at once, and is free of damage once the releases of
// that time are gone.
void heals(StagingNode& node, SeededRandom& random) {
  for (int session = 0; session < 4; ++session) node.converse(scene().fixture, SIZE_MAX, random);
  CHECK(node.stored_version() == kHead);
  CHECK(node.active_version() == kHead);
  CHECK(node.store().damaged(samples::kLedger, kHead).value_or(std::vector<Hash>{Hash{}}).empty());
  ReleaseFixture fixture = scene().fixture;
  for (uint64_t version = kHead + 1; version <= kHead + kKept; ++version) {
    fixture.publish(model(version));
    node.converse(fixture, SIZE_MAX, random);
    CHECK(node.active_version() == version);
  }
  CHECK(node.store().keep_freshness(attestation(9, fixture.newest())));
  stored::collect_all(node.store());
}

void judge(const TemporaryFolder& folder, const std::string& where, bool may_be_older,
           Counts& counts) {
  ++counts.cases;
  const auto found = findings(folder.path());
  for (const store::StoreFinding& finding : found) CHECK_FALSE(finding.advice.empty());
  if (!found.empty()) ++counts.found;
  const auto start = try_start(folder.path());
  bool right = false;
  if (auto store = store::SqliteStore::open(folder.path()))
    right = reads_right(**store, may_be_older);
  if (found.empty()) {
    CHECK((right || may_be_older));
    ++counts.harmless;
    ++counts.harmless_in[where];
  }
  if (!start) {
    ++counts.no_start;
    CHECK(start.error().code == ErrorCode::kCorrupt);
    CHECK(start.error().message.find("move the data folder away") != std::string::npos);
    return;
  }
  SeededRandom random(counts.cases);
  {
    StagingNode node(folder.path(), kKept, &scene().later);
    if (node.active_version() == kHead) {
      ++counts.alone;
    } else if (!may_be_older) {
      ++counts.fallen_back;
      CHECK_FALSE(node.alarms().empty());
    }
    heals(node, random);
  }
  for (const store::StoreFinding& finding : findings(folder.path()))
    FAIL_CHECK("not healed: ", finding.part, " ", finding.subject, ": ", finding.problem);
}

// --- in the tables

std::vector<std::string> names(SQLite::Database& database, const std::string& sql) {
  std::vector<std::string> out;
  SQLite::Statement query(database, sql);
  while (query.executeStep()) out.push_back(query.getColumn(0).getString());
  return out;
}

void bind_column(SQLite::Statement& statement, int index, const SQLite::Column& column) {
  if (column.isInteger()) return statement.bind(index, column.getInt64());
  if (column.isNull()) return statement.bind(index);
  const std::string bytes(static_cast<const char*>(column.getBlob()),
                          static_cast<size_t>(column.getBytes()));
  if (column.isText()) return statement.bind(index, bytes);
  statement.bind(index, bytes.data(), static_cast<int>(bytes.size()));
}

// Flips one bit of a value; false: there is none, or a store cannot hold the result.
bool flip(const std::filesystem::path& folder, const std::string& table, const std::string& column,
          size_t row, SeededRandom& random) {
  SQLite::Database database((folder / "agent.db").string(), SQLite::OPEN_READWRITE);
  database.exec("PRAGMA ignore_check_constraints = ON");
  const auto columns = names(database, "SELECT name FROM pragma_table_info('" + table + "')");
  std::string where;
  for (size_t i = 0; i < columns.size(); ++i)
    where += fmt::format("{}{} IS ?{}", i == 0 ? "" : " AND ", columns[i], i + 2);
  SQLite::Statement select(database, fmt::format("SELECT * FROM {} LIMIT 1 OFFSET {}", table, row));
  if (!select.executeStep()) return false;
  const SQLite::Column value = select.getColumn(column.c_str());
  SQLite::Statement update(database,
                           fmt::format("UPDATE {} SET {} = ?1 WHERE {}", table, column, where));
  if (value.isInteger()) {
    // Low bits collide with values of other rows.
    const uint64_t bit = random.below(2) == 0 ? random.below(4) : random.below(63);
    update.bind(1, value.getInt64() ^ (int64_t{1} << bit));
  } else {
    std::string bytes(static_cast<const char*>(value.getBlob()),
                      static_cast<size_t>(value.getBytes()));
    if (bytes.empty()) return false;
    char& byte = bytes[random.below(bytes.size())];
    byte = static_cast<char>(byte ^ (1 << random.below(value.isText() ? 5 : 8)));
    if (value.isText())
      update.bind(1, bytes);
    else
      update.bind(1, bytes.data(), static_cast<int>(bytes.size()));
  }
  for (size_t i = 0; i < columns.size(); ++i)
    bind_column(update, static_cast<int>(i) + 2, select.getColumn(static_cast<int>(i)));
  return update.tryExecuteStep() == SQLITE_DONE && database.getChanges() == 1;
}

void flip_byte(const std::filesystem::path& file, size_t at, SeededRandom& random) {
  std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
  stream.seekg(static_cast<std::streamoff>(at));
  const auto byte = static_cast<char>(stream.get() ^ (1 << random.below(8)));
  stream.seekp(static_cast<std::streamoff>(at));
  stream.put(byte);
  REQUIRE(stream.good());
}

}  // namespace

TEST_CASE(
    "a bit that flips in any column of any table is found and goes away, or changes nothing") {
  REQUIRE(findings(scene().folder.path()).empty());
  std::vector<std::pair<std::string, std::string>> places;
  {
    SQLite::Database database((scene().folder.path() / "agent.db").string());
    for (const auto& table :
         names(database, "SELECT name FROM sqlite_master WHERE type = 'table'")) {
      CHECK_MESSAGE(database.execAndGet("SELECT COUNT(*) FROM " + table).getInt() > 0, table);
      for (const auto& column :
           names(database, "SELECT name FROM pragma_table_info('" + table + "')"))
        places.emplace_back(table, column);
    }
  }
  SeededRandom random(kSeed);
  Counts counts;
  for (const auto& [table, column] : places) {
    size_t rows = 0;
    {
      SQLite::Database database((scene().folder.path() / "agent.db").string());
      rows = static_cast<size_t>(database.execAndGet("SELECT COUNT(*) FROM " + table).getInt());
    }
    for (int time = 0; time < 3; ++time) {
      TemporaryFolder folder;
      copy_store(scene().folder.path(), folder.path());
      const size_t row = random.below(rows);
      if (!flip(folder.path(), table, column, row, random)) continue;
      INFO(table, ".", column, " row ", row, " time ", time);
      judge(folder, table + "." + column, /*may_be_older=*/false, counts);
    }
  }
  MESSAGE(places.size(), " columns; ", counts.text());
}

TEST_CASE("a bit that flips anywhere in the file is found and goes away, or changes nothing") {
  SeededRandom random(kSeed + 1);
  Counts counts;
  const size_t bytes = std::filesystem::file_size(scene().folder.path() / "agent.db");
  for (int i = 0; i < 100; ++i) {
    TemporaryFolder folder;
    copy_store(scene().folder.path(), folder.path());
    // The header, the schema, the freelist's trunk: everything else depends on them.
    const size_t at = i % 4 == 0 ? random.below(i % 8 == 0 ? 100 : 4096) : random.below(bytes);
    flip_byte(folder.path() / "agent.db", at, random);
    INFO("byte ", at, " of ", bytes);
    judge(folder, "file", /*may_be_older=*/false, counts);
  }
  MESSAGE(counts.text());
}

TEST_CASE(
    "a bit that flips in the number of the format keeps the agent from starting, with advice") {
  constexpr size_t kFormatNumber = 60;  // SQLite's user_version, 4 bytes, big-endian
  for (size_t bit = 0; bit < 32; ++bit) {
    TemporaryFolder folder;
    copy_store(scene().folder.path(), folder.path());
    const auto file = folder.path() / "agent.db";
    auto content = read_file(file, 1 << 30).value();
    char& byte = content[kFormatNumber + bit / 8];
    byte = static_cast<char>(byte ^ (1 << bit % 8));
    REQUIRE(write_file(file, content));
    INFO("bit ", bit);
    const auto start = try_start(folder.path());
    REQUIRE_FALSE(start);
    CHECK((start.error().code == ErrorCode::kCorrupt || start.error().code == ErrorCode::kConfig));
    CHECK(start.error().message.find("move the data folder away") != std::string::npos);
    CHECK(store::SqliteStore::open_to_read(folder.path()).error().code == ErrorCode::kConfig);
    // It was refused, and not changed.
    const Bytes after = read_file(file, 1 << 30).value();
    CHECK(after.substr(kFormatNumber, 4) == content.substr(kFormatNumber, 4));
  }
}

TEST_CASE("a bit that flips in the log takes what comes after it along, or is found") {
  SeededRandom random(kSeed + 2);
  Counts counts;
  const size_t bytes = std::filesystem::file_size(scene().with_log.path() / "agent.db-wal");
  REQUIRE(bytes > 1000);
  for (int i = 0; i < 40; ++i) {
    TemporaryFolder folder;
    copy_store(scene().with_log.path(), folder.path());
    const size_t at = random.below(bytes);
    flip_byte(folder.path() / "agent.db-wal", at, random);
    INFO("byte ", at, " of ", bytes);
    judge(folder, "log", /*may_be_older=*/true, counts);
  }
  MESSAGE(counts.text());
}

}  // namespace notp
