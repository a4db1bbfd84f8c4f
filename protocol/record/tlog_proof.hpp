// Proofs that a leaf is in a tree, as text: C2SP tlog-proof.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/crypto/digest.hpp"

namespace notp::record {

struct TlogProof {
  uint64_t index = 0;           // of the leaf
  std::vector<Hash> inclusion;  // RFC 9162 §2.1.3, at most kProofHashesMax
  std::string checkpoint;       // note, at most kCheckpointBytesMax
  bool operator==(const TlogProof&) const = default;
};

std::string to_text(const TlogProof& proof);
// Extra data is skipped. kMessage: not such a text. The note is not looked at.
Result<TlogProof> parse_tlog_proof(std::string_view text);

// The lines of hashes that proofs have, each with its end.
std::string hash_lines(const std::vector<Hash>& hashes);
// kMessage: not a hash in base64.
Result<Hash> parse_hash_line(std::string_view line);

}  // namespace notp::record
