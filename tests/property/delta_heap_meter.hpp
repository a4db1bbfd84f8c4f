// Counts this process's heap: every allocation of every library goes through the meter. Not with
// sanitizers, which have their own allocator.
#pragma once

#include <cstddef>

namespace notp::heap_meter {

// False in a build that does not count.
bool counts();
size_t live_bytes();
// The peak of live_bytes() since the last reset.
size_t peak_bytes();
void reset_peak();

}  // namespace notp::heap_meter
