#include "protocol/wire/semantic_check.hpp"

#include <fmt/format.h>

#include "common/crypto/signature.hpp"
#include "common/limits.hpp"

namespace notp::wire {

Result<void> require(bool holds, std::string_view rule) {
  return holds ? Result<void>{} : fail(ErrorCode::kMessage, std::string(rule));
}

Result<void> check_ledger(const model::LedgerId& ledger) {
  auto checked = ledger.check();
  if (checked) return {};
  return fail(ErrorCode::kMessage, "ledger: " + checked.error().message);
}

Result<void> check_release(uint64_t version, std::string_view what) {
  if (version >= 1 && version <= limits::kVersionMax) return {};
  return fail(ErrorCode::kMessage,
              fmt::format("{} {} is outside 1 to {}", what, version, limits::kVersionMax));
}

Result<void> check_release_or_none(uint64_t version, std::string_view what) {
  return version == 0 ? Result<void>{} : check_release(version, what);
}

Result<void> check_envelope(ByteView envelope) {
  NOTP_TRY(require(!envelope.empty(), "an empty envelope"));
  return require(envelope.size() <= limits::kEnvelopeBytesMax, "an envelope is too long");
}

Result<void> check_roots(const std::vector<Bytes>& roots) {
  NOTP_TRY(require(roots.size() <= limits::kRootStepsMax, "too many roots"));
  for (const Bytes& envelope : roots) NOTP_TRY(check_envelope(envelope));
  return {};
}

Result<void> check_signature(ByteView signature) {
  return require(signature.size() == kSignatureBytes, "a signature is not 64 bytes long");
}

}  // namespace notp::wire
