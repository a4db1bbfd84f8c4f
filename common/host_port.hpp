// Where a peer is: a host by name or number, and a port.
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

  // "host:port", "1.2.3.4:port", "[::1]:port". It goes into requests of other protocols: a host has
  // neither blanks, control characters nor what ends one in a URL, and no bytes beyond ASCII.
  // kConfig.
  static Result<HostPort> parse(std::string_view text);
  // As parse() reads it: an IPv6 address in brackets.
  std::string text() const;

  // Does the host stand for every address of a machine, as in "0.0.0.0", "[::]" or "0"? One can
  // listen there, and connect to none but oneself.
  bool is_wildcard() const;
};

// An address that another machine may be told to connect to: no wildcard and no port 0. kConfig.
Result<void> check_reachable_address(std::string_view text);

}  // namespace notp
