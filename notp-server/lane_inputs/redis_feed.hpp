// Subscribes to a channel of Redis.
#pragma once

#include <filesystem>
#include <string>

#include "notp-server/lane_inputs/token_feed.hpp"
#include "notp-server/lane_inputs/wire_stream.hpp"

namespace notp::lane_inputs {

struct RedisTerms {
  WireTarget target;
  std::string channel;
  std::string user;  // of an ACL; empty: the default one
  std::filesystem::path
      password_file;  // readable by its owner alone; empty: none. Read on each use
};

TokenFeedPtr make_redis_feed(RedisTerms terms);

}  // namespace notp::lane_inputs
