// One thread of a server and the sessions that live on it.
#pragma once

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <unordered_set>
#include <vector>

#include "common/clock.hpp"
#include "protocol/serve/handshake_queue.hpp"
#include "protocol/serve/session_lane.hpp"

namespace notp::serve {

class SessionHost;

class IoThread {
 public:
  using Executor = boost::asio::io_context::executor_type;

  // `stopping` outlives it: the server accepts no more sessions.
  explicit IoThread(const std::atomic<bool>& stopping) : stopping_(stopping) {}

  // Before start().
  void begin_handshakes(Admission& admission, ServeCounters& counters, HandshakeTurnLimits limits,
                        HandshakeQueue::Begin begin);
  void start();
  // Waits until nothing is pending on the thread. A second call does nothing.
  void join();
  Executor executor() { return context_.get_executor(); }
  // Runs `what` with each session that is there now, on the thread, a batch at a time: what comes
  // meanwhile waits for one batch. Thread-safe, as are the functions above.
  void for_each(std::function<void(SessionHost&)> what);
  // Verifies the peers of all sessions again.
  void recheck_all();
  // The same for the sessions of one identity.
  void recheck_identity(const std::string& identity);
  void deliver(LaneSends sends);
  // The wall clock was set, or the watch shall end.
  void look_at_clock();

  // --- on the thread only

  void add(SessionHost& session) { sessions_.insert(&session); }
  void remove(SessionHost& session) { sessions_.erase(&session); }
  LaneReaders& lane_readers() { return lane_readers_; }
  HandshakeQueue& handshakes() { return *handshakes_; }
  // A session has begun; its peer's certificate ends at `end_ms`, in wall time.
  void expect_end(TimeMs end_ms);

 private:
  using Sessions = std::vector<std::weak_ptr<SessionHost>>;

  boost::asio::awaitable<void> watch_ends();
  Sessions select(const std::function<bool(const SessionHost&)>& which) const;
  boost::asio::awaitable<void> each(Sessions sessions, std::function<void(SessionHost&)> what,
                                    size_t batch);
  boost::asio::awaitable<void> recheck(Sessions sessions);

  const std::atomic<bool>& stopping_;
  boost::asio::io_context context_{1};
  boost::asio::executor_work_guard<Executor> work_{context_.get_executor()};
  std::optional<HandshakeQueue> handshakes_;
  std::unordered_set<SessionHost*> sessions_;
  LaneReaders lane_readers_;
  // One timer for the certificates of all sessions; it expires when the first of them ends.
  boost::asio::steady_timer first_end_{context_};
  TimeMs first_end_ms_ = kNever;  // wall time
  std::thread thread_;
};

}  // namespace notp::serve
