// A lane's events in one SQLite file. What a crash leaves: all that was committed.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <unordered_map>

#include "common/random.hpp"
#include "notp-server/lane/event_store.hpp"
#include "notp-server/lane/grants.hpp"

namespace SQLite {
class Database;
class Statement;
class Transaction;
}  // namespace SQLite

namespace notp::lane {

struct EventStoreOptions {
  // Of the restore after which the folder has this file; 0: there was none. A file that has not
  // seen it gets another instance: what came after its backup is lost.
  int64_t restored_ms = 0;
};

// Names a history that begins.
feed::TokenId new_instance(Random& random);

class SqliteEventStore final : public EventStore {
 public:
  // Opens or creates the file. kCorrupt, kIo; kConfig: a newer program wrote it.
  static Result<std::unique_ptr<SqliteEventStore>> open(const std::filesystem::path& file,
                                                        Random& random,
                                                        const EventStoreOptions& options = {});
  ~SqliteEventStore() override;
  SqliteEventStore(const SqliteEventStore&) = delete;
  SqliteEventStore& operator=(const SqliteEventStore&) = delete;

  // Before the first use. Erases what is kept beside these attributes, if they were others before,
  // and returns of how many tokens. Writes each of these rows: kIo, kCorrupt.
  Result<size_t> keep_only(const Attributes& attributes);

  const StoreState& state() const override { return state_; }
  uint64_t bytes() const override;
  Result<std::unique_ptr<StoreCopy>> begin_copy(const std::filesystem::path& file) override;
  Result<void> set_instance(const feed::TokenId& instance) override;
  Result<void> begin() override;
  Result<void> commit() override;
  void roll_back() override;
  Result<void> put(const Row& row) override;
  Result<void> erase(const feed::EventKey& key) override;
  Result<bool> note_key(std::string_view source, std::string_view key, int64_t now_s) override;
  Result<size_t> remove_ended(int64_t now_s, size_t max) override;
  Result<std::optional<Row>> find(const feed::EventKey& key) override;
  Result<Page> tail(uint64_t after, size_t rows_max, size_t bytes_max) override;
  Result<Page> range(const std::optional<feed::EventKey>& after, size_t rows_max,
                     size_t bytes_max) override;

 private:
  struct Statements;

  explicit SqliteEventStore(std::unique_ptr<SQLite::Database> database);
  void read_state();
  Result<void> put_body(const Row& row);
  // Of a source; it gets one with its first event.
  int64_t number_of(std::string_view source);
  std::string name_of(int64_t source);
  Row read_row(const SQLite::Statement& statement);
  Page read_page(SQLite::Statement& statement, size_t rows_max, size_t bytes_max);

  const std::unique_ptr<SQLite::Database> database_;
  std::unique_ptr<Statements> statements_;
  std::unique_ptr<SQLite::Transaction> transaction_;
  StoreState state_, before_;
  std::unordered_map<std::string, int64_t> sources_;
  std::unordered_map<int64_t, std::string> names_;
};

}  // namespace notp::lane
