// Turns errors into messages for peers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/result.hpp"

namespace notp::serve {

// Whether the error concerns the registry's files or internals. The message of such an error
// contains paths and texts of libraries, which belong in the registry's log.
bool is_own_matter(ErrorCode code);

// Returns the message for a peer: the error's own, or for an internal matter its kind and its
// subject, `about` ("ledger v3"; may be empty).
std::string peer_message(ErrorCode code, std::string message, std::string_view about);

// Returns the name of a code in a response; empty for 0, which is no error.
std::string_view code_name(uint32_t wire);

}  // namespace notp::serve
