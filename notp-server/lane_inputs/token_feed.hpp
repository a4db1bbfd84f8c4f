// One connection to what publishes token messages.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <memory>
#include <string_view>

#include "common/result.hpp"

namespace notp::lane_inputs {

// Called on the thread of the feed.
struct FeedListener {
  std::function<void()> subscribed;               // from now on nothing is missed
  std::function<void(std::string_view)> message;  // at most as long as the feed's form allows
  std::function<void()> heard;                    // the peer is there
};

// On the executor of one thread, which it may block while a name is looked up.
class TokenFeed {
 public:
  virtual ~TokenFeed() = default;
  // Connects, subscribes and listens until the connection ends, and says why it did. A peer that is
  // quiet for kStreamQuietMs is asked whether it is there. One call at a time.
  virtual boost::asio::awaitable<Error> run(const FeedListener& listener) = 0;
};
using TokenFeedPtr = std::unique_ptr<TokenFeed>;

}  // namespace notp::lane_inputs
