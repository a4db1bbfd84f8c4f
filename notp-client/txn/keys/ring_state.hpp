// What is kept of the keys, as JSON: {"format": 1, "keys": [{"kid", "alg", "state", "made_ms",
// "used_ms", "retired_ms"}]}, oldest first.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "notp-client/txn/keys/ring_core.hpp"

namespace notp::txn {

std::string encode_records(const std::vector<KeyRecord>& records);
// kCorrupt: not such a document, or of another format, or of more than kRingKeysMax keys.
Result<std::vector<KeyRecord>> decode_records(std::string_view text);

}  // namespace notp::txn
