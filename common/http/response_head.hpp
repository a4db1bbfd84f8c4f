// Encodes the head of a response. Pure.
#pragma once

#include "common/http/message.hpp"

namespace notp::http {

// Whether a response of that status may have a body (RFC 9110 §6.4.1).
bool has_body(unsigned status);

// Returns status line and fields, with the empty line. Fields of the response that would break the
// head (a line break in them) are left out.
std::string response_head(const Response& response, size_t body_bytes, bool keep_alive);

}  // namespace notp::http
