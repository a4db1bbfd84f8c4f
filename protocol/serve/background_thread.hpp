// Work that gets the processor when nothing else wants it.
#pragma once

#include <functional>

#include "common/result.hpp"

namespace notp {

// Runs `work` on a thread of its own with the lowest priority that the system has, and does not
// wait for it: on a busy machine that can take seconds for every step. So the thread may outlive
// whoever started it, and `work` owns all that it touches. It takes no lock that others wait for:
// its holder may not run for long. kInternal when the system gives no thread.
Result<void> start_background(std::function<void()> work);

}  // namespace notp
