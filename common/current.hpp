// A value that is replaced as a whole while others read it: configuration, certificates, rights.
#pragma once

#include <memory>
#include <mutex>
#include <utility>

namespace notp {

// Thread-safe. A reader keeps what it got for as long as it holds the pointer.
template <typename T>
class Current {
 public:
  explicit Current(std::shared_ptr<const T> value) : value_(std::move(value)) {}

  std::shared_ptr<const T> get() const {
    const std::scoped_lock lock(mutex_);
    return value_;
  }

  void set(std::shared_ptr<const T> value) {
    const std::scoped_lock lock(mutex_);
    value_.swap(value);  // the old value is destroyed after the lock is gone
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const T> value_;  // guarded by mutex_
};

}  // namespace notp
