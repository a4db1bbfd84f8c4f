// The address of a resource, http:// or https:// (RFC 9110 §4.2). Pure.
#pragma once

#include <string>

#include "common/host_port.hpp"

namespace notp::http {

struct Url {
  bool is_tls = false;    // https
  HostPort at;            // port 80 or 443 when the URL names none
  std::string authority;  // host and port as written: the Host field
  std::string target;     // path and query: at least "/"

  // kUsage: another scheme, user and password, a fragment, blanks, control characters or bytes
  // beyond ASCII, which a caller has to escape. The error does not repeat a password.
  static Result<Url> parse(std::string_view text);
};

}  // namespace notp::http
