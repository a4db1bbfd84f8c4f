// Reports about a store while no agent uses it: SqliteStore::check(), stats().
#pragma once

#include <map>
#include <string>
#include <vector>

#include "notp-client/store/store.hpp"

namespace notp::store {

// One defect of the store.
struct StoreFinding {
  std::string part;     // database, root, freshness, clock, ledger, release, content, segment
  std::string subject;  // which one
  std::string problem;
  std::string advice;  // what the operator should do about it
};

struct StoreCheck {
  uint64_t releases = 0;
  uint64_t blobs = 0;
  uint64_t segments = 0;
  std::vector<StoreFinding> findings;
};

struct ReleaseStats {
  StoredRelease release;
  uint64_t files = 0;
  uint64_t bytes = 0;
  uint64_t own_bytes = 0;  // of content that no other kept release of the ledger has
};

struct LedgerStats {
  model::LedgerId ledger;
  trust::Floor floor;
  trust::Floor listed;
  uint64_t bytes = 0;                  // of the kept releases, each counted in full
  uint64_t shared_bytes = 0;           // of those, stored once for several releases
  std::vector<ReleaseStats> releases;  // newest first
};

struct StoreStats {
  std::vector<LedgerStats> ledgers;
  uint64_t root_version = 0;  // the newest; 0: none
  uint64_t roots = 0;
  uint64_t freshness_sequence = 0;
  TimeMs vouched_ms = 0;  // when the last statement was accepted; 0: never
  trust::ClockMarks clock;
  uint64_t blobs = 0;
  uint64_t segments = 0;
  uint64_t segment_bytes = 0;         // before compression
  uint64_t shared_segment_bytes = 0;  // saved by segments that several blobs hold
  uint64_t stored_bytes = 0;          // of content, as stored
  uint64_t garbage_files = 0;         // rows that no kept release needs, to be collected
  uint64_t page_bytes = 0;
  uint64_t pages = 0;
  uint64_t free_pages = 0;
  uint64_t log_bytes = 0;     // the write-ahead log
  uint64_t staged_bytes = 0;  // of incomplete artifacts
};

struct StoreTables;

// Unreadable parts become findings.
StoreCheck check_store(StoreTables& tables);
// Does not fill in the bytes of the log and of staged artifacts. Throws SQLite::Exception or
// Refused.
StoreStats measure_store(StoreTables& tables);

}  // namespace notp::store
