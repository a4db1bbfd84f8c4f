// Mutual TLS 1.3 for controls: OpenSSL with the product's cipher suites, groups and modes, and the
// plainest check of a chain.
#pragma once

#include <openssl/ssl.h>

#include <filesystem>

#include "common/c_ptr.hpp"
#include "common/result.hpp"

namespace notp::bench {

using ControlTls = CPointer<SSL_CTX, SSL_CTX_free>;
using ControlSession = CPointer<SSL, SSL_free>;

// Writes ca.crt, and server and client with .crt and .key, into the folder: P-256. kIo.
Result<void> make_control_certificates(const std::filesystem::path& folder);
// Of the side that the folder's files name "server" or "client". kConfig.
Result<ControlTls> control_tls(const std::filesystem::path& folder, bool is_server);

// What a session waits for before the call that returned `result` can be made again.
enum class ControlWait : uint8_t { kNothing, kRead, kWrite, kEnded };
ControlWait control_wait(const SSL* session, int result);

}  // namespace notp::bench
