// From received bytes to a durable release: verification in the order of the specification, then
// one transaction. Deterministic but for the store; the simulator runs the same code.
#pragma once

#include <memory>
#include <optional>
#include <set>

#include "notp-client/store/store.hpp"
#include "protocol/trust/verify.hpp"

namespace notp {

// Those files of a stored release that an artifact builds on.
struct HeldPart {
  Hash content_root;             // of them alone
  std::set<Hash> missing_blobs;  // contents of files that are not among them
  Bytes excluded_leaves;         // leaves of other files that are not
};

struct InstallRequest {
  LedgerId ledger;
  uint64_t version = 0;  // as offered; the signed statement must agree
  std::shared_ptr<const Bytes> artifact;
  uint64_t base_version = 0;          // 0: full content
  Bytes base_envelope;                // of that release; empty with `partial`
  std::optional<HeldPart> partial;    // nullopt: the artifact builds on all of it
  Trusted trusted;                    // when the release arrived
  TimeMs now_ms = 0;                  // trusted time then
  std::optional<uint64_t> confirmed;  // becomes durable with the install
  std::set<uint64_t> kept_versions;   // InstallRecord::kept_versions
};

// Receives contents that an installation has in memory.
class ContentSink {
 public:
  virtual ~ContentSink() = default;
  virtual void keep(const Hash& hash, const Content& content) = 0;
};

// Blocking: reads the base from the store, verifies, applies, compares the content root, installs.
// On an error the store is unchanged. kArtifact, kContentRoot, kNotFound, kCorrupt: the delta or
// its base is not usable, full content may be; the codes of verify_update(); kIo.
//
// Contents of the base and of the new release go to `recent` (null: they are let go).
Result<StoredRelease> install_release(const InstallRequest& request, Store& store,
                                      ContentSink* recent = nullptr);

}  // namespace notp
