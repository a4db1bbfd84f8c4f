#include "notp-client/txn/http/failed_assertions.hpp"

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/network_v6.hpp>

#include "notp-client/txn/txn_limits.hpp"

namespace notp::txn {

namespace ip = boost::asio::ip;

namespace {

constexpr TimeMs kSecondMs = 1'000;
constexpr unsigned short kPrefixBits = 64;

}  // namespace

std::string FailedAssertions::key_of(const std::string& address) {
  boost::system::error_code failed;
  const ip::address parsed = ip::make_address(address, failed);
  if (failed || !parsed.is_v6() || parsed.to_v6().is_v4_mapped()) return address;
  // Without a scope: it is of no network.
  return ip::network_v6(ip::address_v6(parsed.to_v6().to_bytes()), kPrefixBits)
      .canonical()
      .to_string();
}

TimeMs FailedAssertions::wait_ms(const std::string& key, TimeMs now_ms) const {
  const auto found = seconds_.find(key);
  if (found == seconds_.end() || has_passed(found->second, now_ms) ||
      found->second.failed < limits::kTxnAssertionFailuresPerSecond)
    return 0;
  return found->second.since_ms + kSecondMs - now_ms;
}

void FailedAssertions::count(const std::string& key, TimeMs now_ms) {
  if (seconds_.size() >= limits::kTxnFailingAddressesMax && !seconds_.contains(key))
    std::erase_if(seconds_, [&](const auto& each) { return has_passed(each.second, now_ms); });
  // So many in one second: to count each of them bounds nothing.
  if (seconds_.size() >= limits::kTxnFailingAddressesMax && !seconds_.contains(key))
    seconds_.clear();
  Second& second = seconds_.try_emplace(key, Second{.since_ms = now_ms}).first->second;
  if (has_passed(second, now_ms)) second = {.since_ms = now_ms};
  ++second.failed;
}

bool FailedAssertions::has_passed(const Second& second, TimeMs now_ms) {
  return now_ms < second.since_ms || now_ms - second.since_ms >= kSecondMs;
}

}  // namespace notp::txn
