// Releases that a person lets go although the replay gate of a node holds them.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "protocol/wire/messages.hpp"

namespace SQLite {
class Database;
}

namespace notp::fleet {

// One for each node and ledger: the last one counts. One thread at a time; no I/O.
class ReleasedVersions {
 public:
  // What the database has. Throws SQLite::Exception.
  static ReleasedVersions read(SQLite::Database& database);

  void add(const std::string& node, const model::LedgerId& ledger, uint64_t version) {
    versions_[{node, ledger}] = version;
  }
  // Whether the report says that a gate holds one of them.
  bool are_held(const std::string& node, const wire::Commit& report) const;
  // A report arrived: one that the node decides with it, or with a later one, ends it. The database
  // forgets it with the same report.
  void see(const std::string& node, const wire::Commit& report);

 private:
  std::map<std::pair<std::string, model::LedgerId>, uint64_t> versions_;
};

}  // namespace notp::fleet
