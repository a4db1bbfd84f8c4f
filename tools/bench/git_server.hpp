// `git daemon` as inetd runs it: one for each connection. Its own listener has room for five
// connections that wait, so it resets some of 200 that come at once.
#pragma once

#include <filesystem>

#include "common/result.hpp"

namespace notp::bench {

// Prints its port on standard output and serves the repositories in `folder`/server until standard
// input ends. kIo.
Result<void> serve_git(const std::filesystem::path& folder);

}  // namespace notp::bench
