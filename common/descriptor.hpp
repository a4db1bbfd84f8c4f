// An owning file descriptor.
#pragma once

#include <unistd.h>

#include <utility>

namespace notp {

class Descriptor {
 public:
  Descriptor() = default;
  // Takes ownership; a negative one means none.
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(other.release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() { close(); }

  int get() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }
  // Returns the descriptor, which the caller must close.
  int release() { return std::exchange(fd_, -1); }
  void close() {
    if (const int fd = release(); fd >= 0) ::close(fd);
  }

 private:
  int fd_ = -1;
};

}  // namespace notp
