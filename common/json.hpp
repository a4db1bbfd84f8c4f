// JSON (RFC 8259) with limits, on Boost.JSON.
#pragma once

#include <boost/json.hpp>
#include <string_view>

#include "common/bytes.hpp"

namespace notp {

namespace json = boost::json;

// Parses one document. kMessage with line and column when it is not well formed, is deeper than
// kJsonDepthMax, holds bad UTF-8 or a name twice in one object (two readers would see two
// documents).
Result<json::value> parse_json(std::string_view text);

// Indented by two spaces, for people and -o json.
std::string pretty_json(const json::value& value);

}  // namespace notp
