// Checks that a request is meant for this server, and that a foreign web page did not send it.
// Pure.
#pragma once

#include <optional>

#include "common/http/message.hpp"

namespace notp::http {

// Returns the name of a Host field or of an authority: lower case, without port, brackets kept,
// without a final dot. nullopt when it is neither a name nor an address (RFC 9110 §7.2): user
// names, spaces, ports that are not numbers.
std::optional<std::string> host_name(std::string_view authority);

// Whether it is "localhost", in 127.0.0.0/8, or [::1].
bool names_loopback(std::string_view name);

// Returns the refusal of a request: 421 for a Host that is not accepted, 403 for another origin.
// Accepted are `hosts`; loopback's names on a loopback listener; any name on another listener
// without `hosts`, and on a Unix socket. nullopt: the request is accepted.
std::optional<Response> refuse_stranger(const Request& request,
                                        const std::vector<std::string>& hosts,
                                        bool loopback_listener);

}  // namespace notp::http
