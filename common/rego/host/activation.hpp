// What an activate frame says: a snapshot by its difference from the one that a worker holds.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/rego/check.hpp"
#include "common/rego/host/frames.hpp"
#include "common/rego/snapshot.hpp"

namespace notp::rego {

// Content that the snapshot needs.
struct ContentNeed {
  Hash hash;
  bool is_module = false;
  DocumentFormat format = DocumentFormat::kJson;
  // Of a document: what the base has in its place, from which it may differ little.
  std::optional<Hash> before;
};

struct Activation {
  Bytes payload;                   // of the frame
  std::vector<ContentNeed> needs;  // each content once; of what differs from the base
};

// Pure. `base`: null for nothing. `is_accepted`: a worker of the same program has compiled all of
// it.
Activation plan_activation(uint64_t number, const Snapshot& target, uint64_t base_number,
                           const Snapshot* base, bool is_accepted);

// All content of a snapshot.
std::set<Hash> contents_of(const Snapshot& snapshot);

// By ledger name, a hash of all that decides in it: to tell whether another snapshot differs there.
std::map<std::string, Hash> ledger_contents(const Snapshot& snapshot);

uint64_t document_bytes(const Snapshot& snapshot);

// The findings of a JSON array, as many as a report may have. kMessage.
Result<std::vector<Diagnostic>> decode_findings(ByteView json_text);

}  // namespace notp::rego
