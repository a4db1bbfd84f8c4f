// The registry's tree in a SQLite database.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <filesystem>
#include <memory>

#include "common/mutex.hpp"
#include "notp-server/audit_tree/tree_store.hpp"

namespace notp::audit {

// Thread-safe: one connection under a mutex. Blocking. All functions: kIo, kCorrupt.
class TreeDatabase final : public TreeStore {
 public:
  // Opens or creates the file. kConfig: it has another format.
  static Result<std::unique_ptr<TreeDatabase>> open(const std::filesystem::path& file);

  // The announcement of the tree; empty: it has none yet.
  Result<Bytes> announcement() const;
  Result<void> set_announcement(const Bytes& announcement);
  // As copy_database().
  Result<void> copy_to(const std::filesystem::path& file) const;

  Result<void> append(const TreeGrowth& growth) override;
  Result<void> put_note(const SealedCheckpoint& checkpoint) override;
  Result<Tile> tile(uint32_t level, uint64_t index) const override;
  Result<std::vector<Bytes>> entries(uint64_t first, uint64_t end, size_t bytes_max) const override;
  Result<std::optional<SealedCheckpoint>> newest() const override;
  Result<std::optional<SealedCheckpoint>> newest_cosigned() const override;
  Result<std::optional<SealedCheckpoint>> checkpoint(uint64_t size) const override;
  Result<std::optional<SealedCheckpoint>> first_above(uint64_t size) const override;
  Result<std::optional<LogLeaf>> leaf_of(const record::LogId& log, uint64_t size) const override;
  Result<std::vector<LogLeaf>> newest_leaves() const override;

 private:
  explicit TreeDatabase(std::unique_ptr<SQLite::Database> database)
      : database_(std::move(database)) {}
  // Runs `body` on the database; an exception becomes an Error.
  template <typename Body>
  auto run(std::string_view doing, Body&& body) const;
  // The one that a query after "SELECT … FROM checkpoints" finds.
  Result<std::optional<SealedCheckpoint>> one(const char* where, uint64_t size = 0) const;

  mutable Mutex mutex_;
  const std::unique_ptr<SQLite::Database> database_ NOTP_GUARDED_BY(mutex_);
};

}  // namespace notp::audit
