// The roots that this machine has verified: the pinned one, and those that came after it, kept so
// that nobody can show it an older one again.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "protocol/trust/verify.hpp"
#include "tools/notp/output.hpp"
#include "tools/notp/settings.hpp"

namespace notp::cli {

using RootPtr = std::shared_ptr<const Root>;

class RootChain {
 public:
  // The pinned root of the settings and what is kept of the roots after it, in
  // $XDG_STATE_HOME/notp (~/.local/state/notp), apart for each pinned file. kUsage when no root is
  // configured; kCorrupt when what is kept does not verify.
  static Result<RootChain> load(const Settings& settings, const Environment& environment,
                                std::vector<VerifyStep>* steps = nullptr);
  // The pinned root and its followers in files named <version>.envelope of `folder`, as a registry
  // keeps them; nothing is kept here.
  static Result<RootChain> read(const Settings& settings, const std::filesystem::path& folder,
                                std::vector<VerifyStep>* steps = nullptr);

  const RootPtr& newest() const { return roots_.back(); }
  // Oldest first: the pinned one.
  const std::vector<RootPtr>& all() const { return roots_; }
  // The newest root that came from a registry or was given to one; 0: none yet.
  uint64_t seen_version() const { return roots_.size() > 1 ? newest()->version : 0; }

  // Verifies the next roots, keeps each before it counts. What this chain has already is skipped.
  // The errors of verify_update().
  Result<void> extend(std::span<const Bytes> envelopes, TimeMs now_ms);
  // kExpired when the newest root has expired.
  Result<void> check_expiry(TimeMs now_ms) const;
  // Tells the person when the newest root has expired or is about to.
  void warn_of_expiry(const Output& output, TimeMs now_ms) const;
  // Where the root of this version is or would be kept.
  std::filesystem::path file_of(uint64_t version) const;

 private:
  explicit RootChain(RootPtr root) : roots_{std::move(root)} {}
  Result<void> read_followers(const std::filesystem::path& folder, std::vector<VerifyStep>* steps);

  std::optional<std::filesystem::path> folder_;  // where followers are kept
  std::vector<RootPtr> roots_;
};

}  // namespace notp::cli
