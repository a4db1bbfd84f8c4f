// Turns received bytes into a durable release: verification in the order of the specification, then
// one transaction. Deterministic apart from the store; the simulator runs the same code.
#pragma once

#include <memory>
#include <optional>
#include <set>

#include "notp-client/store/store.hpp"
#include "protocol/trust/verify.hpp"

namespace notp::agent {

// The files of a stored release that an artifact builds on.
struct HeldPart {
  Hash content_root;             // of those files alone
  std::set<Hash> missing_blobs;  // contents of files that are not among them
  Bytes excluded_leaves;         // leaves of the other files that are not among them
};

struct InstallRequest {
  model::LedgerId ledger;
  uint64_t version = 0;  // as offered; the signed statement must agree
  std::shared_ptr<const Bytes> artifact;
  uint64_t base_version = 0;             // 0: full content
  trust::ReleaseEnvelope base_envelope;  // of the base release; empty with `partial`
  std::optional<HeldPart> partial;       // nullopt: the artifact builds on the whole release
  trust::Trusted trusted;                // when the release arrived
  TimeMs now_ms = 0;                     // trusted time then
  std::optional<uint64_t> confirmed;     // made durable with the installation
  std::set<uint64_t> kept_versions;      // InstallRecord::kept_versions
};

// Receives contents that an installation holds in memory.
class ContentSink {
 public:
  virtual ~ContentSink() = default;
  virtual void keep(const Hash& hash, const model::Content& content) = 0;
};

// Blocking: reads the base from the store, verifies, applies, compares the content root, installs.
// The content must be what the root in `trusted` lets the release hold: trust::check_content(), and
// lie within the data roots of the statement: trust::check_roots().
// On an error the store is unchanged. kArtifact, kContentRoot, kNotFound, kCorrupt: the delta or
// its base is not usable, full content may be; the codes of verify_update(); kIo.
//
// Passes contents of the base and of the new release to `recent` (null: they are discarded).
Result<store::StoredRelease> install_release(const InstallRequest& request, store::Store& store,
                                             ContentSink* recent = nullptr);

// Sets StoredRelease::is_keys_only in what `store` has loaded. Blocking; reads the content of
// releases whose statement owns nothing outside of data.keys. Damage breaks no rule: content was
// checked when it was installed, is repaired by its hash, and is not decided with until then.
void mark_keys_only(store::StoreState& state, store::Store& store);

}  // namespace notp::agent
