#include "notp-server/lane/sqlite_event_store.hpp"

#include <SQLiteCpp/SQLiteCpp.h>
#include <SQLiteCpp/VariadicBind.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>
#include <vector>

#include "common/assert.hpp"
#include "common/crypto/digest.hpp"
#include "common/storage/sqlite.hpp"
#include "common/storage/sqlite_copy.hpp"
#include "common/storage/sqlite_values.hpp"
#include "notp-server/lane/lane_limits.hpp"
#include "notp-server/lane/row_counts.hpp"

namespace notp::lane {
namespace {

using feed::Event;
using feed::EventKey;
using feed::EventKind;
using feed::TokenId;

constexpr int kFormat = 1;
constexpr const char* kDoing = "token lane";
constexpr const char* kSchema = R"(
CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE sources (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE events (
  kind INTEGER NOT NULL,
  id BLOB NOT NULL,
  revision INTEGER NOT NULL,
  at_s INTEGER NOT NULL,
  remove_s INTEGER NOT NULL,
  replaced INTEGER NOT NULL,
  source INTEGER NOT NULL REFERENCES sources (number),
  not_before_s INTEGER NOT NULL,
  until_s INTEGER NOT NULL,
  bits INTEGER NOT NULL,
  body BLOB NOT NULL,
  PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX events_by_revision ON events (revision);
CREATE INDEX events_by_end ON events (remove_s);
CREATE TABLE keys (
  source INTEGER NOT NULL,
  key BLOB NOT NULL,
  at_s INTEGER NOT NULL,
  PRIMARY KEY (source, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX keys_by_time ON keys (at_s);
)";
constexpr const char* kColumns =
    "kind, id, revision, at_s, remove_s, replaced, source, not_before_s, until_s, bits, body";
// Snapshots of large lanes read the file from end to end; it is not to be read again for each page.
constexpr const char* kCache = "PRAGMA cache_size = -32768";
// What is deleted or changed is overwritten: attributes are gone when they are said to be.
constexpr const char* kErase = "PRAGMA secure_delete = ON";

// Keys are as long as their sources make them; 16 bytes of their hash are enough to know them.
Bytes key_hash(std::string_view key) { return Bytes(feed::token_id(key).view()); }

std::string select(std::string_view rest) {
  return fmt::format("SELECT {} FROM events {}", kColumns, rest);
}

int64_t signed_of(uint64_t value) { return static_cast<int64_t>(value); }
uint64_t unsigned_of(const SQLite::Column& column) {
  return static_cast<uint64_t>(column.getInt64());
}

}  // namespace

struct SqliteEventStore::Statements {
  explicit Statements(SQLite::Database& database)
      : put(database, fmt::format("INSERT OR REPLACE INTO events ({}) VALUES "
                                  "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                                  kColumns)),
        erase(database, "DELETE FROM events WHERE kind = ? AND id = ?"),
        find(database, select("WHERE kind = ? AND id = ?")),
        tail(database, select("WHERE revision > ? ORDER BY revision")),
        range(database, select("WHERE (kind, id) > (?, ?) ORDER BY kind, id")),
        ended(database,
              "SELECT kind, id, revision, replaced FROM events WHERE remove_s <= ? "
              "ORDER BY remove_s LIMIT ?"),
        note(database, "INSERT OR IGNORE INTO keys VALUES (?, ?, ?)"),
        forget(database,
               "DELETE FROM keys WHERE (source, key) IN "
               "(SELECT source, key FROM keys WHERE at_s <= ? ORDER BY at_s LIMIT ?)"),
        add_source(database, "INSERT INTO sources (name) VALUES (?)") {}

  SQLite::Statement put, erase, find, tail, range, ended, note, forget, add_source;
};

namespace {

class FileCopy final : public StoreCopy {
 public:
  explicit FileCopy(std::unique_ptr<DatabaseCopy> copy) : copy_(std::move(copy)) {}
  Result<bool> step() override { return copy_->step(kCopyPagesAtOnce); }
  Result<void> finish() override { return copy_->finish(); }

 private:
  const std::unique_ptr<DatabaseCopy> copy_;
};

// Resets a statement at the end of its use, on every way out.
class Use {
 public:
  explicit Use(SQLite::Statement& statement) : statement_(statement) {}
  ~Use() { statement_.tryReset(); }
  Use(const Use&) = delete;
  Use& operator=(const Use&) = delete;

 private:
  SQLite::Statement& statement_;
};

void bind_key(SQLite::Statement& statement, const EventKey& key) {
  statement.bind(1, static_cast<int>(key.kind));
  bind_blob(statement, 2, key.id.view());
}

EventKey key_at(const SQLite::Statement& row) {
  const auto id = TokenId::from_bytes(blob_of(row.getColumn(1)));
  require(id);
  return {static_cast<EventKind>(row.getColumn(0).getInt()), *id};
}

}  // namespace

TokenId new_instance(Random& random) {
  const std::array<uint64_t, 2> words = {random.next_u64(), random.next_u64()};
  TokenId out;
  static_assert(sizeof words == TokenId::kSize);
  std::memcpy(out.bytes.data(), words.data(), sizeof words);
  return out;
}

Result<std::unique_ptr<SqliteEventStore>> SqliteEventStore::open(const std::filesystem::path& file,
                                                                 Random& random,
                                                                 const EventStoreOptions& options) {
  NOTP_ASSIGN(auto database, open_database(file));
  std::unique_ptr<SqliteEventStore> store(new SqliteEventStore(std::move(database)));
  NOTP_TRY(attempt(kDoing, [&] {
    SQLite::Database& opened = *store->database_;
    make_tables(opened, file.string(), kFormat, kSchema);
    opened.exec(kCache);
    opened.exec(kErase);
    const std::string restored = std::to_string(options.restored_ms);
    const Bytes known = meta_value(opened, "restored_ms");
    if (known.empty() || (options.restored_ms != 0 && known != restored)) {
      const TokenId instance = new_instance(random);
      SQLite::Transaction transaction(opened);
      put_meta(opened, "instance", instance.view());
      put_meta(opened, "restored_ms", restored);
      transaction.commit();
    }
    store->read_state();
    store->statements_ = std::make_unique<Statements>(opened);
  }));
  return store;
}

// The list is written last: after a crash it is done again.
Result<size_t> SqliteEventStore::keep_only(const Attributes& attributes) {
  const std::string wanted = std::to_string(attributes.bits());
  size_t erased = 0;
  std::optional<EventKey> after(EventKey{EventKind::kToken, {}});
  NOTP_TRY(attempt(kDoing, [&] {
    const Bytes known = meta_value(*database_, "attributes");
    if (known == Bytes(wanted)) after.reset();
  }));
  if (!after) return erased;
  while (after) {
    NOTP_ASSIGN(const Page page, range(after, kRewriteRowsMax, SIZE_MAX));
    NOTP_TRY(begin());
    auto rewritten = [&]() -> Result<void> {
      for (const Row& row : page.rows) {
        if (row.event.kind != EventKind::kToken) break;
        Row fewer = row;
        fewer.event.record = attributes.project(row.event.record);
        if (fewer.event.record == row.event.record) continue;
        ++erased;
        NOTP_TRY(put_body(fewer));
      }
      return commit();
    }();
    if (!rewritten) {
      roll_back();
      return std::unexpected(std::move(rewritten).error());
    }
    const bool has_more = page.more && page.rows.back().event.kind == EventKind::kToken;
    after = has_more ? std::optional(key_of(page.rows.back().event)) : std::nullopt;
  }
  NOTP_TRY(attempt(kDoing, [&] {
    put_meta(*database_, "attributes", wanted);
    if (erased == 0) return;
    // Pages keep copies of rows that were moved in them; the log had all of it.
    database_->exec("VACUUM");
    database_->exec("PRAGMA wal_checkpoint(TRUNCATE)");
  }));
  return erased;
}

Result<void> SqliteEventStore::put_body(const Row& row) {
  return attempt(kDoing, [&] {
    SQLite::Statement update(*database_, "UPDATE events SET body = ? WHERE kind = ? AND id = ?");
    bind_blob(update, 1, feed::encode_record(row.event.record));
    update.bind(2, static_cast<int>(row.event.kind));
    bind_blob(update, 3, row.event.id.view());
    update.exec();
  });
}

SqliteEventStore::SqliteEventStore(std::unique_ptr<SQLite::Database> database)
    : database_(std::move(database)) {}

SqliteEventStore::~SqliteEventStore() = default;

void SqliteEventStore::read_state() {
  const auto instance = TokenId::from_bytes(meta_value(*database_, "instance"));
  require(instance);
  state_.instance = *instance;
  const auto number = [&](const char* name) -> uint64_t {
    const Bytes text = meta_value(*database_, name);
    return text.empty() ? 0 : std::stoull(text);
  };
  state_.compacted = number("compacted");
  state_.head = std::max<uint64_t>(
      {number("head"), state_.compacted,
       static_cast<uint64_t>(
           database_->execAndGet("SELECT coalesce(max(revision), 0) FROM events").getInt64())});
  SQLite::Statement counts(*database_, "SELECT kind, count(*) FROM events GROUP BY kind");
  while (counts.executeStep())
    count_of(state_, static_cast<EventKind>(counts.getColumn(0).getInt())) =
        unsigned_of(counts.getColumn(1));
  SQLite::Statement sources(*database_, "SELECT number, name FROM sources");
  while (sources.executeStep()) {
    const int64_t source = sources.getColumn(0).getInt64();
    names_[source] = sources.getColumn(1).getString();
    sources_[names_[source]] = source;
  }
}

uint64_t SqliteEventStore::bytes() const {
  const auto bytes = sqlite_try(kDoing, [&] {
    return static_cast<uint64_t>(database_->execAndGet("PRAGMA page_count").getInt64()) *
           static_cast<uint64_t>(database_->execAndGet("PRAGMA page_size").getInt64());
  });
  return bytes.value_or(0);
}

Result<void> SqliteEventStore::set_instance(const TokenId& instance) {
  NOTP_TRY(attempt(kDoing, [&] { put_meta(*database_, "instance", instance.view()); }));
  state_.instance = instance;
  return {};
}

Result<void> SqliteEventStore::begin() {
  NOTP_ASSERT(transaction_ == nullptr, "one transaction at a time");
  before_ = state_;
  return attempt(kDoing, [&] {
    transaction_ =
        std::make_unique<SQLite::Transaction>(*database_, SQLite::TransactionBehavior::IMMEDIATE);
  });
}

// The row of the newest event may be removed: the head stands in meta as well.
Result<void> SqliteEventStore::commit() {
  NOTP_ASSERT(transaction_ != nullptr, "a transaction was begun");
  NOTP_TRY(attempt(kDoing, [&] {
    if (state_.head != before_.head) put_meta(*database_, "head", std::to_string(state_.head));
    if (state_.compacted != before_.compacted)
      put_meta(*database_, "compacted", std::to_string(state_.compacted));
    transaction_->commit();
  }));
  transaction_.reset();
  return {};
}

// SQLite may have rolled back itself; sources that got a number in it lose it again.
void SqliteEventStore::roll_back() {
  transaction_.reset();
  state_ = before_;
  sources_.clear();
  names_.clear();
}

int64_t SqliteEventStore::number_of(std::string_view source) {
  const std::string name(source);
  if (const auto known = sources_.find(name); known != sources_.end()) return known->second;
  SQLite::Statement find(*database_, "SELECT number FROM sources WHERE name = ?");
  find.bind(1, name);
  int64_t number = 0;
  if (find.executeStep()) {
    number = find.getColumn(0).getInt64();
  } else {
    const Use use(statements_->add_source);
    statements_->add_source.bind(1, name);
    statements_->add_source.exec();
    number = database_->getLastInsertRowid();
  }
  names_[number] = name;
  sources_[name] = number;
  return number;
}

std::string SqliteEventStore::name_of(int64_t source) {
  if (const auto known = names_.find(source); known != names_.end()) return known->second;
  SQLite::Statement find(*database_, "SELECT name FROM sources WHERE number = ?");
  find.bind(1, source);
  return find.executeStep() ? find.getColumn(0).getString() : std::string();
}

Result<void> SqliteEventStore::put(const Row& row) {
  NOTP_ASSERT(row.revision > state_.head, "revisions only grow");
  return attempt(kDoing, [&] {
    const Event& event = row.event;
    const EventKey key = key_of(event);
    {
      const Use use(statements_->find);
      bind_key(statements_->find, key);
      if (!statements_->find.executeStep()) ++count_of(state_, key.kind);
    }
    SQLite::Statement& put = statements_->put;
    const Use use(put);
    const Bytes body = event.kind == EventKind::kToken ? encode_record(event.record) : event.list;
    bind_key(put, key);
    put.bind(3, signed_of(row.revision));
    put.bind(4, row.at_s);
    put.bind(5, row.remove_s);
    put.bind(6, static_cast<int>(row.replaced));
    put.bind(7, number_of(row.source));
    put.bind(8, event.not_before_s);
    put.bind(9, event.until_s);
    put.bind(10, static_cast<int>(event.bits));
    bind_blob(put, 11, body);
    put.exec();
    state_.head = row.revision;
  });
}

Result<void> SqliteEventStore::erase(const EventKey& key) {
  return attempt(kDoing, [&] {
    const Use use(statements_->erase);
    bind_key(statements_->erase, key);
    count_of(state_, key.kind) -= static_cast<uint64_t>(statements_->erase.exec());
  });
}

Result<bool> SqliteEventStore::note_key(std::string_view source, std::string_view key,
                                        int64_t now_s) {
  return attempt(kDoing, [&] {
    SQLite::Statement& note = statements_->note;
    const Use use(note);
    const Bytes hash = key_hash(key);
    note.bind(1, number_of(source));
    bind_blob(note, 2, hash);
    note.bind(3, now_s);
    return note.exec() == 1;
  });
}

Result<size_t> SqliteEventStore::remove_ended(int64_t now_s, size_t max) {
  return attempt(kDoing, [&] {
    std::vector<EventKey> gone;
    {
      SQLite::Statement& ended = statements_->ended;
      const Use use(ended);
      SQLite::bind(ended, now_s, static_cast<int64_t>(max));
      while (ended.executeStep()) {
        gone.push_back(key_at(ended));
        const Row row{.event = {.kind = gone.back().kind, .id = gone.back().id},
                      .revision = unsigned_of(ended.getColumn(2)),
                      .replaced = ended.getColumn(3).getInt() != 0,
                      .source = {}};
        if (removal_compacts(row)) state_.compacted = std::max(state_.compacted, row.revision);
      }
    }
    for (const EventKey& key : gone) {
      const Use use(statements_->erase);
      bind_key(statements_->erase, key);
      count_of(state_, key.kind) -= static_cast<uint64_t>(statements_->erase.exec());
    }
    const Use use(statements_->forget);
    SQLite::bind(statements_->forget, now_s - kKeyLifeS, static_cast<int64_t>(max));
    const int forgotten = statements_->forget.exec();
    return std::max(gone.size(), static_cast<size_t>(forgotten));
  });
}

Row SqliteEventStore::read_row(const SQLite::Statement& statement) {
  Row row;
  const EventKey key = key_at(statement);
  row.event.kind = key.kind;
  row.event.id = key.id;
  row.revision = unsigned_of(statement.getColumn(2));
  row.at_s = statement.getColumn(3).getInt64();
  row.remove_s = statement.getColumn(4).getInt64();
  row.replaced = statement.getColumn(5).getInt() != 0;
  row.source = name_of(statement.getColumn(6).getInt64());
  row.event.not_before_s = statement.getColumn(7).getInt64();
  row.event.until_s = statement.getColumn(8).getInt64();
  row.event.bits = statement.getColumn(9).getUInt();
  if (key.kind == EventKind::kToken) {
    auto record = feed::decode_record(blob_of(statement.getColumn(10)));
    require(record);
    row.event.record = *std::move(record);
  } else {
    row.event.list = blob_of(statement.getColumn(10));
  }
  return row;
}

EventStore::Page SqliteEventStore::read_page(SQLite::Statement& statement, size_t rows_max,
                                             size_t bytes_max) {
  Page page;
  size_t bytes = 0;
  while (statement.executeStep()) {
    if (page.rows.size() == rows_max || bytes >= bytes_max) {
      page.more = true;
      break;
    }
    page.rows.push_back(read_row(statement));
    bytes += bytes_of(page.rows.back().event);
  }
  return page;
}

Result<std::optional<Row>> SqliteEventStore::find(const EventKey& key) {
  return attempt(kDoing, [&]() -> std::optional<Row> {
    const Use use(statements_->find);
    bind_key(statements_->find, key);
    if (!statements_->find.executeStep()) return std::nullopt;
    return read_row(statements_->find);
  });
}

Result<EventStore::Page> SqliteEventStore::tail(uint64_t after, size_t rows_max, size_t bytes_max) {
  return attempt(kDoing, [&] {
    const Use use(statements_->tail);
    statements_->tail.bind(1, signed_of(std::min<uint64_t>(after, INT64_MAX)));
    return read_page(statements_->tail, rows_max, bytes_max);
  });
}

Result<EventStore::Page> SqliteEventStore::range(const std::optional<EventKey>& after,
                                                 size_t rows_max, size_t bytes_max) {
  return attempt(kDoing, [&] {
    const Use use(statements_->range);
    if (after) {
      bind_key(statements_->range, *after);
    } else {
      statements_->range.bind(1, 0);
      bind_blob(statements_->range, 2, {});
    }
    return read_page(statements_->range, rows_max, bytes_max);
  });
}

Result<std::unique_ptr<StoreCopy>> SqliteEventStore::begin_copy(const std::filesystem::path& file) {
  NOTP_ASSIGN(auto copy, DatabaseCopy::begin(*database_, file));
  return std::make_unique<FileCopy>(std::move(copy));
}

}  // namespace notp::lane
