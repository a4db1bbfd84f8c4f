#include "protocol/trust/verify_checks.hpp"

#include <fmt/format.h>

#include <set>

#include "common/limits.hpp"

namespace notp::trust {

Result<void> check_signers(const Envelope& envelope, const std::vector<PublicKey>& keys,
                           uint32_t threshold, std::string_view whose) {
  const size_t signers = count_signers(envelope, keys);
  if (signers >= threshold) return {};
  return fail(ErrorCode::kSignature, fmt::format("{} of {} needed signatures by the keys of {}",
                                                 signers, threshold, whose));
}

Result<void> check_domain(std::string_view found, std::string_view expected,
                          std::string_view what) {
  if (found == expected) return {};
  return fail(ErrorCode::kWrongTarget,
              fmt::format("a {} of '{}' where '{}' is expected", what, found, expected));
}

Result<void> check_freshness_signer(const Envelope& envelope, const Root& root) {
  if (root.freshness_keys.empty())
    return fail(ErrorCode::kSignature, "the root names no freshness key");
  return check_signers(envelope, root.freshness_keys, 1, "the root for freshness");
}

Result<void> check_audience(std::string_view what, std::string_view named,
                            std::string_view audience) {
  if (named == audience) return {};
  return fail(ErrorCode::kWrongTarget,
              fmt::format("{} for '{}', and this is '{}'", what, named, audience));
}

Result<void> check_known_root(uint64_t root_version, const Root& root) {
  if (root_version <= root.version) return {};
  return fail(
      ErrorCode::kRootInvalid,
      fmt::format("the registry knows root {} and gave only root {}", root_version, root.version));
}

Result<void> check_assignment_sequence(const Assignment& assignment, const Assignment* last) {
  if (last == nullptr || assignment.sequence > last->sequence || assignment == *last) return {};
  if (assignment.sequence < last->sequence)
    return fail(ErrorCode::kReplay,
                fmt::format("assignment {} after {}; it is an old one, or the registry's clock "
                            "went back",
                            assignment.sequence, last->sequence));
  return fail(ErrorCode::kEquivocation,
              fmt::format("there are two assignments {}, to class {} and to class {}; a key may be "
                          "stolen",
                          last->sequence, last->class_id.hex(), assignment.class_id.hex()));
}

Result<void> check_class(const ClassId& named, const Assignment* own, std::string_view audience,
                         TimeMs now_ms) {
  if (own == nullptr || own->audience != audience)
    return fail(ErrorCode::kWrongTarget,
                fmt::format("freshness for class {}, and no assignment says which class '{}' is in",
                            named.hex(), audience));
  if (own->class_id != named)
    return fail(ErrorCode::kWrongTarget,
                fmt::format("freshness for class {}, and '{}' is in class {}", named.hex(),
                            audience, own->class_id.hex()));
  if (now_ms < own->expires_ms) return {};
  return fail(ErrorCode::kExpired,
              fmt::format("assignment {} to class {} expired {} s ago", own->sequence, named.hex(),
                          (now_ms - own->expires_ms) / 1000));
}

Result<void> check_sequence(const Freshness& freshness, uint64_t last) {
  if (freshness.sequence > last) return {};
  return fail(ErrorCode::kReplay,
              fmt::format("freshness statement {} after {}; it is an old one, or the registry's "
                          "clock went back",
                          freshness.sequence, last));
}

Result<void> check_issued(std::string_view what, uint64_t sequence, TimeMs issued_ms,
                          TimeMs now_ms) {
  if (issued_ms - limits::kClockSkewMs <= now_ms) return {};
  return fail(ErrorCode::kClock,
              fmt::format("{} {} is issued {} s from now; set the clock of this machine or of the "
                          "registry right",
                          what, sequence, (issued_ms - now_ms) / 1000));
}

Result<void> check_expiry(std::string_view what, uint64_t sequence, TimeMs expires_ms,
                          TimeMs now_ms) {
  if (now_ms < expires_ms) return {};
  return fail(ErrorCode::kExpired,
              fmt::format("{} {} expired {} s ago", what, sequence, (now_ms - expires_ms) / 1000));
}

Result<void> check_complete(const Freshness& freshness,
                            const std::vector<model::LedgerId>& expected) {
  std::set<model::LedgerId> listed;
  for (const FreshHead& head : freshness.heads) listed.insert(head.ledger);
  for (const model::LedgerId& ledger : expected)
    if (!listed.contains(ledger))
      return fail(ErrorCode::kVanished, fmt::format("the registry no longer attests any "
                                                    "release of {}",
                                                    ledger.text()));
  return {};
}

}  // namespace notp::trust
