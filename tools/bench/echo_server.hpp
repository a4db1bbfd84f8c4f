// The server of the control "echo": asio::ssl::stream, in the form of Asio's own example.
#pragma once

#include <filesystem>

#include "common/result.hpp"

namespace notp::bench {

// Prints its port on standard output, and sends a byte on each session when its handshake is done.
// Serves until standard input ends. kIo, kConfig.
Result<void> serve_echo(const std::filesystem::path& folder);

}  // namespace notp::bench
