// Limits how often an address may begin a TLS handshake: each handshake costs processor time,
// whatever the client.
#pragma once

#include <boost/asio/ip/address.hpp>
#include <cstddef>
#include <list>
#include <string>
#include <unordered_map>

#include "common/clock.hpp"

namespace notp::serve {

struct AddressRateLimits {
  // In one burst, and in the long run. A fleet that reconnects from behind one address spreads out
  // by its agents' backoff (kBackoffMaxMs).
  size_t burst = 1'024;
  size_t per_second = 128;
  size_t addresses_max = 4'096;  // remembered; the least recent one is forgotten
};

// Pure; one thread.
class AddressRate {
 public:
  explicit AddressRate(AddressRateLimits limits = {}) : limits_(limits) {}

  // For IPv6 a /64 counts as one address.
  static std::string key_of(const boost::asio::ip::address& peer);

  // Counts a handshake; false: it exceeds the rate.
  bool admit(const std::string& key, TimeMs now_boot_ms);
  size_t remembered() const { return places_.size(); }

 private:
  struct Bucket {
    std::string key;
    int64_t left_milli = 0;  // thousandths of a handshake
    TimeMs since_ms = 0;
  };
  using Buckets = std::list<Bucket>;  // most recent first

  const AddressRateLimits limits_;
  Buckets buckets_;
  std::unordered_map<std::string, Buckets::iterator> places_;
};

}  // namespace notp::serve
