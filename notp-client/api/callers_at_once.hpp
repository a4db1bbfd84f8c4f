// How many requests each caller has under way.
#pragma once

#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

#include "common/mutex.hpp"

namespace notp {

// Thread-safe.
class CallersAtOnce {
 public:
  // One request, for as long as it lives.
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

  // Nothing when the caller has `at_once` under way already; 0: it may have any number, and no lock
  // is taken.
  std::optional<Place> enter(const std::string& caller, size_t at_once);

 private:
  void leave(const std::string& caller);

  Mutex mutex_;
  std::unordered_map<std::string, size_t> under_way_ NOTP_GUARDED_BY(mutex_);
};

}  // namespace notp
