#include "notp-client/store/store_tables.hpp"

#include <fmt/format.h>

#include "common/storage/sqlite_attempt.hpp"
#include "notp-client/store/sqlite_rows.hpp"

namespace notp::store {
namespace {

constexpr int kSchemaVersion = 5;

int version_of(StoreTables& tables) {
  return tables.connection->execAndGet("PRAGMA user_version").getInt();
}

bool has_row(StoreTables& tables, const char* sql) {
  SQLite::Statement query(*tables.connection, sql);
  return query.executeStep();
}

// The lowest format that may have the tables that are there.
int oldest_version_of(StoreTables& tables) {
  if (has_row(tables, "SELECT 1 FROM sqlite_master WHERE name = 'assignment'")) return 5;
  if (has_row(tables, "SELECT 1 FROM pragma_table_info('clock') WHERE name = 'signed_ms'"))
    return 4;
  return has_row(tables, "SELECT 1 FROM sqlite_master WHERE name = 'ledgers'") ? 1 : 0;
}

void create_schema(SQLite::Database& database) {
  SQLite::Transaction transaction(database, SQLite::TransactionBehavior::IMMEDIATE);
  for (const char* sql : {TrustTables::ledger_schema(), ReleaseTables::schema(),
                          FileTables::schema(), BlobRows::schema(), BlobRows::release_schema(),
                          TrustTables::schema(), TrustTables::assignment_schema()})
    database.exec(sql);
  database.exec(fmt::format("PRAGMA user_version = {}", kSchemaVersion));
  transaction.commit();
}

}  // namespace

void prepare_format(StoreTables& tables) {
  const int version = version_of(tables);
  // A damaged format number would cause a migration of what has been migrated.
  if (version < oldest_version_of(tables))
    refuse(ErrorCode::kCorrupt, fmt::format("its format's number {}", kDamagedTrust));
  if (version == 0) return create_schema(*tables.connection);
  if (version == 3 || version == 4) return tables.trust.migrate(version);
  if (version != kSchemaVersion)
    refuse(ErrorCode::kConfig,
           fmt::format(
               "its format is {}, this program reads {}; use the program that wrote it, or move "
               "the data folder away and let the agent fetch again",
               version, kSchemaVersion));
}

void require_format(StoreTables& tables) {
  const int version = version_of(tables);
  if (version != kSchemaVersion)
    refuse(ErrorCode::kConfig,
           fmt::format("its format is {}, this program reads {}: let an agent of this version "
                       "start with it first, or use the program that wrote it",
                       version, kSchemaVersion));
}

}  // namespace notp::store
