// Pulled releases kept between commands, so that a one-rule change on a large model moves a delta
// in both directions. A cache: every file can be removed at any time.
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "common/config.hpp"
#include "protocol/model/tree.hpp"
#include "protocol/trust/verify.hpp"

namespace notp::cli {

// A release that has been verified against the pinned root, with all of its content.
struct PulledRelease {
  VerifiedRelease verified;
  ModelContent content;

  const Release& release() const { return verified.release; }
};

// The signed statement as of no certain time: an expired release can still be looked at, compared,
// rolled back to and replaced. Everything else is checked as protocol/trust says.
Result<VerifiedRelease> verify_ignoring_expiry(ByteView envelope, const Root& root,
                                               const LedgerId& ledger, const Floor& floor);

// Verifies and rebuilds a release from an artifact. `base` may be null. kNotFound never; the errors
// of verify_release and apply_artifact, kContentRoot.
Result<PulledRelease> open_artifact(ByteView artifact, const PulledRelease* base, const Root& root,
                                    const LedgerId& ledger, const Floor& floor);

class ReleaseCache {
 public:
  // $XDG_CACHE_HOME/notp, ~/.cache/notp, or nowhere when neither variable is set.
  ReleaseCache(const Environment& environment, const Root& root);

  // The newest release at hand that verifies. A damaged file is removed.
  std::optional<PulledRelease> newest(const LedgerId& ledger) const;
  std::optional<PulledRelease> find(const LedgerId& ledger, uint64_t version) const;
  // Keeps a release and lets go of the ones used least recently. A cache that cannot be written is
  // no error.
  void keep(const PulledRelease& release) const;

 private:
  std::filesystem::path folder_of(const LedgerId& ledger) const;
  std::vector<uint64_t> versions(const LedgerId& ledger) const;

  std::optional<std::filesystem::path> folder_;
  const Root& root_;
};

}  // namespace notp::cli
