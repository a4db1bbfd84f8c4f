// What a node keeps of its token lane over a restart: the file lane.db in the agent's data folder.
// README.md of notp-client/lane says what is in it.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "notp-client/lane/core/lane_effect.hpp"
#include "notp-client/lane/store/lane_rows.hpp"
#include "notp-client/lane/store/record_seal.hpp"

namespace SQLite {
class Database;
}

namespace notp::lane {

inline constexpr const char* kLaneFile = "lane.db";

struct LaneStoreOptions {
  std::filesystem::path folder;
  std::string trust_domain, lane;
  std::optional<RecordSeal> seal;  // tokens are kept as well, sealed; nullopt: they are not
  TimeMs now_ms = 0;               // wall time: names a file that is set aside
};

// One thread.
class LaneStore {
 public:
  // Opens or creates lane.db. A damaged file is set aside, and an empty one begun: damage() says
  // so. What is there of another lane or trust domain is removed. kConfig: the key is not the one
  // with which the tokens were sealed, or another program's format; nothing is changed then. kIo.
  static Result<std::unique_ptr<LaneStore>> open(LaneStoreOptions options);
  ~LaneStore();
  LaneStore(const LaneStore&) = delete;
  LaneStore& operator=(const LaneStore&) = delete;

  const std::optional<Error>& damage() const { return damage_; }
  // The disk is read-only: what is written lasts as long as this object.
  bool is_volatile() const { return is_volatile_; }
  const LaneMarks& marks() const { return marks_; }

  // Calls `visit` with everything that is kept, in steps of at most kLaneRowsLoaded events. A row
  // that is damaged is kCorrupt: begin anew, with set_aside(). kIo.
  Result<void> load(const std::function<void(std::span<const feed::Event>)>& visit);
  // Makes changes and the last one's marks durable, in one transaction. After a failure, positions
  // do not count until the core knows of it (effect::Take::losses). kIo, kCorrupt.
  Result<void> write(std::span<const effect::Take> changes);
  Result<void> write_marks(const LaneMarks& marks);
  // Removes a step of what has ended at `now_s`, Unix time. True: there is more.
  Result<bool> expire(int64_t now_s);
  // Closes a damaged file, gives it another name, and begins an empty one. kIo: no file is open
  // then, and the next write tries to open one.
  Result<void> set_aside(const Error& damage);

 private:
  explicit LaneStore(LaneStoreOptions options);
  std::filesystem::path file() const { return options_.folder / kLaneFile; }
  Result<void> open_file();
  Result<void> open_if_closed();
  Result<void> write_open(std::span<const effect::Take> changes, const LaneMarks& marks);
  // Reads the row of the lane, and removes what may not be used.
  void read_lane();
  void put_lane(const LaneMarks& marks);

  const LaneStoreOptions options_;
  std::unique_ptr<SQLite::Database> database_;
  std::optional<Error> damage_;
  bool is_volatile_ = false;
  LaneMarks marks_;         // as they are durable
  int64_t generation_ = 0;  // of the last snapshot: a token of an older one is not in it
  Bytes key_check_;         // sealed with the key of the tokens; empty: none are kept
  uint64_t losses_ = 0;     // writes that failed
  SnapshotLists lists_;
};

// Forgets the trusted time that a stopped node keeps of its lane, after its clock was wrong; the
// next start takes a snapshot. Nothing is done without a file. The caller holds the folder's lock.
Result<void> reset_lane_clock(const std::filesystem::path& folder, TimeMs wall_ms);

}  // namespace notp::lane
