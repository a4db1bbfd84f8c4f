// Reaches a registry from here, and names the cause when that fails.
#pragma once

#include "common/http/proxy.hpp"
#include "protocol/transport/tls_context.hpp"
#include "tools/notp/doctor/diagnosis.hpp"

namespace notp::cli::doctor {

// Adds the finding for a failed connection, by the error's code and, of those without an answer,
// their cause: a name, a closed port, or neither.
void add_connection_error(const Error& error, const std::string& address, Diagnosis& diagnosis);

// Opens a TCP connection and closes it: the errors of http::dial().
Result<void> reach(const std::string& address);

// Shakes hands as a node, without a session, so that the registry's list of nodes does not change.
// Waits a moment for the refusal that TLS 1.3 sends late. Returns whom the other side names. The
// errors of transport::connect(), and those that the registry answers with.
Result<session::Identity> shake_hands(const std::string& address, const transport::TlsFiles& files,
                                      const http::ProxyRoute& route);

// "0.0.0.0:7443" as "127.0.0.1:7443": where a listener on every address is reached from here.
std::string address_from_here(const std::string& listen);

}  // namespace notp::cli::doctor
