// What one client may ask for in a second, and at once.
#pragma once

#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

#include "common/clock.hpp"
#include "common/mutex.hpp"
#include "notp-client/txn/issue/token_error.hpp"

namespace notp::txn {

// Thread-safe. Of more than kTxnClientsMax clients, those that ask nothing now are forgotten.
class ClientLimits {
 public:
  // `per_second`: so many requests at once, too, after a second without one.
  ClientLimits(size_t per_second, size_t at_once) : per_second_(per_second), at_once_(at_once) {}

  // One request; it counts for the lifetime of this object.
  class Place {
   public:
    Place(ClientLimits* owner, std::string client) : owner_(owner), client_(std::move(client)) {}
    Place(Place&& other) noexcept
        : owner_(std::exchange(other.owner_, nullptr)), client_(std::move(other.client_)) {}
    Place& operator=(Place&&) = delete;
    ~Place() {
      if (owner_) owner_->leave(client_);
    }

   private:
    ClientLimits* owner_;
    std::string client_;
  };

  // kBusy, with the time to wait; kOverloaded: too many clients ask at once. `now_ms`: of the boot
  // clock.
  TokenResult<Place> enter(const std::string& client, TimeMs now_ms);

 private:
  struct Client {
    size_t at_once = 0;
    double left = 0;  // requests of this second
    TimeMs as_of_ms = 0;
  };
  void leave(const std::string& client);
  void forget() NOTP_REQUIRES(mutex_);

  const size_t per_second_, at_once_;
  Mutex mutex_;
  std::unordered_map<std::string, Client> clients_ NOTP_GUARDED_BY(mutex_);
};

}  // namespace notp::txn
