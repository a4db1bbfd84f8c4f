// What spool.db keeps of the registry's tree: the state of the ReceiptBook, earlier trees, and the
// roots of checkpoints whose segments are deleted. Throws as sqlite_attempt.hpp wants it.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <optional>
#include <vector>

#include "notp-client/spool/receipt_book.hpp"

namespace notp::spool {

// Of the log's newest checkpoints without a segment: a receipt comes within minutes.
inline constexpr uint64_t kRootsKept = 4'096;

// A tree that a person has put an end to, with what contradicted it.
struct PastTree {
  Bytes announcement;
  std::string checkpoint;
  TimeMs until_ms = 0;  // wall clock
  std::string message, contradiction;
};

// Makes the tables that are not there yet.
void make_receipt_tables(SQLite::Database& database);

// Empty in a spool.db of before there were receipts. kCorrupt.
TreeState read_tree(SQLite::Database& database);
void put_tree(SQLite::Database& database, const TreeState& state);
// In the order in which they ended.
std::vector<PastTree> read_past_trees(SQLite::Database& database);
void put_past_tree(SQLite::Database& database, const PastTree& tree);

void put_root(SQLite::Database& database, record::Position size, const Hash& root);
std::optional<Hash> find_root(SQLite::Database& database, record::Position size);
// Removes all but the newest kRootsKept.
void trim_roots(SQLite::Database& database);

}  // namespace notp::spool
