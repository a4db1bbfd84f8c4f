// Proofs as text: C2SP tlog-proof, and the request of C2SP tlog-witness.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/crypto/digest.hpp"

namespace notp::record {

// That a leaf is in a tree.
struct TlogProof {
  uint64_t index = 0;           // of the leaf
  std::vector<Hash> inclusion;  // RFC 9162 §2.1.3, at most kProofHashesMax
  std::string checkpoint;       // note, at most kCheckpointBytesMax
  bool operator==(const TlogProof&) const = default;
};

std::string to_text(const TlogProof& proof);
// Extra data is skipped. kMessage: not such a text. The note is not looked at.
Result<TlogProof> parse_tlog_proof(std::string_view text);

// What a witness is asked to cosign: a checkpoint, and that it continues an older one.
struct AddCheckpoint {
  uint64_t old_size = 0;
  std::vector<Hash> consistency;  // RFC 9162 §2.1.4, at most kProofHashesMax
  std::string note;
};
inline constexpr size_t kAddCheckpointBytesMax = 16 << 10;  // 63 hashes and a checkpoint

// The body of POST add-checkpoint.
std::string add_checkpoint_body(const AddCheckpoint& request);
// kMessage: not such a body. The note is not looked at.
Result<AddCheckpoint> parse_add_checkpoint(std::string_view body);

}  // namespace notp::record
