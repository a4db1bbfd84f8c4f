#include "notp-server/backup/release_check.hpp"

#include <fmt/format.h>

#include <ranges>
#include <utility>

#include "protocol/trust/verify.hpp"

namespace notp::backup {
namespace {

// A release that has expired since is part of the history.
constexpr TimeMs kBeforeAnyExpiry = 0;

Result<void> check_signed(const registry::ReleaseInfo& release, const RootChain& roots) {
  Result<void> newest = fail(ErrorCode::kSignature, "there is no root");
  bool is_newest = true;
  for (const auto& root : roots | std::views::reverse) {
    trust::Trusted trusted;
    trusted.root = root;
    const auto verified = trust::verify_release(trust::ReleaseEnvelope(release.envelope),
                                                release.ref.ledger, trusted, kBeforeAnyExpiry);
    if (verified) return {};
    if (std::exchange(is_newest, false)) newest = std::unexpected(verified.error());
  }
  return newest;
}

}  // namespace

Result<void> check_signatures(const std::vector<registry::ReleaseInfo>& releases,
                              const RootChain& roots) {
  const bool is_whole = !roots.empty() && roots.front()->version == 1;
  for (const registry::ReleaseInfo& release : releases) {
    const bool is_head = &release == &releases.back();
    if (auto checked = check_signed(release, roots); !checked && (is_head || is_whole))
      return std::unexpected(
          std::move(checked).error().in(fmt::format("v{}", release.ref.version)));
  }
  return {};
}

}  // namespace notp::backup
