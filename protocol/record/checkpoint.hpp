// Checkpoints of a log: C2SP tlog-checkpoint in a C2SP signed-note with one Ed25519 signature.
#pragma once

#include <string>
#include <string_view>
#include <vector>

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

// --- cosignatures: C2SP tlog-cosignature, "cosignature/v1", by Ed25519 keys

// Says that its maker has seen the checkpoint, that it is consistent with all that it has cosigned
// before, and when.
struct Cosignature {
  std::string name;  // of the key: one word without '+'
  int64_t time_s = 0;
  Bytes signature;  // 64 bytes
};

// Signs the text of a note. kMessage: it is none.
Result<Bytes> cosign(std::string_view note, int64_t time_s, const PrivateKey& key);
// Whether `signature` is one of `key` at `time_s` over the note's text.
bool verify_cosignature(std::string_view note, int64_t time_s, ByteView signature,
                        const PublicKey& key);
// Returns the line of a note that has it, with its end. Its name is one word without '+'.
std::string cosignature_line(const Cosignature& cosignature, const PublicKey& key);
// Returns the note with a line more, in place of one of the same key. kMessage: it is no note, or
// the name is no word; kLimit: it would have more than kCheckpointBytesMax, or more than
// kCosignaturesMax cosignatures.
Result<std::string> add_cosignature(std::string_view note, const Cosignature& cosignature,
                                    const PublicKey& key);
// Returns the time at which `key` has cosigned under `name`. kMessage; kSignature: it has not.
Result<int64_t> cosigned_at(std::string_view note, std::string_view name, const PublicKey& key);
// Returns the name of every line of the note, as it stands there; nothing is verified.
std::vector<std::string> signer_names(std::string_view note);

// The text form of a key of a log or a witness: "<name>+<key id>+<base64>" (C2SP signed-note,
// vkey).
struct NamedKey {
  std::string name;
  PublicKey key;
  bool cosigns = false;  // its algorithm is cosignature/v1
};
std::string named_key_text(const NamedKey& key);
// kMessage: not such a text.
Result<NamedKey> parse_named_key(std::string_view text);
// Returns the cosignature of the note by `key` among the lines that a witness answers; others are
// skipped. kMessage: there is none.
Result<Cosignature> cosignature_in(std::string_view lines, const NamedKey& key,
                                   std::string_view note);

}  // namespace notp::record
