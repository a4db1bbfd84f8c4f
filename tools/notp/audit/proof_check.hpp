// Checks the proof of a decision without a registry: from the record through the log that its node
// signed and the registry's tree that others have witnessed, to the release that decided.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "protocol/record/checkpoint.hpp"
#include "protocol/record/record.hpp"
#include "protocol/trust/verify.hpp"
#include "tools/notp/audit/node_authorities.hpp"
#include "tools/notp/audit/proof_file.hpp"
#include "tools/notp/root/root_chain.hpp"

namespace notp::cli {

// What the reader trusts. Each that is missing leaves one link to the word of the proof's maker.
struct ProofAnchors {
  const NodeAuthorities* authorities = nullptr;  // have issued the certificates
  const RootChain* roots = nullptr;              // publishers' signatures are checked under them
  std::vector<record::NamedKey> witnesses;       // each must have cosigned
};

struct ProofReport {
  std::vector<trust::VerifyStep> steps;  // the last one failed if there is an error
  std::optional<Error> error;
  // Of the record; empty before it was proven.
  std::string node;
  record::LogId log;
  std::optional<record::Record> decision;
  std::optional<record::ActiveSet> active;
  size_t cosigned = 0;                 // nodes and witnesses whose cosignature was verified
  std::vector<std::string> unchecked;  // links without an anchor, for a person
};

// Pure. The steps are in the order of the chain and end at the first that does not hold.
ProofReport check_proof(const DecisionProof& proof, const ProofAnchors& anchors);

}  // namespace notp::cli
