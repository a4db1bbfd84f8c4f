// Whom a request is meant for, and whether a web page of somebody else sent it. Pure.
#pragma once

#include <optional>

#include "common/http/message.hpp"

namespace notp::http {

// The name of a Host field or of an authority: lower case, without port, brackets kept, without the
// dot at the end. nullopt when it is neither a name nor an address (RFC 9110 §7.2): user names,
// spaces, ports that are no numbers.
std::optional<std::string> host_name(std::string_view authority);

// "localhost", 127.0.0.0/8, [::1].
bool names_loopback(std::string_view name);

// Why a request is not answered: 421 for a Host that is not accepted, 403 for another origin.
// Accepted are `hosts`; loopback's names on a loopback listener; anything on another listener
// without `hosts`, and on a Unix socket. nullopt: it is answered.
std::optional<Response> refuse_stranger(const Request& request,
                                        const std::vector<std::string>& hosts,
                                        bool loopback_listener);

}  // namespace notp::http
