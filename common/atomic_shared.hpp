// A value that is replaced as a whole while others read it: configuration, certificates, rights, a
// PDP's snapshot.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

#include "common/assert.hpp"

namespace notp {

// A shared pointer that is read and replaced without a lock: a reader never waits for a writer or
// for another reader, and a thread that the system stops inside get() does not delay other threads.
// Thread-safe. The value lives as long as a reader holds the pointer.
//
// libstdc++ 12 has std::atomic<std::shared_ptr>, which spins on a bit and whose load() releases it
// with relaxed order. Hence the split count: the number of readers inside get() is next to the
// pointer in one word, so that a writer learns with the exchange how many readers still use the old
// node. The last thread that leaves the node deletes it.
template <typename T>
class AtomicShared {
 public:
  explicit AtomicShared(std::shared_ptr<const T> value)
      : word_(word_of(new Node{std::move(value)})) {}
  AtomicShared(const AtomicShared&) = delete;
  AtomicShared& operator=(const AtomicShared&) = delete;
  // No reader may be inside get().
  ~AtomicShared() { delete node_of(word_.load(std::memory_order_acquire)); }

  std::shared_ptr<const T> get() const {
    uint64_t seen = word_.fetch_add(kReader, std::memory_order_acquire) + kReader;
    Node* const node = node_of(seen);
    std::shared_ptr<const T> value = node->value;
    // While this reader is counted, the node lives, so that an equal pointer is the same node.
    while (node_of(seen) == node)
      if (word_.compare_exchange_weak(seen, seen - kReader, std::memory_order_release,
                                      std::memory_order_relaxed))
        return value;
    leave(node, -1);  // replaced since: the writer has counted this reader
    return value;
  }

  void set(std::shared_ptr<const T> value) {
    const uint64_t before =
        word_.exchange(word_of(new Node{std::move(value)}), std::memory_order_acq_rel);
    leave(node_of(before), static_cast<int64_t>(before >> kPointerBits));
  }

 private:
  struct Node {
    std::shared_ptr<const T> value;
    // Readers inside at the time of the exchange, less those that have left since. Readers that
    // leave before the writer adds make it negative, so that zero means the end exactly once.
    std::atomic<int64_t> readers = 0;
  };

  // User space addresses have 47 bits on x86-64 and 48 on AArch64, unless a program asks for more.
  static constexpr unsigned kPointerBits = 48;
  static constexpr uint64_t kReader = uint64_t{1} << kPointerBits;

  static uint64_t word_of(Node* node) {
    const auto word = reinterpret_cast<uint64_t>(node);
    NOTP_ASSERT(word < kReader, "an address has 48 bits");
    return word;
  }
  static Node* node_of(uint64_t word) { return reinterpret_cast<Node*>(word & (kReader - 1)); }
  static void leave(Node* node, int64_t readers) {
    if (node->readers.fetch_add(readers, std::memory_order_acq_rel) + readers == 0) delete node;
  }

  mutable std::atomic<uint64_t> word_;
};

}  // namespace notp
