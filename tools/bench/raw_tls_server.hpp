// The server of controls over TLS: OpenSSL and epoll on one thread, and nothing else.
#pragma once

#include <filesystem>

#include "common/result.hpp"

namespace notp::bench {

// Prints its port on standard output, accepts, and sends a byte on each session when its handshake
// is done. Reads commands from standard input until it ends:
//   usage        prints processor time of the process in s, and how many handshakes are done
//   write BYTES  writes so many bytes to each session, one SSL_write each, and prints processor
//                time and wall time of that, in s
// kIo; kUnavailable: a session's socket takes no more.
Result<void> serve_raw_tls(const std::filesystem::path& folder);

}  // namespace notp::bench
