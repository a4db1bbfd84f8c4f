// One session of a swarm: dials, converses in its role, and dials again as an agent does.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <functional>
#include <memory>
#include <optional>

#include "notp-client/agent/core/dial_plan.hpp"
#include "protocol/session/client/client_session.hpp"
#include "protocol/transport/connection.hpp"
#include "protocol/transport/pump.hpp"
#include "protocol/transport/signal.hpp"
#include "tools/bench/swarm.hpp"
#include "tools/bench/swarm_freshness.hpp"
#include "tools/bench/swarm_releases.hpp"

namespace notp::bench {

// Lets so many first dials of a thread run at once. One thread.
class FirstDials {
 public:
  explicit FirstDials(size_t free) : free_(free) {}
  boost::asio::awaitable<void> begin(transport::Signal& turn);
  void ended();

 private:
  size_t free_;
  std::deque<transport::Signal*> waiting_;
};

// What the sessions of a thread share. It outlives them.
struct SwarmContext {
  const AgentSwarmPlan& plan;
  boost::asio::ip::tcp::endpoint registry;
  SwarmReleases& releases;
  SwarmStatements& statements;
  SwarmTally& tally;
  boost::asio::io_context& io;
  Random& random;  // of the thread
  FirstDials& first_dials;
  const bool& is_ending;  // of the thread
};

// Belongs to its thread.
class SwarmSession {
 public:
  SwarmSession(const SwarmContext& context, size_t number);

  // Runs until the swarm ends, and for a slow session until it was cut.
  boost::asio::awaitable<void> live();
  // The swarm ends: so does live(), soon.
  void end();
  // Sends what an agent on call owes.
  void commit_now();

 private:
  boost::asio::awaitable<void> wait_for_dial();
  // Leaves a connection after its handshake.
  boost::asio::awaitable<Result<void>> connect();
  boost::asio::awaitable<Result<boost::asio::ip::tcp::socket>> connect_socket(TimeMs deadline_ms);
  Result<void> prepare(boost::asio::ip::tcp::socket& socket) const;
  void on_dial_failed(const Error& error);
  wire::Hello hello();

  boost::asio::awaitable<void> converse();
  void on_events();
  void on_welcome(const wire::Welcome& welcome);
  void on_artifact(const wire::Offer& offer, Bytes artifact);
  void report();
  void on_attested(const Result<bool>& verified);
  void commit(uint64_t version, wire::CommitState state);
  void refuse(const Error& error);

  // Returns whether it was welcome.
  boost::asio::awaitable<bool> be_slow();
  // Until it is welcome and has what the registry has.
  boost::asio::awaitable<Result<void>> greet();

  const SwarmContext& context_;
  const size_t number_;
  const SwarmRole role_;
  agent::DialPlan dial_;
  transport::Signal turn_;  // of its first dial
  transport::Wake wake_;
  boost::asio::steady_timer timer_;
  boost::asio::ip::tcp::socket* dialling_ = nullptr;
  bool port_was_closed_ = false;  // at the last dial
  std::unique_ptr<transport::Connection> connection_;
  std::unique_ptr<session::ClientSession> session_;
  SwarmReleasePtr held_;     // null: nothing
  uint64_t reported_ = 0;    // the newest version that was reported as active
  bool is_current_ = false;  // a slow one has what the registry had
  SwarmFreshness freshness_;
};

}  // namespace notp::bench
