// Runs work when the processor is idle.
#pragma once

#include <functional>

#include "common/result.hpp"

namespace notp::serve {

// Runs `work` on a new thread with the lowest priority of the system, and does not wait for it: on
// a busy machine every step can take seconds. The thread may outlive the caller, so `work` owns all
// that it touches. It must not take a lock that others wait for: its holder may not run for long.
// kInternal when the system cannot start a thread.
Result<void> start_background(std::function<void()> work);

}  // namespace notp::serve
