// What one client may ask for in a second, and at once.
#pragma once

#include <memory>
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

  class Place;

  // kBusy, with the time to wait; kOverloaded: too many clients ask at once. `now_ms`: of the boot
  // clock.
  TokenResult<Place> enter(const std::string& client, TimeMs now_ms);

 private:
  struct Client {
    size_t at_once = 0;
    double left = 0;  // requests of this second
    TimeMs as_of_ms = 0;
  };
  // Of the places, too.
  struct Clients {
    void leave(const std::string& client);
    // Who asks nothing now has all of its second soon.
    void forget() NOTP_REQUIRES(mutex);

    Mutex mutex;
    std::unordered_map<std::string, Client> known NOTP_GUARDED_BY(mutex);
  };

  const size_t per_second_, at_once_;
  const std::shared_ptr<Clients> clients_ = std::make_shared<Clients>();
};

// One request; it counts for the lifetime of this object, which may outlive the limits: a request
// that does not end is dropped with its executor.
class ClientLimits::Place {
 public:
  Place(std::shared_ptr<Clients> clients, std::string client)
      : clients_(std::move(clients)), client_(std::move(client)) {}
  Place(Place&& other) noexcept = default;
  Place& operator=(Place&&) = delete;
  ~Place() {
    if (clients_) clients_->leave(client_);
  }

 private:
  std::shared_ptr<Clients> clients_;
  std::string client_;
};

}  // namespace notp::txn
