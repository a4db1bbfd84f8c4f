// Immutable bytes that several processes map: a sealed memory file.
#pragma once

#include <memory>
#include <span>

#include "common/bytes.hpp"
#include "common/descriptor.hpp"

namespace notp::rego {

// Nothing can write, grow or shrink it (F_SEAL_WRITE, _GROW, _SHRINK, _SEAL), so a process that
// maps it needs no copy. Its pages are left out of images of this process's memory (MADV_DONTDUMP).
class SharedBytes {
 public:
  // Copies the pieces, one after the other; not all may be empty. `name` is what
  // /proc/<pid>/maps shows. kIo: no descriptor or no memory.
  static Result<std::shared_ptr<const SharedBytes>> create(const char* name,
                                                           std::span<const ByteView> pieces);

  ~SharedBytes();
  SharedBytes(const SharedBytes&) = delete;
  SharedBytes& operator=(const SharedBytes&) = delete;

  ByteView view() const { return view_; }
  int fd() const { return fd_.get(); }

 private:
  SharedBytes(Descriptor fd, ByteView view) : fd_(std::move(fd)), view_(view) {}

  const Descriptor fd_;
  const ByteView view_;  // mapped, read-only
};
using SharedBytesPtr = std::shared_ptr<const SharedBytes>;

}  // namespace notp::rego
