// Checkpoints of a log: C2SP tlog-checkpoint in a C2SP signed-note with one Ed25519 signature.
#pragma once

#include <string>

#include "common/crypto/digest.hpp"
#include "common/crypto/signature.hpp"
#include "protocol/record/log_id.hpp"

namespace notp::record {

struct Checkpoint {
  std::string origin;
  uint64_t size = 0;
  Hash root;
  bool operator==(const Checkpoint&) const = default;
};

// Returns "<trust domain>/decisions/<node>/<log id>", where <node> is the path of its SPIFFE id
// without the leading "/". `node` is the SPIFFE id. It is the key's name in the note, too.
std::string log_origin(std::string_view node, const LogId& log);

// Returns the note. The origin has neither spaces nor '+'.
std::string sign_checkpoint(const Checkpoint& checkpoint, const PrivateKey& key);

// kMessage: not such a note. kSignature: no valid signature of `key` under the name of the origin.
// Signatures of others are skipped.
Result<Checkpoint> verify_checkpoint(std::string_view note, const PublicKey& key);
// Without the signature: for display alone.
Result<Checkpoint> parse_checkpoint(std::string_view note);

}  // namespace notp::record
