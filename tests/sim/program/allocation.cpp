// Memory for notp-sim. A world makes and drops millions of small objects, and the general allocator
// took a sixth of its time. Here each thread keeps freed blocks by size for its own next one;
// nothing returns to the system, and a world needs some 10 MB.
//
// Only this program has it: the tests keep the allocator in which a sanitizer sees misuse.
#include <array>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace {

constexpr size_t kUnitBytes = 16;         // of sizes, and the alignment of all blocks
constexpr size_t kPooledBytesMax = 1024;  // larger blocks are the general allocator's
constexpr size_t kSlabBytes = 256 << 10;
constexpr size_t kUnpooled = kPooledBytesMax / kUnitBytes + 1;

// In front of each block: its size in units, or kUnpooled.
struct alignas(kUnitBytes) Header {
  size_t units;
};

struct FreeBlock {
  FreeBlock* next;
};

thread_local constinit std::array<FreeBlock*, kUnpooled> free_blocks{};
thread_local constinit char* slab = nullptr;
thread_local constinit char* slab_end = nullptr;

char* from_system(size_t bytes) {
  void* const memory = std::malloc(bytes);
  if (memory == nullptr) throw std::bad_alloc();
  return static_cast<char*>(memory);
}

void* with_header(char* memory, size_t units) { return new (memory) Header{units} + 1; }

void* allocate(size_t bytes) {
  if (bytes > kPooledBytesMax) return with_header(from_system(sizeof(Header) + bytes), kUnpooled);
  const size_t units = (bytes + kUnitBytes - 1) / kUnitBytes + (bytes == 0);
  if (FreeBlock* const block = free_blocks[units]) {
    free_blocks[units] = block->next;
    return block;
  }
  const size_t whole = sizeof(Header) + units * kUnitBytes;
  if (static_cast<size_t>(slab_end - slab) < whole) {
    slab = from_system(kSlabBytes);
    slab_end = slab + kSlabBytes;
  }
  char* const memory = slab;
  slab += whole;
  return with_header(memory, units);
}

void release(void* memory) {
  if (memory == nullptr) return;
  Header* const header = static_cast<Header*>(memory) - 1;
  if (header->units == kUnpooled) return std::free(header);
  free_blocks[header->units] = new (memory) FreeBlock{free_blocks[header->units]};
}

}  // namespace

void* operator new(size_t bytes) { return allocate(bytes); }
void* operator new[](size_t bytes) { return allocate(bytes); }
void operator delete(void* memory) noexcept { release(memory); }
void operator delete[](void* memory) noexcept { release(memory); }
void operator delete(void* memory, size_t) noexcept { release(memory); }
void operator delete[](void* memory, size_t) noexcept { release(memory); }
