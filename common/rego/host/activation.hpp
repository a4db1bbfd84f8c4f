// Builds an activate frame: a snapshot as the difference from the one that a worker holds.
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
  // For a document: the base's content in its place, from which it may differ little.
  std::optional<Hash> before;
};

struct Activation {
  Bytes payload;                   // of the frame
  std::vector<ContentNeed> needs;  // each content once, if it differs from the base
};

// Pure. `base`: null for none. `is_accepted`: a worker of the same program has compiled all of it.
Activation plan_activation(uint64_t number, const Snapshot& target, uint64_t base_number,
                           const Snapshot* base, bool is_accepted);

// --- answers to an activation that was refused

// Returns the hashes of content that the worker lacks. kMessage.
Result<std::vector<Hash>> decode_missing(ByteView json_text);
// Returns that content, as far as the snapshot has it.
std::vector<ContentNeed> needs_of(const Snapshot& snapshot, const std::vector<Hash>& hashes);
// Returns kPdpRejected with the findings in the message, one a line.
Error rejection_of(ByteView message);
// How often a worker may lack content that it was assumed to have.
inline constexpr int kActivationRoundsMax = 3;

// Returns all content of a snapshot.
std::set<Hash> contents_of(const Snapshot& snapshot);

// Returns a hash of each ledger's effective content, by ledger name, to find the ledgers in which
// two snapshots differ.
std::map<std::string, Hash> ledger_contents(const Snapshot& snapshot);

uint64_t document_bytes(const Snapshot& snapshot);

// Decodes the findings of a JSON array, up to a report's limit. kMessage.
Result<std::vector<Diagnostic>> decode_findings(ByteView json_text);

}  // namespace notp::rego
