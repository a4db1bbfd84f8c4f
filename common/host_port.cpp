#include "common/host_port.hpp"

#include <fmt/format.h>

#include <charconv>

#include "common/bytes.hpp"

namespace notp {
namespace {

std::unexpected<Error> bad_address(std::string_view text) {
  return fail(
      ErrorCode::kConfig,
      fmt::format("'{}' is not an address; write host:port or [IPv6]:port", printable(text)));
}

}  // namespace

Result<HostPort> HostPort::parse(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return bad_address(text);
  std::string_view host = text.substr(0, colon), digits = text.substr(colon + 1);
  const bool bracketed = host.starts_with('[') && host.ends_with(']');
  if (bracketed) host = host.substr(1, host.size() - 2);
  if (host.empty() || bracketed != host.contains(':')) return bad_address(text);
  HostPort out{std::string(host), 0};
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), out.port);
  if (error != std::errc() || end != digits.data() + digits.size()) return bad_address(text);
  return out;
}

std::string HostPort::text() const {
  return host.contains(':') ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

}  // namespace notp
