#include "tests/property/delta_heap_meter.hpp"

#include <malloc.h>

#include <atomic>
#include <cerrno>

namespace {

std::atomic<size_t> live{0}, peak{0};

[[maybe_unused]] void* count(void* block) {
  if (block == nullptr) return nullptr;
  const size_t now = live += malloc_usable_size(block);
  size_t before = peak;
  while (before < now && !peak.compare_exchange_weak(before, now)) {
  }
  return block;
}

[[maybe_unused]] void discount(void* block) {
  if (block != nullptr) live -= malloc_usable_size(block);
}

}  // namespace

#if NOTP_HEAP_METER
extern "C" {

void* __libc_malloc(size_t bytes);
void* __libc_calloc(size_t items, size_t bytes);
void* __libc_realloc(void* block, size_t bytes);
void* __libc_memalign(size_t alignment, size_t bytes);
void __libc_free(void* block);

void* malloc(size_t bytes) { return count(__libc_malloc(bytes)); }
void* calloc(size_t items, size_t bytes) { return count(__libc_calloc(items, bytes)); }
void* memalign(size_t alignment, size_t bytes) { return count(__libc_memalign(alignment, bytes)); }
void* aligned_alloc(size_t alignment, size_t bytes) { return memalign(alignment, bytes); }
int posix_memalign(void** out, size_t alignment, size_t bytes) {
  *out = memalign(alignment, bytes);
  return *out == nullptr ? ENOMEM : 0;
}
void* realloc(void* block, size_t bytes) {
  discount(block);
  void* const moved = __libc_realloc(block, bytes);
  // A block that could not grow still exists.
  return moved == nullptr && bytes != 0 ? (count(block), nullptr) : count(moved);
}
void free(void* block) {
  discount(block);
  __libc_free(block);
}

}  // extern "C"
#endif

namespace notp::heap_meter {

bool counts() { return NOTP_HEAP_METER; }
size_t live_bytes() { return live; }
size_t peak_bytes() { return peak; }
void reset_peak() { peak = live.load(); }

}  // namespace notp::heap_meter
