// The statements that travel in envelopes: root and release, and those of freshness.hpp.
//
// A statement has one encoding: fields by ascending number, each at most once, defaults left out,
// numbers in their shortest form. Anything else is refused, unknown fields included: a signed
// statement is understood as a whole or refused, because a skipped field could be the one that
// restricts it. A new field therefore needs a new statement type.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/clock.hpp"
#include "common/crypto/signature.hpp"
#include "protocol/model/ledger.hpp"
#include "protocol/trust/envelope.hpp"
#include "protocol/trust/freshness.hpp"
#include "protocol/trust/release_ref.hpp"

namespace notp::limits {

// Limits of statements beside those of common/limits.hpp.
inline constexpr size_t kFreshnessKeysMax = 16;
inline constexpr size_t kSourceTextBytesMax = 1'024;

}  // namespace notp::limits

namespace notp::trust {

inline constexpr std::string_view kReleaseType = "application/vnd.notp.release.v2";
inline constexpr std::string_view kRootType = "application/vnd.notp.root.v2";

// kEnvelope, with a remedy, for a root or release of a type that only earlier programs read.
Result<void> check_type_is_read(std::string_view payload_type);
// The same for an envelope; one that does not decode passes, and is refused elsewhere.
Result<void> check_is_read(ByteView envelope);
// Decodes an envelope of that payload type. kEnvelope: as Envelope::decode(), check_type_is_read(),
// or of another type.
Result<Envelope> decode_envelope(ByteView bytes, std::string_view type);

enum class OnHard : uint8_t { kDeny = 1, kServe = 2 };

// Whether it is the hexadecimal hash of a commit: 40 or 64 lower-case digits.
bool is_commit_id(std::string_view text);

// The origin of a release's content, for people and tools; it has no effect. Texts are printable
// ASCII.
struct Source {
  std::string repository;  // at most kSourceTextBytesMax, as ref and signer
  std::string ref;
  std::string commit;  // required: is_commit_id()
  std::string signer;
  bool operator==(const Source&) const = default;
};
// "<commit> of <ref> in <repository>, signed by <signer>", for people.
std::string source_text(const Source& source);

// Schema: schemas/model.proto, Release. All fields are checked by decode().
struct Release {
  std::string trust_domain;
  model::LedgerId ledger;
  uint64_t epoch = 0;
  uint64_t version = 0;
  Hash previous_hash;  // hash of the previous release; zero at version 1
  Hash content_root;
  uint64_t total_bytes = 0;
  uint64_t file_count = 0;
  std::vector<std::string> data_roots;
  TimeMs issued_ms = 0;
  TimeMs expires_ms = 0;  // 0: no separate expiry
  uint64_t fresh_s = 0;
  uint64_t hard_s = 0;
  OnHard on_hard = OnHard::kDeny;
  std::optional<Source> source;
  // A restriction without an implementation yet: decode() refuses a release that has it.
  TimeMs accept_by_ms = 0;
  std::vector<model::LedgerUse> uses;  // ascending by ledger, at most kUsesMax, never its own

  Bytes encode() const;
  // kStatement names the field that is missing, out of range, not in canonical form, or not
  // supported.
  static Result<Release> decode(ByteView payload);
};

// What the releases of a delegation may hold; kKeys: public keys alone, see check_content().
enum class ContentRule : uint8_t { kAny = 0, kKeys = 1 };

struct Delegation {
  std::string pattern;
  std::vector<PublicKey> keys;
  uint32_t threshold = 1;
  ContentRule content = ContentRule::kAny;
  // Patterns of the data roots that its releases may own, ascending, at most kRootsMax; none: all.
  std::vector<std::string> data_roots = {};
};

// Whether the pattern of a delegation's data_roots lets a release own `root`: "a/b" covers that
// root and the roots below it, "a/*" only the roots below a, "*" any.
bool data_root_covers(std::string_view pattern, std::string_view root);

// Schema: schemas/model.proto, Root.
struct Root {
  std::string trust_domain;
  uint64_t version = 0;
  uint64_t epoch = 0;
  TimeMs issued_ms = 0;
  TimeMs expires_ms = 0;  // 0: no expiry
  std::vector<PublicKey> root_keys;
  uint32_t root_threshold = 1;
  std::vector<Delegation> delegations;
  // Keys that may sign freshness and assignments; none: this domain has no freshness. At most
  // kFreshnessKeysMax.
  std::vector<PublicKey> freshness_keys;
  std::optional<PublicKey> lane_key;  // signs the token lanes; none: this domain has no lanes
  // Of a feature that this program lacks: decode() refuses a root that names one.
  std::optional<PublicKey> audit_key;

  Bytes encode() const;
  // kStatement. Keys are distinct within a list and a threshold is 1 to their number. The keys that
  // are online, for freshness, lane and audit, are neither root keys nor publishing keys, and no
  // two of them are the same.
  static Result<Root> decode(ByteView payload);
  // Whether `next` no longer trusts a freshness key of this root: the statements of that key,
  // including their sequence, no longer count.
  bool drops_freshness_key(const Root& next) const;
  // Returns the delegation that covers the ledger: the first match in order; nullptr when there is
  // none.
  const Delegation* delegation_for(const model::LedgerId& ledger) const;
};

// H("notp.release.v2\0" ‖ payload): the identity of a release, whatever its signatures.
Hash release_hash(ByteView payload);

// Returns the reference of the release; `hash` is its release_hash().
ReleaseRef ref_of(const Release& release, const Hash& hash);

// An unsigned envelope around the statement.
Envelope envelope_of(const Release& release);
Envelope envelope_of(const Root& root);

}  // namespace notp::trust
