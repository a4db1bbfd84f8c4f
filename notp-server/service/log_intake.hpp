// Hands the logs of decisions that sessions receive to the audit store.
#pragma once

#include <functional>
#include <utility>

#include "common/clock.hpp"
#include "notp-server/audit/log_writer.hpp"
#include "notp-server/audit_tree/registry_tree.hpp"
#include "notp-server/fleet/fleet.hpp"
#include "protocol/serve/log_intake.hpp"

namespace notp::service {

// Thread-safe. A coroutine ends when the writer has answered, which it does for all of them when it
// stops. Backpressure is the writer's.
class RegistryLogIntake final : public serve::LogIntake {
 public:
  // All outlive it. The fleet learns how far nodes are behind. `tree` is the one that the writer
  // writes into; null: nodes get no receipts.
  RegistryLogIntake(audit::LogWriter& writer, fleet::Fleet& fleet,
                    std::function<Now()> clock = read_clock, audit::RegistryTree* tree = nullptr)
      : writer_(writer), fleet_(fleet), clock_(std::move(clock)), tree_(tree) {}

  boost::asio::awaitable<wire::LogGrant> offered(serve::PeerPtr peer,
                                                 wire::LogOffer offer) override;
  boost::asio::awaitable<wire::LogGrant> announced(serve::PeerPtr peer, record::LogId log,
                                                   Bytes announcement) override;
  boost::asio::awaitable<wire::LogGrant> arrived(serve::PeerPtr peer, wire::Segment segment,
                                                 Bytes body) override;
  void granted(serve::PeerPtr peer, const wire::LogOffer& offer, SendReceipt send) override;
  void witnessed(serve::PeerPtr peer, wire::LogWitness witness) override;
  // Answers everything that waits, takes nothing any more, and seals the tree. Blocking, for a
  // commit of each; the I/O threads must still run.
  void stop();
  const audit::IntakeCounters& counters() const { return writer_.counters(); }

 private:
  audit::LogWriter& writer_;
  fleet::Fleet& fleet_;
  const std::function<Now()> clock_;
  audit::RegistryTree* const tree_;
};

}  // namespace notp::service
