// Records as the commands read them: from pages of a registry, with what was active at each.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "protocol/record/record.hpp"
#include "tools/notp/audit/audit_port.hpp"

namespace notp::cli {

struct AuditRecord {
  std::string node;  // identity
  record::LogId log;
  record::Record record;                            // without the content if `unreadable`
  std::string unreadable;                           // why; empty: it was read
  std::shared_ptr<const record::ActiveSet> active;  // null: none, or not told

  record::Position position() const { return record.place.position; }
  // nullptr unless it is a decision that was read.
  const record::DecisionContent* decision() const;
  // The release of the ledger whose roots own the decision's path; nullptr: none is known.
  const record::ActiveRelease* release() const;
  // The decision's own id, else the record's address; empty for a place that no log has.
  std::string id() const;
};

// "decision", "active", "run_start", "run_end", "gap", "dropped".
std::string_view kind_name(record::Kind kind);
// "data", "plain_data", "default", "authzen", "health", "opa".
std::string_view api_name(record::Api api);

// Reads pages of records that match a filter.
class RecordPages {
 public:
  RecordPages(AuditPort& port, wire::DecisionFilter filter, bool oldest_first);

  // The next page, of at most `rows_max` records (cut to kQueryRowsMax) and maybe of none; nullopt
  // after the last one. A record that is too large for a page is read from its segment.
  Result<std::optional<std::vector<AuditRecord>>> next(uint32_t rows_max);
  // Whether the registry has, or may have, more.
  bool more() const { return more_; }
  uint64_t searched() const { return searched_; }  // records that the registry has looked at
  uint64_t bytes() const { return bytes_; }        // of records that were read

 private:
  using ActiveKey = std::pair<record::LogId, record::Position>;
  Result<AuditRecord> read(wire::DecisionRow& row);

  AuditPort& port_;
  wire::DecisionsRequest request_;
  bool more_ = true;
  uint64_t searched_ = 0, bytes_ = 0;
  std::map<ActiveKey, std::shared_ptr<const record::ActiveSet>> actives_;  // of one page
};

// Returns the decisions with this id that the caller may read: one, or the newest of several.
// kUsage: it cannot be an id; kNotFound, with a hint.
Result<std::vector<AuditRecord>> find_decisions(AuditPort& port, const std::string& id);

// Reads all records that match, at most `records_max`; kLimit above.
Result<std::vector<AuditRecord>> read_all(RecordPages pages, size_t records_max);

}  // namespace notp::cli
