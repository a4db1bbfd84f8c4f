#include "protocol/serve/address_rate.hpp"

#include <algorithm>

namespace notp::serve {

std::string AddressRate::key_of(const boost::asio::ip::address& peer) {
  constexpr size_t kPrefixBytes = 8;
  if (!peer.is_v6() || peer.to_v6().is_v4_mapped()) return peer.to_string();
  const auto bytes = peer.to_v6().to_bytes();
  return {reinterpret_cast<const char*>(bytes.data()), kPrefixBytes};
}

bool AddressRate::admit(const std::string& key, TimeMs now_boot_ms) {
  constexpr int64_t kOne = 1'000;
  const auto full = static_cast<int64_t>(limits_.burst) * kOne;
  auto place = places_.find(key);
  if (place == places_.end()) {
    if (buckets_.size() >= limits_.addresses_max) {
      places_.erase(buckets_.back().key);
      buckets_.pop_back();
    }
    buckets_.push_front({key, full, now_boot_ms});
    place = places_.emplace(key, buckets_.begin()).first;
  }
  buckets_.splice(buckets_.begin(), buckets_, place->second);
  Bucket& bucket = buckets_.front();
  // Beyond this it is full in any case.
  const int64_t passed_ms = std::min<int64_t>(now_boot_ms - bucket.since_ms, full);
  bucket.left_milli =
      std::min(full, bucket.left_milli + passed_ms * static_cast<int64_t>(limits_.per_second));
  bucket.since_ms = now_boot_ms;
  if (bucket.left_milli < kOne) return false;
  bucket.left_milli -= kOne;
  return true;
}

}  // namespace notp::serve
