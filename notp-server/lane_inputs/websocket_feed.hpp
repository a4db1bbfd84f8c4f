// Listens to text messages of a WebSocket (RFC 6455).
#pragma once

#include <filesystem>
#include <string>

#include "notp-server/lane_inputs/token_feed.hpp"
#include "notp-server/lane_inputs/wire_stream.hpp"

namespace notp::lane_inputs {

struct WebsocketTerms {
  WireTarget target;
  std::string authority;  // as in the URL: the Host field
  std::string path;       // and query
  // With the value of the header Authorization, readable by its owner alone; empty: none. Read on
  // each use.
  std::filesystem::path authorization_file;
};

TokenFeedPtr make_websocket_feed(WebsocketTerms terms);

}  // namespace notp::lane_inputs
