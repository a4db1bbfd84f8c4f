#include "notp-server/recovery/held_check.hpp"

#include <algorithm>
#include <ranges>
#include <utility>

#include "protocol/trust/content_check.hpp"

namespace notp::recovery {
namespace {

// What has expired since is part of the history.
constexpr TimeMs kBeforeAnyExpiry = 0;

}  // namespace

Result<trust::VerifiedRoot> verify_lost_root(ByteView envelope,
                                             const std::shared_ptr<const trust::Root>& newest) {
  trust::Trusted trusted;
  trusted.root = newest;
  trust::Update update;
  update.root_chain.push_back(envelope);
  trust::Verdict verdict = trust::verify_update(update, trusted, kBeforeAnyExpiry);
  if (verdict.error) return std::unexpected(*std::move(verdict.error));
  return std::move(verdict.root_chain.front());
}

Result<trust::VerifiedRelease> verify_lost_release(const trust::ReleaseEnvelope& envelope,
                                                   const model::LedgerId& ledger,
                                                   const RootWindow& roots) {
  Result<trust::VerifiedRelease> newest = fail(ErrorCode::kSignature, "there is no root");
  bool is_newest = true;
  for (const auto& root : roots | std::views::reverse) {
    trust::Trusted trusted;
    trusted.root = root;
    auto verified = trust::verify_release(envelope, ledger, trusted, kBeforeAnyExpiry);
    if (verified) return verified;
    if (std::exchange(is_newest, false)) newest = std::move(verified);
  }
  return newest;
}

Result<void> check_lost_content(const trust::VerifiedRelease& release,
                                const model::ModelContent& content, const RootWindow& roots) {
  std::optional<Error> newest;
  for (const auto& root : roots | std::views::reverse) {
    trust::Trusted trusted;
    trusted.root = root;
    if (!trust::verify_release(release.envelope, release.ref.ledger, trusted, kBeforeAnyExpiry))
      continue;
    auto checked = trust::check_content(*root, release.release(), *content.tree, content.loader());
    if (checked) return checked;
    if (!newest) newest = std::move(checked).error();
  }
  if (newest) return std::unexpected(*std::move(newest));
  return fail(ErrorCode::kSignature, "no root of those in question has it signed");
}

Result<trust::Freshness> verify_lost_statement(ByteView bytes, const RootWindow& roots) {
  NOTP_ASSIGN(const trust::Envelope envelope, trust::decode_freshness_envelope(bytes));
  const bool is_signed = std::ranges::any_of(roots, [&](const auto& root) {
    return trust::count_signers(envelope, root->freshness_keys) > 0;
  });
  if (!is_signed)
    return fail(ErrorCode::kSignature, "no freshness key of the roots in question has signed it");
  NOTP_ASSIGN(trust::Freshness statement, trust::Freshness::decode(envelope));
  if (statement.trust_domain != roots.back()->trust_domain)
    return fail(ErrorCode::kWrongTarget,
                "a freshness statement of '" + statement.trust_domain + "'");
  return statement;
}

}  // namespace notp::recovery
