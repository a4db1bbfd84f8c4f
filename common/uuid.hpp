// Random identifiers.
#pragma once

#include <string>

namespace notp {

// Returns a UUID of version 4 (RFC 9562 section 5.4), from the operating system's generator through
// OpenSSL: "f81d4fae-7dec-41d0-a765-00a0c91e6bf6". Thread-safe.
std::string random_uuid();

}  // namespace notp
