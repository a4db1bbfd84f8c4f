// Hands the logs of decisions that sessions receive to the audit store.
#pragma once

#include <functional>
#include <utility>

#include "common/clock.hpp"
#include "notp-server/audit/log_writer.hpp"
#include "notp-server/fleet/fleet.hpp"
#include "protocol/serve/log_intake.hpp"

namespace notp::service {

// Thread-safe. A coroutine ends when the writer has answered, which it does for all of them when it
// stops. Backpressure is the writer's.
class RegistryLogIntake final : public serve::LogIntake {
 public:
  // Both outlive it. The fleet learns how far nodes are behind.
  RegistryLogIntake(audit::LogWriter& writer, fleet::Fleet& fleet,
                    std::function<Now()> clock = read_clock)
      : writer_(writer), fleet_(fleet), clock_(std::move(clock)) {}

  boost::asio::awaitable<wire::LogGrant> offered(serve::PeerPtr peer,
                                                 wire::LogOffer offer) override;
  boost::asio::awaitable<wire::LogGrant> announced(serve::PeerPtr peer, record::LogId log,
                                                   Bytes announcement) override;
  boost::asio::awaitable<wire::LogGrant> arrived(serve::PeerPtr peer, wire::Segment segment,
                                                 Bytes body) override;
  // Answers everything that waits, and takes nothing any more. Blocking, for a commit at most; the
  // I/O threads must still run.
  void stop() { writer_.stop(); }
  const audit::IntakeCounters& counters() const { return writer_.counters(); }

 private:
  audit::LogWriter& writer_;
  fleet::Fleet& fleet_;
  const std::function<Now()> clock_;
};

}  // namespace notp::service
