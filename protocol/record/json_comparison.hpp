// Compares two JSON texts as values.
#pragma once

#include <set>
#include <string>

#include "common/bytes.hpp"

namespace notp::record {

// RFC 6901 pointers of values that are not compared.
struct UncomparedValues {
  std::set<std::string, std::less<>> replaced;  // they have another value in `left`
  std::set<std::string, std::less<>> removed;   // `left` lacks them; indices count as in `right`
};

// Whether both are the same value. Numbers are compared by their text, members in any order, of
// repeated names the last one. `prefix` begins every pointer. Texts that are not JSON, or are
// deeper than limits::kJsonDepthMax there, are compared byte by byte.
bool is_same_json(ByteView left, ByteView right, const UncomparedValues& uncompared = {},
                  std::string_view prefix = {});

}  // namespace notp::record
