#include "tools/notp/query/reference.hpp"

#include <fmt/format.h>

#include <charconv>

#include "common/bytes.hpp"
#include "common/limits.hpp"

namespace notp::cli {

Result<uint64_t> parse_version(std::string_view text) {
  const std::string_view digits = text.starts_with('v') ? text.substr(1) : text;
  uint64_t version = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), version);
  if (error != std::errc() || end != digits.data() + digits.size() || version == 0 ||
      version > limits::kVersionMax)
    return std::unexpected(
        Error{ErrorCode::kUsage, fmt::format("'{}' is not a version", printable(text)), {}}.with(
            "hint", "versions count from v1, as in v41"));
  return version;
}

Result<ReleaseReference> parse_reference(std::string_view text) {
  const size_t at = text.find('@');
  ReleaseReference reference;
  NOTP_ASSIGN(reference.ledger, model::LedgerId::parse(text.substr(0, at)));
  if (at != text.npos) {
    NOTP_ASSIGN(reference.version, parse_version(text.substr(at + 1)));
  }
  return reference;
}

}  // namespace notp::cli
