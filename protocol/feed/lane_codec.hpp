// Events as messages of schemas/lane.proto. Private to protocol/feed.
#pragma once

#include "protocol/feed/lane_event.hpp"
#include "schemas/lane.pb.h"

namespace notp::feed {

void put(lane::v1::Event& out, const Event& event);
// kMessage; the event has passed check().
Result<Event> take(const lane::v1::Event& in);

}  // namespace notp::feed
