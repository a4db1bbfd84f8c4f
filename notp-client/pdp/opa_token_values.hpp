// The members of an OPA's data.tokens as text: pure functions.
#pragma once

#include <optional>
#include <string>

#include "common/json/json.hpp"
#include "notp-client/lane/table/token_table.hpp"
#include "protocol/feed/lane_event.hpp"

namespace notp::pdp {

struct HashOfEventKey {
  size_t operator()(const feed::EventKey& key) const {
    return feed::HashOfTokenId()(key.id) ^ static_cast<size_t>(key.kind);
  }
};

// The JSON of one member; empty: it is to be gone.
struct TokenValue {
  Bytes json;
  size_t cost = 0;  // tokens, or statuses that are not 0
};

// An inflated list with more statuses that are not 0 is too large for a sparse map.
inline constexpr size_t kOpaListStatusesMax = 50'000;

// kLimit: a list beyond kOpaListStatusesMax. `event.list` is inflated.
Result<TokenValue> token_value(const feed::Event& event);

// "/live/00ff…"
std::string token_pointer(const feed::EventKey& key);

// The member "lane". While `is_complete` is false, nothing passes for not revoked.
json::object lane_value(const lane::LaneReadout& readout, bool is_complete);

}  // namespace notp::pdp
