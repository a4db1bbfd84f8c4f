// Work that gets the processor when nobody else wants it.
#pragma once

#include <functional>

#include "common/result.hpp"

namespace notp {

// Runs `work` on a thread of its own with the lowest priority that the system has, and waits for
// it. `work` takes no lock that others wait for: its holder may not run for long. kInternal when
// the system gives no thread; `work` has not run then.
Result<void> run_when_idle(const std::function<void()>& work);

}  // namespace notp
