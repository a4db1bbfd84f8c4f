// The rows of txn_grants.db. All functions throw SQLite::Exception, or Refused for a damaged row.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "notp-client/txn/grants/grants.hpp"

namespace notp::txn {

void make_grant_tables(SQLite::Database& database);

// Prepared statements of one connection, which outlives it.
class GrantRows {
 public:
  explicit GrantRows(SQLite::Database& database);

  std::optional<Grant> find(std::string_view id);
  std::optional<EarlierUse> find_use(std::string_view id, std::string_view peer,
                                     std::string_view jti);
  void put(const Grant& grant);
  // Counts the use, and remembers its answer.
  void mark(const GrantUse& use, TimeMs now_ms);
  // Grants with an id from `from` on, in order.
  std::vector<Grant> page(std::string_view from, size_t max);
  std::vector<std::string> made_by_token(std::string_view txn);  // ids

  struct Removed {
    std::vector<std::string> makers;  // of grants that are gone, one for each
    std::vector<std::string> txns;    // of tokens of them that live at `now_ms`
  };
  // Removes grants, and all that were made by their uses.
  Removed remove_tree(std::vector<std::string> ids, TimeMs now_ms);
  // Removes at most `max` grants that ended before `ended_ms`.
  Removed remove_ended(TimeMs ended_ms, size_t max);
  // Forgets the claims of uses before `used_ms`, of at most `max`. Returns of how many.
  size_t forget_answers(TimeMs used_ms, size_t max);

  std::unordered_map<std::string, size_t> count_by_maker();

 private:
  SQLite::Statement find_, find_use_, put_, put_use_, count_use_, page_, of_token_;
  SQLite::Statement txns_, remove_, ended_, forget_, count_;
};

}  // namespace notp::txn
