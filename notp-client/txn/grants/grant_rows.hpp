// The rows of txn_grants.db. All functions throw SQLite::Exception, or Refused for a damaged row.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "notp-client/txn/grants/grants.hpp"

namespace notp::txn {

// Of an empty database, or of one of the format before.
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
  // Ids, also of those that are revoked.
  std::vector<std::string> with_id(std::string_view id);
  std::vector<std::string> made_by_token(std::string_view txn);

  struct Revoked {
    std::vector<std::string> makers;  // of grants that were not revoked before, one for each
    std::set<std::string> txns;       // of tokens of all of them that may live at `now_ms`
  };
  // Revokes grants, and all that were made by their uses.
  Revoked revoke_tree(std::vector<std::string> ids, TimeMs now_ms);
  struct Removed {
    size_t rows = 0;
    std::vector<std::string> makers;  // of grants that were not revoked, one for each
  };
  // Removes at most `max` grants that ended before `ended_ms`, or were revoked before `revoked_ms`.
  Removed remove_ended(TimeMs ended_ms, TimeMs revoked_ms, size_t max);
  // Forgets the claims of uses before `used_ms`, of at most `max`. Returns of how many.
  size_t forget_answers(TimeMs used_ms, size_t max);

  std::unordered_map<std::string, size_t> count_by_maker();

 private:
  SQLite::Statement find_, find_use_, put_, put_use_, count_use_, page_, ids_, of_token_;
  SQLite::Statement txns_, revoke_, remove_, forget_, count_;
};

}  // namespace notp::txn
