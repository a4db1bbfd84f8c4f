#include "common/host_port.hpp"

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <span>

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
  const bool is_host =
      !host.empty() && host.size() <= kHostBytesMax && std::ranges::none_of(host, [](char c) {
        return c <= ' ' || c >= 0x7f || std::string_view("/?#@").contains(c);
      });
  if (!is_host || bracketed != host.contains(':')) return bad_address(text);
  HostPort out{std::string(host), 0};
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), out.port);
  if (error != std::errc() || end != digits.data() + digits.size()) return bad_address(text);
  return out;
}

std::string HostPort::text() const {
  return host.contains(':') ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

bool HostPort::is_wildcard() const {
  // Parses like connect(): "0" and "0x0" are the same address as "0.0.0.0".
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), nullptr, &hints, &found) != 0) return false;
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> list(found, ::freeaddrinfo);
  if (found->ai_family == AF_INET)
    return reinterpret_cast<const sockaddr_in*>(found->ai_addr)->sin_addr.s_addr == INADDR_ANY;
  const in6_addr& address = reinterpret_cast<const sockaddr_in6*>(found->ai_addr)->sin6_addr;
  const bool is_mapped_any =
      IN6_IS_ADDR_V4MAPPED(&address) && std::ranges::all_of(std::span(address.s6_addr).subspan(12),
                                                            [](uint8_t part) { return part == 0; });
  return IN6_IS_ADDR_UNSPECIFIED(&address) || is_mapped_any;
}

Result<void> check_reachable_address(std::string_view text) {
  NOTP_ASSIGN(const HostPort at, HostPort::parse(text));
  if (at.is_wildcard())
    return fail(ErrorCode::kConfig,
                fmt::format("{} is an address to listen on, not one that another machine can "
                            "connect to; write a name or an address of this machine",
                            printable(text)));
  if (at.port == 0)
    return fail(
        ErrorCode::kConfig,
        fmt::format("{} has port 0, which is not an address to connect to", printable(text)));
  return {};
}

}  // namespace notp
