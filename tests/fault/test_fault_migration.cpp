// A disk that fails, or a power cut, at any operation of a migration: the database is in its
// old format with all of its old rows or in the new one, and the next start migrates it.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <functional>

#include "notp-client/store/sqlite_store.hpp"
#include "notp-client/txn/grants/sqlite_grants.hpp"
#include "notp-server/enroll/join_tokens.hpp"
#include "notp-server/fleet/fleet.hpp"
#include "tests/fault/fault_disk.hpp"
#include "tests/support/kept_stores.hpp"
#include "tests/support/temporary_folder.hpp"

namespace notp {
namespace {

using Fault = FaultDisk::Fault;
using File = std::filesystem::path;

struct Store {
  std::string name, file;
  int format = 0;  // that is kept
  std::function<Result<void>(const File&)> open;
};

Result<void> open_agent(const File& file) {
  NOTP_TRY(store::SqliteStore::open(file.parent_path()));
  return {};
}
Result<void> open_grants(const File& file) {
  NOTP_TRY(txn::SqliteGrants::open({.folder = file.parent_path()}));
  return {};
}
Result<void> open_fleet(const File& file) {
  NOTP_TRY(fleet::Fleet::open(file));
  return {};
}
Result<void> open_tokens(const File& file) {
  NOTP_TRY(enroll::JoinTokens::open(file));
  return {};
}

std::vector<Store> stores() {
  std::vector<Store> out = {{"agent_db_3", "agent.db", 3, open_agent},
                            {"agent_db_4", "agent.db", 4, open_agent},
                            {"txn_grants_db_1", txn::kGrantsFile, 1, open_grants},
                            {"join_tokens_db_1", "join-tokens.db", 1, open_tokens}};
  for (int format = 1; format <= 4; ++format)
    out.push_back({fmt::format("fleet_db_{}", format), "fleet.db", format, open_fleet});
  return out;
}

// Every value of every row, whatever the columns.
std::vector<std::string> rows_of(const File& file) {
  SQLite::Database database = kept::open_alone(file);
  SQLite::Statement tables(database,
                           "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name");
  std::vector<std::string> out;
  while (tables.executeStep()) {
    const std::string table = tables.getColumn(0).getString();
    SQLite::Statement rows(database, fmt::format("SELECT * FROM \"{}\"", table));
    while (rows.executeStep()) {
      std::string row = table;
      for (int i = 0; i < rows.getColumnCount(); ++i)
        row += fmt::format("|{}", rows.getColumn(i).getString());
      out.push_back(std::move(row));
    }
  }
  return out;
}

// A database in one of the two states that there may be.
struct State {
  int format = 0;
  std::vector<std::string> schema, rows;
  bool operator==(const State&) const = default;
};

State state_of(const File& file) {
  return {kept::format_of(file), kept::schema_of(file), rows_of(file)};
}

struct Trial {
  const Store& store;
  State old, migrated;
  size_t left_old = 0, left_migrated = 0, faults = 0;

  explicit Trial(const Store& of) : store(of) {
    const TemporaryFolder folder;
    const File file = folder.path() / store.file;
    kept::restore(file, store.name);
    old = state_of(file);
    const auto opened = store.open(file);
    REQUIRE_MESSAGE(opened, opened.error().message);
    migrated = state_of(file);
    CHECK(old.format == store.format);
    CHECK(migrated.format > old.format);
  }

  // False: the migration has fewer operations.
  bool run(uint64_t n, Fault fault, Random& random) {
    const TemporaryFolder folder;
    const File file = folder.path() / store.file;
    kept::restore(file, store.name);
    FaultDisk& disk = FaultDisk::instance();
    disk.arm(n, fault);
    const auto opened = store.open(file);
    const bool struck = disk.struck();
    disk.disarm();
    if (!struck) return false;
    ++faults;
    if (fault == Fault::kPower) disk.power_cut(random);
    const State left = state_of(file);
    const bool is_old = left == old;
    CHECK_MESSAGE((is_old || left == migrated), "the format is " << left.format);
    // Who says that the store is open has migrated it, for a power cut as well.
    if (opened) CHECK_FALSE(is_old);
    ++(is_old ? left_old : left_migrated);
    const auto again = store.open(file);
    REQUIRE_MESSAGE(again, again.error().message);
    CHECK(state_of(file) == migrated);
    return true;
  }
};

TEST_CASE("a fault at any operation of a migration leaves the old format or the new one") {
  FaultDisk::instance();
  SeededRandom random(1);
  for (const Store& store : stores()) {
    Trial trial(store);
    for (const Fault fault : {Fault::kOnce, Fault::kDead, Fault::kPower}) {
      uint64_t n = 1;
      const auto strikes = [&] {
        INFO(store.name, ", fault ", static_cast<int>(fault), " at operation ", n);
        return trial.run(n, fault, random);
      };
      while (strikes()) ++n;
      CHECK(n > 4);
    }
    MESSAGE(store.name, ": ", trial.faults, " faults; ", trial.left_old, " left the old format, ",
            trial.left_migrated, " the new one");
    CHECK(trial.left_old > 0);
    CHECK(trial.left_migrated > 0);
  }
}

}  // namespace
}  // namespace notp
