// A token's record as a JSON object.
#pragma once

#include "common/json/json.hpp"
#include "protocol/feed/lane_event.hpp"

namespace notp::feed {

// The members that are present, named as in RFC 7662 and RFC 9068; times are Unix seconds. What
// policies get of data.system.notp.tokens.lookup().
json::object record_document(const TokenRecord& record);

}  // namespace notp::feed
