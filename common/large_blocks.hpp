// How the allocator treats blocks of the size of documents and models.
#pragma once

#include <malloc.h>

namespace notp {

// Call it first in main(). Blocks of at least 1 MiB have their own pages and return them when
// freed. By default glibc takes such sizes for usual ones after the first that is freed, and keeps
// them in the arenas of all threads: a program would hold a large document several times.
inline void return_large_blocks() {
  constexpr int kOwnPagesBytesMin = 1 << 20;
  ::mallopt(M_MMAP_THRESHOLD, kOwnPagesBytesMin);
  ::mallopt(M_TRIM_THRESHOLD, 2 * kOwnPagesBytesMin);
}

}  // namespace notp
