// Counts the concurrent requests of each caller.
#pragma once

#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

#include "common/mutex.hpp"

namespace notp::api {

// Thread-safe.
class CallersAtOnce {
 public:
  // One request; it counts for the lifetime of this object.
  class Place {
   public:
    Place() = default;
    Place(CallersAtOnce* owner, std::string caller) : owner_(owner), caller_(std::move(caller)) {}
    Place(Place&& other) noexcept
        : owner_(std::exchange(other.owner_, nullptr)), caller_(std::move(other.caller_)) {}
    Place& operator=(Place&&) = delete;
    ~Place() {
      if (owner_) owner_->leave(caller_);
    }

   private:
    CallersAtOnce* owner_ = nullptr;
    std::string caller_;
  };

  // nullopt when the caller already has `at_once` requests under way. 0: unlimited, and no lock is
  // taken.
  std::optional<Place> enter(const std::string& caller, size_t at_once);

 private:
  void leave(const std::string& caller);

  Mutex mutex_;
  std::unordered_map<std::string, size_t> under_way_ NOTP_GUARDED_BY(mutex_);
};

}  // namespace notp::api
