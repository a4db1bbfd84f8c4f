#include "protocol/trust/verify.hpp"

#include <fmt/format.h>

#include <set>
#include <tuple>

namespace notp {
namespace {

Result<Envelope> decode_as(ByteView bytes, std::string_view type) {
  NOTP_ASSIGN(Envelope envelope, Envelope::decode(bytes));
  if (envelope.payload_type != type)
    return fail(ErrorCode::kEnvelope, fmt::format("an envelope of type '{}' where '{}' is expected",
                                                  envelope.payload_type, type));
  return envelope;
}

Result<void> check_signers(const Envelope& envelope, const std::vector<PublicKey>& keys,
                           uint32_t threshold, std::string_view whose) {
  const size_t signers = count_signers(envelope, keys);
  if (signers >= threshold) return {};
  return fail(ErrorCode::kSignature, fmt::format("{} of {} needed signatures by the keys of {}",
                                                 signers, threshold, whose));
}

Result<void> check_target(const Release& release, const Root& root, const LedgerId& ledger) {
  if (release.trust_domain != root.trust_domain || release.ledger != ledger)
    return fail(ErrorCode::kWrongTarget, fmt::format("a release of {} where {} is expected",
                                                     release.ledger.uri(release.trust_domain),
                                                     ledger.uri(root.trust_domain)));
  if (release.epoch > root.epoch)
    return fail(ErrorCode::kWrongTarget,
                fmt::format("a release of epoch {} under a root of epoch {}; get the newest root",
                            release.epoch, root.epoch));
  return {};
}

Result<void> check_expiry(const Release& release, const Root& root, TimeMs now_ms) {
  if (root.expires_ms != 0 && now_ms >= root.expires_ms)
    return fail(ErrorCode::kExpired,
                fmt::format("root {} has expired; get the newest root", root.version));
  if (release.expires_ms != 0 && now_ms >= release.expires_ms)
    return fail(ErrorCode::kExpired, fmt::format("release {} of {} has expired", release.version,
                                                 release.ledger.text()));
  return {};
}

Result<void> check_floor(const Release& release, const Hash& hash, const Floor& floor) {
#ifdef NOTP_PLANTED_SKIP_FLOOR_CHECK  // a bug on demand: proves that the simulation would find it
  return {};
#endif
  const auto offered = std::tie(release.epoch, release.version);
  const auto known = std::tie(floor.epoch, floor.version);
  if (offered < known)
    return fail(ErrorCode::kRollback,
                fmt::format("release {} of epoch {} is below release {} of epoch {}, which was "
                            "already verified here",
                            release.version, release.epoch, floor.version, floor.epoch));
  if (offered == known && hash != floor.release)
    return fail(
        ErrorCode::kEquivocation,
        fmt::format("there are two releases {} of {}: {} and {}; a publisher key may be "
                    "stolen",
                    release.version, release.ledger.text(), floor.release.brief(), hash.brief()));
  return {};
}

}  // namespace

Result<Root> verify_pinned_root(ByteView envelope_bytes, std::string_view trust_domain) {
  NOTP_ASSIGN(const Envelope envelope, decode_as(envelope_bytes, kRootType));
  NOTP_ASSIGN(Root root, Root::decode(envelope.payload));
  if (root.trust_domain != trust_domain)
    return fail(ErrorCode::kWrongTarget, fmt::format("a root of '{}' where '{}' is expected",
                                                     root.trust_domain, trust_domain));
  NOTP_TRY(check_signers(envelope, root.root_keys, root.root_threshold, "the root itself"));
  std::set<std::string_view> patterns;
  for (const Delegation& delegation : root.delegations)
    if (!patterns.insert(delegation.pattern).second)
      return fail(ErrorCode::kRootInvalid,
                  fmt::format("the root delegates '{}' twice; the second could never apply",
                              delegation.pattern));
  return root;
}

Result<VerifiedRelease> verify_release(ByteView envelope_bytes, const Root& root,
                                       const LedgerId& ledger, const Floor& floor, TimeMs now_ms) {
  NOTP_ASSIGN(const Envelope envelope, decode_as(envelope_bytes, kReleaseType));
  const Delegation* delegation = root.delegation_for(ledger);
  if (delegation == nullptr)
    return fail(ErrorCode::kSignature,
                fmt::format("the root lets nobody publish {}", ledger.text()));
  NOTP_TRY(check_signers(envelope, delegation->keys, delegation->threshold,
                         fmt::format("the delegation '{}'", delegation->pattern)));
  NOTP_ASSIGN(Release release, Release::decode(envelope.payload));
  NOTP_TRY(check_target(release, root, ledger));
  NOTP_TRY(check_expiry(release, root, now_ms));
  const Hash hash = release_hash(envelope.payload);
  NOTP_TRY(check_floor(release, hash, floor));
  return VerifiedRelease{std::move(release), hash, Bytes(envelope_bytes)};
}

}  // namespace notp
