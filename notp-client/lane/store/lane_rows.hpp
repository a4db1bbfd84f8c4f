// The rows of lane.db. All functions throw SQLite::Exception, or Refused for what is damaged.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <functional>
#include <optional>
#include <span>
#include <unordered_set>

#include "notp-client/lane/core/lane_effect.hpp"
#include "notp-client/lane/store/record_seal.hpp"

namespace notp::lane {

// The one row about the lane itself.
struct LaneRow {
  std::string trust_domain, lane;
  LaneMarks marks;
  int64_t generation = 0;
  Bytes key_check;
};

void make_lane_tables(SQLite::Database& database);
// nullopt: the file is new.
std::optional<LaneRow> read_lane_row(SQLite::Database& database);
void put_lane_row(SQLite::Database& database, const LaneRow& row);
void remove_revocations(SQLite::Database& database);
void remove_tokens(SQLite::Database& database);
// Tokens of older snapshots than `generation`.
void remove_tokens_before(SQLite::Database& database, int64_t generation);
// At most `rows_max` of what had ended at `now_s`. True: there may be more.
bool remove_ended(SQLite::Database& database, int64_t now_s, size_t rows_max);

// What batches have brought since the snapshot under way began, as the table keeps it. Nothing
// outlasts the process: a snapshot begins anew after a restart.
struct SnapshotLists {
  std::optional<uint64_t> as_of;  // nullopt: none is under way
  std::unordered_set<feed::TokenId, feed::HashOfTokenId> newer;

  void begin(uint64_t snapshot_as_of) {
    if (as_of != snapshot_as_of) newer.clear();
    as_of = snapshot_as_of;
  }
};

// Writes events within one transaction. Marks never move back, and a deleted token is not added
// again.
class RowWriter {
 public:
  // `seal`: null: tokens are not kept. All outlive this object.
  RowWriter(SQLite::Database& database, const RecordSeal* seal, int64_t generation,
            SnapshotLists& lists);
  void put(const feed::Event& event) { put(event, /*is_row=*/false); }
  // A part of a snapshot: it does not replace what a batch has brought since it began, and lists
  // that it should have, and has not, are gone. (Tokens are, with its last part.)
  void put_part(const feed::Snapshot& part);

 private:
  void put(const feed::Event& event, bool is_row);
  void remove_lists_missing(const feed::Snapshot& part);
  void put_revocation(const feed::Event& event);
  void put_list(const feed::Event& event);
  void put_token(const feed::Event& event, bool is_row);

  const RecordSeal* const seal_;
  const int64_t generation_;
  SnapshotLists& lists_;
  SQLite::Statement find_revocation_, put_revocation_, put_list_, find_token_, put_token_,
      remove_token_, all_lists_, remove_list_;
};

using EventVisitor = std::function<void(std::span<const feed::Event>)>;
// Everything that is kept: lists, marks, tombstones, tokens.
void load_rows(SQLite::Database& database, const RecordSeal* seal, const EventVisitor& visit);

}  // namespace notp::lane
