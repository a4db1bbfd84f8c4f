// How many assertions of one address may fail: who is not authenticated has no other limit, and
// each costs the verification of certificates.
#pragma once

#include <string>
#include <unordered_map>

#include "common/clock.hpp"

namespace notp::txn {

// Pure. One thread. Times are of the boot clock.
class FailedAssertions {
 public:
  // For IPv6 a /64 counts as one address. What is no IP address counts as it is.
  static std::string key_of(const std::string& address);

  // How long this one has to wait before an assertion of it is verified; 0: not at all.
  TimeMs wait_ms(const std::string& key, TimeMs now_ms) const;
  void count(const std::string& key, TimeMs now_ms);
  size_t remembered() const { return seconds_.size(); }

 private:
  struct Second {
    TimeMs since_ms = 0;
    size_t failed = 0;
  };
  static bool has_passed(const Second& second, TimeMs now_ms);

  std::unordered_map<std::string, Second> seconds_;
};

}  // namespace notp::txn
