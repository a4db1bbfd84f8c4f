// The roots that this machine has verified: the pinned one and its successors, stored so that a
// registry cannot roll this machine back to an older one.
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

using RootPtr = std::shared_ptr<const trust::Root>;

class RootChain {
 public:
  // Loads the pinned root of the settings and the stored roots after it, from $XDG_STATE_HOME/notp
  // (~/.local/state/notp), separate for each pinned file. kUsage when no root is configured;
  // kCorrupt when a stored root does not verify.
  static Result<RootChain> load(const Settings& settings, const Environment& environment,
                                std::vector<trust::VerifyStep>* steps = nullptr);
  // Reads the pinned root and its successors from files named <version>.envelope in `folder`, as a
  // registry keeps them; stores nothing.
  static Result<RootChain> read(const Settings& settings, const std::filesystem::path& folder,
                                std::vector<trust::VerifyStep>* steps = nullptr);

  const RootPtr& newest() const { return roots_.back(); }
  // Oldest first, starting with the pinned one.
  const std::vector<RootPtr>& all() const { return roots_; }
  // The version of the newest root exchanged with a registry; 0: none yet.
  uint64_t seen_version() const { return roots_.size() > 1 ? newest()->version : 0; }

  // Verifies the next roots and stores each before it takes effect. Roots already in this chain are
  // skipped. The errors of verify_update().
  Result<void> extend(std::span<const Bytes> envelopes, TimeMs now_ms);
  // kExpired when the newest root has expired.
  Result<void> check_expiry(TimeMs now_ms) const;
  // Warns the user when the newest root has expired or is about to.
  void warn_of_expiry(const Output& output, TimeMs now_ms) const;
  // The path where the root of this version is or would be stored.
  std::filesystem::path file_of(uint64_t version) const;

 private:
  explicit RootChain(RootPtr root) : roots_{std::move(root)} {}
  Result<void> read_followers(const std::filesystem::path& folder,
                              std::vector<trust::VerifyStep>* steps);

  std::optional<std::filesystem::path> folder_;  // where successors are stored
  std::vector<RootPtr> roots_;
};

}  // namespace notp::cli
