// JSON of peers, which has few levels.
#pragma once

#include "common/json/json.hpp"

namespace notp::jose {

// Whether it has more levels of arrays and objects. `value` is one of parse_json().
bool is_deeper(const json::value& value, size_t levels);

// As parse_json(), in UTF-8; also kMessage for more levels than kJsonDepthMax.
Result<json::value> parse_shallow_json(std::string_view text);

}  // namespace notp::jose
