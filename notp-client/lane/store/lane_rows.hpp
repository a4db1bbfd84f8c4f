// The rows of lane.db. All functions throw SQLite::Exception, or Refused for what is damaged.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <functional>
#include <span>

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

// Writes events within one transaction. Marks never move back, and a deleted token is not added
// again.
class RowWriter {
 public:
  // `seal`: null: tokens are not kept. It and the database outlive this object.
  RowWriter(SQLite::Database& database, const RecordSeal* seal, int64_t generation);
  // `is_row`: of a snapshot, so that it does not replace what a batch has brought since it began.
  void put(const feed::Event& event, bool is_row);

 private:
  void put_revocation(const feed::Event& event);
  void put_list(const feed::Event& event);
  void put_token(const feed::Event& event, bool is_row);

  const RecordSeal* const seal_;
  const int64_t generation_;
  SQLite::Statement find_revocation_, put_revocation_, put_list_, find_token_, put_token_,
      remove_token_;
};

using EventVisitor = std::function<void(std::span<const feed::Event>)>;
// Everything that is kept: lists, marks, tombstones, tokens.
void load_rows(SQLite::Database& database, const RecordSeal* seal, const EventVisitor& visit);

}  // namespace notp::lane
