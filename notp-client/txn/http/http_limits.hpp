// Limits of the Transaction Token Service's listener.
#pragma once

#include <cstddef>
#include <cstdint>

namespace notp::limits {

inline constexpr uint16_t kTxnPort = 7446;
// Clients whose requests are counted; of more, those that ask seldom are forgotten.
inline constexpr size_t kTxnClientsMax = 65'536;
// How long to stay away (Retry-After): of a client that has too much under way, and while nothing
// can be decided.
inline constexpr int64_t kTxnBusyRetryMs = 1'000, kTxnUnavailableRetryMs = 5'000;
// Between two log lines about an issuer that does not answer.
inline constexpr int64_t kTxnIntrospectionLogMs = 10'000;

}  // namespace notp::limits
