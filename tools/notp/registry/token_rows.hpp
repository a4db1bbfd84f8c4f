// What a registry says of its token lanes and of one token, for people and programs.
#pragma once

#include <string>
#include <vector>

#include "protocol/wire/messages/lanes.hpp"
#include "tools/notp/output.hpp"

namespace notp::cli {

// A row for each lane, below it one for each of its sources, and what to do about what is not well.
std::string lanes_text(const Output& output, const std::vector<wire::LaneRow>& rows, TimeMs now_ms);
// What is wrong with the lane itself and what to do; empty when all is well.
std::string lane_advice(const wire::LaneRow& row);
json::object lane_json(const wire::LaneRow& row, TimeMs now_ms);

std::string token_text(const Output& output, const wire::TokenRow& row, TimeMs now_ms);
json::object token_json(const wire::TokenRow& row);

}  // namespace notp::cli
