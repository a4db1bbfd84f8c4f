// What a peer is told of an error.
#pragma once

#include <string>
#include <string_view>

#include "common/result.hpp"

namespace notp {

// Is it about the registry's own files or inner workings? The message of such an error has paths
// and words of libraries, which are for the registry's log.
bool is_own_matter(ErrorCode code);

// The message for a peer: that of the error, or, of an own matter, what kind it is of and whom it
// is about ("ledger v3"; may be empty).
std::string peer_message(ErrorCode code, std::string message, std::string_view about);

}  // namespace notp
