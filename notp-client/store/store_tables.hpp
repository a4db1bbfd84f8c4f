// One open file of the store: its connection, its tables, its format. Part of SqliteStore.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <memory>

#include "notp-client/store/blob_rows.hpp"
#include "notp-client/store/file_tables.hpp"
#include "notp-client/store/release_tables.hpp"
#include "notp-client/store/trust_tables.hpp"

namespace notp::store {

struct StoreTables {
  explicit StoreTables(std::unique_ptr<SQLite::Database> opened)
      : connection(std::move(opened)),
        trust(*connection),
        releases(*connection),
        blobs(*connection),
        files(*connection, blobs) {}

  const std::unique_ptr<SQLite::Database> connection;
  TrustTables trust;
  ReleaseTables releases;
  BlobRows blobs;
  FileTables files;
};

// Brings an open file to the format that this program writes: creates the tables of an empty file,
// migrates the two previous formats. Throws Refused: kConfig for the format of another program,
// kCorrupt when the format's number is damaged; the file is unchanged then.
void prepare_format(StoreTables& tables);
// For a reader, which changes nothing. Throws Refused: kConfig for any other format.
void require_format(StoreTables& tables);

}  // namespace notp::store
