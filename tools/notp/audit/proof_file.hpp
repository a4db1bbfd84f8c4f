// The proof of one recorded decision, in a file that needs no registry: JSON with texts of C2SP and
// bytes in base64.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/json/json.hpp"
#include "protocol/wire/messages/proof.hpp"

namespace notp::cli {

inline constexpr size_t kProofFileBytesMax = 16
                                             << 20;  // a record has at most 2 MiB, and its ACTIVE
inline constexpr size_t kProofRootsMax = 1'024;

// One record, up to the registry's tree.
struct ProvenRecord {
  Bytes record;
  Bytes salt;
  std::string in_log;   // C2SP tlog-proof: the record in a checkpoint of the node's log
  Bytes entry;          // the leaf of the registry's tree for that checkpoint: record::TreeEntry
  std::string in_tree;  // C2SP tlog-proof: the leaf in a checkpoint of the registry's tree
};

struct ProvenRelease {
  std::string ledger;  // "zone/name"
  uint64_t version = 0;
  Bytes envelope;
};

struct DecisionProof {
  std::string id;  // of the decision, for people
  ProvenRecord decision;
  std::optional<ProvenRecord> active;  // the ACTIVE record that it refers to
  Bytes log_announcement;              // of the node's log
  Bytes tree_announcement;             // of the registry's tree
  std::vector<wire::Cosigner> cosigners;
  std::vector<ProvenRelease> releases;
  std::vector<Bytes> roots;  // envelopes of the trust domain's roots after the first
};

// One line of JSON.
std::string to_json_text(const DecisionProof& proof);
// kMessage names the member at fault.
Result<DecisionProof> parse_decision_proof(std::string_view text);

}  // namespace notp::cli
