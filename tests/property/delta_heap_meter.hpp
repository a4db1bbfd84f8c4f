// Counts the heap of this process: every allocation of every library in it goes through the meter.
// Not with sanitizers, which have an allocator of their own.
#pragma once

#include <cstddef>

namespace notp::heap_meter {

// False in a build in which nothing is counted.
bool counts();
size_t live_bytes();
// Of live_bytes(), since the last reset.
size_t peak_bytes();
void reset_peak();

}  // namespace notp::heap_meter
