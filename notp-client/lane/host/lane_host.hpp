// A node's token lane as the agent and its API see it. It has a thread of its own for what it
// verifies and for its table, and one for its store.
#pragma once

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/thread_pool.hpp>
#include <chrono>

#include "common/mutex.hpp"
#include "notp-client/lane/host/lane_worker.hpp"

namespace notp::lane {

struct LaneHostParts {
  boost::asio::any_io_executor agent;
  pdp::TokenSink& sink;  // outlives the executor's context
  std::unique_ptr<LaneStore> store;
  AgentSide::Alarm alarm;        // on the agent's executor
  StatusHandler on_status = {};  // on the lane's thread
  bool with_events = false;      // as TableOptions
};

// All methods on the agent's executor, unless stated otherwise.
class LaneHost {
 public:
  LaneHost(LaneOptions options, LaneHostParts parts);
  ~LaneHost();
  LaneHost(const LaneHost&) = delete;
  LaneHost& operator=(const LaneHost&) = delete;

  // Reads the store (blocking: nothing is decided before) and begins. `trusted_ms`: the agent's
  // trusted time. kIo.
  Result<void> start(const std::optional<PublicKey>& lane_key, TimeMs trusted_ms);
  // Nothing is called afterwards.
  void stop();

  // The connection is up; the session lives until session_ended(). `wake`: it has something to
  // send.
  void session_begins(session::ClientSession& session, std::function<void()> wake);
  void session_ended();
  // As in LaneCore.
  void on_connected();
  void on_state(wire::LaneState state);
  void on_statement(feed::SealedStatement statement);
  void on_root(std::optional<PublicKey> lane_key);
  void on_clock_set_back(TimeMs trusted_ms);
  // The wall clock was set, or the machine has slept.
  void clock_set();

  // Any thread. The state after the last change of it.
  std::shared_ptr<const LaneStatus> status() const { return worker_->status(); }
  // Any thread; returns on the caller's executor within `wait` and a moment. Of a node that asks:
  // decisions that begin afterwards know what the registry knows of these tokens. At once when the
  // answers are there, no session is open, or stop() was called. `caller` has a share of what is
  // asked at once.
  boost::asio::awaitable<void> resolve(std::vector<feed::TokenId> ids, std::string caller,
                                       std::chrono::milliseconds wait);
  // Any thread; returns on the caller's executor: what the lane says of each question, in their
  // order. Of a node that asks, tokens are asked for before, as resolve() does.
  boost::asio::awaitable<std::vector<TokenVerdict>> judge(std::vector<TokenQuestion> questions,
                                                          std::string caller,
                                                          std::chrono::milliseconds wait);

 private:
  // Runs `work` on the lane's thread, until stop().
  template <typename Work>
  void post(Work work);
  // The same for any thread; false: stop() has begun.
  template <typename Work>
  bool post_question(Work work);

  const LaneOptions options_;
  const std::shared_ptr<AgentSide> agent_;
  std::unique_ptr<LaneStore> store_;  // null after start()
  bool is_running_ = false;
  Mutex mutex_;
  bool has_ended_ NOTP_GUARDED_BY(mutex_) = false;
  std::atomic<size_t> queued_bytes_ = 0;  // of statements that wait for the lane's thread
  boost::asio::thread_pool thread_{1};    // stop() ends it
  std::unique_ptr<LaneWorker> worker_;
};

}  // namespace notp::lane
