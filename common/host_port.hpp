// The address of a peer: a host by name or number, and a port.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/result.hpp"

namespace notp {

inline constexpr size_t kHostBytesMax = 253;  // RFC 1035 section 2.3.4, without the last dot

struct HostPort {
  std::string host;  // without brackets
  uint16_t port = 0;

  // Parses "host:port", "1.2.3.4:port", "[::1]:port". It goes into requests of other protocols: a
  // host must not contain blanks, control characters, characters that end a host in a URL, or bytes
  // beyond ASCII. kConfig.
  static Result<HostPort> parse(std::string_view text);
  // Returns the text that parse() reads: an IPv6 address in brackets.
  std::string text() const;

  // Whether the host means every address of a machine, as in "0.0.0.0", "[::]" or "0". One can
  // listen there, but connect only to oneself.
  bool is_wildcard() const;
};

// Checks an address that other machines shall connect to: not a wildcard, and not port 0. kConfig.
Result<void> check_reachable_address(std::string_view text);

}  // namespace notp
