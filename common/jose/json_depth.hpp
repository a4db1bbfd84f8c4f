// JSON of peers, which has few levels.
#pragma once

#include "common/json/json.hpp"

namespace notp::jose {

// As parse_json(), in UTF-8; also kMessage for more levels than kJsonDepthMax.
Result<json::value> parse_shallow_json(std::string_view text);

}  // namespace notp::jose
