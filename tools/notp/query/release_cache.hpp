// Keeps pulled releases between commands, so that a one-rule change on a large model moves a delta
// in both directions. A cache: every file can be removed at any time.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <vector>

#include "common/config.hpp"
#include "protocol/model/tree.hpp"
#include "protocol/trust/verify.hpp"
#include "tools/notp/root/root_chain.hpp"

namespace notp::cli {

// A release with all of its content, verified against the chain of roots.
struct PulledRelease {
  trust::VerifiedRelease verified;
  uint64_t root_version = 0;  // the newest root that allows its keys to publish it
  model::ModelContent content;

  const trust::Release& release() const { return verified.release(); }
};

// A signed statement, verified without its expiry: an expired release can still be read, compared,
// rolled back to and replaced. Everything else is checked as protocol/trust requires, under the
// newest root that allows its keys to publish it: a release outlives the keys that signed it.
struct ReleaseUnderRoot {
  trust::VerifiedRelease verified;
  uint64_t root_version = 0;
};
// `roots`: oldest first, at least one.
Result<ReleaseUnderRoot> verify_ignoring_expiry(const trust::ReleaseEnvelope& envelope,
                                                std::span<const RootPtr> roots,
                                                const model::LedgerId& ledger,
                                                const trust::Floor& floor);

// Verifies and rebuilds a release from an artifact. `base` may be null. The errors of verify_update
// and apply_artifact; kContentRoot; kWrongTarget when no such root lets it hold this content.
Result<PulledRelease> open_artifact(ByteView artifact, const PulledRelease* base,
                                    std::span<const RootPtr> roots, const model::LedgerId& ledger,
                                    const trust::Floor& floor);

// Rebuilds the content that a statement names; the caller has verified the statement.
Result<model::ModelContent> open_content(ByteView artifact, const PulledRelease* base,
                                         const trust::Release& release);

class ReleaseCache {
 public:
  // Uses $XDG_CACHE_HOME/notp or ~/.cache/notp; stores nothing when neither variable is set.
  ReleaseCache(const Environment& environment, std::vector<RootPtr> roots);

  // The newest cached release that verifies. A damaged file is removed.
  std::optional<PulledRelease> newest(const model::LedgerId& ledger) const;
  std::optional<PulledRelease> find(const model::LedgerId& ledger, uint64_t version) const;
  // Keeps a release and evicts the least recently used ones. A failure to write is ignored.
  void keep(const PulledRelease& release) const;

 private:
  std::filesystem::path folder_of(const model::LedgerId& ledger) const;
  std::vector<uint64_t> versions(const model::LedgerId& ledger) const;  // newest first
  void drop_before_epoch(const trust::Release& kept) const;

  std::optional<std::filesystem::path> folder_;
  const std::vector<RootPtr> roots_;  // oldest first
};

}  // namespace notp::cli
