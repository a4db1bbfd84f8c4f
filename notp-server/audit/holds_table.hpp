// Holds, and removals that are under way, in the database of logs: they are in every backup of it.
#pragma once

#include <string>
#include <vector>

#include "notp-server/audit/log_table.hpp"
#include "protocol/record/tree_entry.hpp"
#include "protocol/wire/messages/erasure.hpp"

namespace notp::audit {

// Thread-safe, blocking. All functions: kIo, kCorrupt.
class HoldsTable {
 public:
  // `logs` outlives it.
  explicit HoldsTable(const LogTable& logs) : logs_(logs) {}

  // Ascending by id, also those that were lifted.
  Result<std::vector<wire::Hold>> all() const;
  Result<void> put(const wire::Hold& hold) const;
  Result<void> remove(const std::string& id) const;

  // A removal that is stated, or about to be, and not done: it is finished after a crash.
  struct Begun {
    int64_t id = 0;
    record::TreeEntry entry;
  };
  Result<std::vector<Begun>> begun() const;
  // All or none. Returns the id of the first one; the others follow it.
  Result<int64_t> begin(const std::vector<record::TreeEntry>& entries) const;
  // Those with ids in [first, first + count) are done.
  Result<void> end(int64_t first, size_t count) const;

 private:
  const LogTable& logs_;
};

// A filter in bytes: for the table alone.
Bytes encode_filter(const wire::DecisionFilter& filter);
// kCorrupt.
Result<wire::DecisionFilter> decode_filter(ByteView bytes);

}  // namespace notp::audit
