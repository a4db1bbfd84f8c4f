// Fetches security events from one endpoint (RFC 8936).
#pragma once

#include <memory>
#include <string>

#include "common/random.hpp"
#include "notp-server/lane_inputs/poll_core.hpp"
#include "notp-server/lane_inputs/remote_client.hpp"
#include "notp-server/lane_inputs/set_taker.hpp"

namespace notp::lane_inputs {

// Belongs to one thread. What it refers to outlives its calls.
class Poller {
 public:
  Poller(std::string url, TimeMs interval_ms, RemoteClient& client, SetTaker& taker,
         SourceStats& stats)
      : url_(std::move(url)),
        client_(client),
        taker_(taker),
        stats_(stats),
        core_(random_, interval_ms, read_clock().boot_ms) {}
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;

  TimeMs next_deadline() const { return core_.next_deadline(); }
  // Makes one request, and takes what it brings. Returns its error, which it has counted.
  boost::asio::awaitable<Result<void>> poll_once();

 private:
  boost::asio::awaitable<std::vector<PolledSet>> take(PollAnswer answer);
  Result<void> fail_poll(Error error, TimeMs after_ms = 0);

  const std::string url_;
  RemoteClient& client_;
  SetTaker& taker_;
  SourceStats& stats_;
  SystemRandom random_;
  PollCore core_;
};

}  // namespace notp::lane_inputs
