// What the agent knows of OPA's events, on disk: opa-ids.db beside the spool.
//
// Everything in it is about records that are durable in the log: it is written after them, in one
// transaction with the position in OPA's file. What a crash leaves out is found in the log itself,
// from `through` on.
#pragma once

#include <deque>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/result.hpp"
#include "notp-client/opa_log/counts.hpp"
#include "notp-client/opa_log/dedup.hpp"
#include "notp-client/opa_log/log_file.hpp"
#include "protocol/record/log_id.hpp"

namespace SQLite {
class Database;
}

namespace notp::opa_log {

inline constexpr std::string_view kIdsFileName = "opa-ids.db";

struct IdsPlace {
  std::string log;               // hexadecimal log id
  record::Position through = 0;  // ids of records before it are in the file
  record::Position gaps = 0;     // gap records before it are in the counts
  FilePosition file;
};

// One thread at a time.
class IdsFile {
 public:
  // Creates it when there is none. A damaged one is kept beside as "opa-ids.db.damaged", and a new
  // one begins: then the log is read from its start. kIo.
  static Result<std::unique_ptr<IdsFile>> open(const std::filesystem::path& folder);
  ~IdsFile();

  Result<IdsPlace> load(KnownEvents& known, SourceCounts& counts);

  // Keys in the order of their arrival, by instance. Blocks for one fsync.
  struct Batch {
    std::map<std::string, std::vector<EventKey>> keys;
    IdsPlace place;
  };
  Result<void> commit(const Batch& batch, const KnownEvents& known, const SourceCounts& counts);

 private:
  explicit IdsFile(std::unique_ptr<SQLite::Database> database);
  void make_tables();
  // Deletes the rows that no set needs; returns how many of each instance.
  std::map<std::string, size_t> delete_old(const KnownEvents& known);
  void forget(const std::map<std::string, size_t>& deleted);

  struct Rows {
    std::deque<std::pair<int64_t, size_t>> batches;  // row, keys
    size_t keys = 0;
  };

  const std::unique_ptr<SQLite::Database> database_;
  std::map<std::string, Rows> rows_;
};

}  // namespace notp::opa_log
