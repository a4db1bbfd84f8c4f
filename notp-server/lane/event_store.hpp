// Keeps the newest event about each id of a lane.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.hpp"
#include "protocol/feed/lane_event.hpp"

namespace notp::lane {

struct Row {
  feed::Event event;
  uint64_t revision = 0;
  int64_t at_s = 0;      // Unix time at which it was taken
  int64_t remove_s = 0;  // Unix time from which on it may be removed
  // A token: nodes at an older revision may hold another record of it.
  bool replaced = false;
  std::string source;
  bool operator==(const Row&) const = default;
};

// Whether a node at a revision below the row's needs a snapshot once the row is gone. A token that
// was added once and has ended tells such a node nothing.
inline bool removal_compacts(const Row& row) {
  return row.event.kind != feed::EventKind::kToken || row.replaced;
}

struct StoreState {
  // Of this history; another one after a restore: revisions of two instances do not compare.
  feed::TokenId instance;
  uint64_t head = 0;       // of the newest event
  uint64_t compacted = 0;  // tail() is complete from here on
  uint64_t tokens = 0, deleted = 0, marks = 0, lists = 0;
  bool operator==(const StoreState&) const = default;
};

// A copy of what is committed, which is made while the store goes on.
class StoreCopy {
 public:
  virtual ~StoreCopy() = default;
  // On the store's thread, outside of a transaction: the next part. True: that was the last one.
  // kIo, kCorrupt.
  virtual Result<bool> step() = 0;
  // After the last step, on any thread: the file is there, complete and durable. Blocking.
  virtual Result<void> finish() = 0;
};

// One thread. An error is kIo or kCorrupt; after one inside of a transaction, roll_back() is the
// next call.
class EventStore {
 public:
  struct Page {
    std::vector<Row> rows;
    bool more = false;
  };

  virtual ~EventStore() = default;

  // As last committed, or in a transaction as it will be.
  virtual const StoreState& state() const = 0;
  virtual uint64_t bytes() const = 0;  // on the disk

  // Into a separate file. The copy does not outlive the store. kIo.
  virtual Result<std::unique_ptr<StoreCopy>> begin_copy(const std::filesystem::path& file) = 0;

  // Outside of a transaction: the history has this name from now on, and on the disk.
  virtual Result<void> set_instance(const feed::TokenId& instance) = 0;

  // --- one transaction at a time
  virtual Result<void> begin() = 0;
  virtual Result<void> commit() = 0;  // durable when it returns
  virtual void roll_back() = 0;

  // Inside of a transaction: replaces the row of its key. `row.revision` is above the head, which
  // it becomes.
  virtual Result<void> put(const Row& row) = 0;
  // Removes a row that a put() of this transaction supersedes.
  virtual Result<void> erase(const feed::EventKey& key) = 0;
  // Whether the source sends this key for the first time within kKeyLifeS; notes it.
  virtual Result<bool> note_key(std::string_view source, std::string_view key, int64_t now_s) = 0;
  // Removes at most `max` rows whose time has come, those of the oldest end first, and moves
  // `compacted` at least to the revision of each that removal_compacts(). Forgets at most `max` old
  // keys. Returns how many rows went, or keys if they are more: at `max` there may be others.
  virtual Result<size_t> remove_ended(int64_t now_s, size_t max) = 0;

  // --- reads; a page ends after `rows_max` rows or with the one that reaches `bytes_max`

  virtual Result<std::optional<Row>> find(const feed::EventKey& key) = 0;
  // Rows above `after`, ascending by revision. Complete if `after` is at least `compacted`.
  virtual Result<Page> tail(uint64_t after, size_t rows_max, size_t bytes_max) = 0;
  // Rows above `after`, ascending by key; nullopt: from the start.
  virtual Result<Page> range(const std::optional<feed::EventKey>& after, size_t rows_max,
                             size_t bytes_max) = 0;
};

}  // namespace notp::lane
