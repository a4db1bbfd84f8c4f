// Where a peer is: a host by name or number, and a port.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/result.hpp"

namespace notp {

struct HostPort {
  std::string host;  // without brackets
  uint16_t port = 0;

  // "host:port", "1.2.3.4:port", "[::1]:port". kConfig.
  static Result<HostPort> parse(std::string_view text);
  // As parse() reads it: an IPv6 address in brackets.
  std::string text() const;
};

}  // namespace notp
