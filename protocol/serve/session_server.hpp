// A server of sessions: listens, spreads sessions over threads, tells them of new targets and
// roots, and ends them in good order.
#pragma once

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "protocol/serve/admission.hpp"
#include "protocol/serve/io_thread.hpp"
#include "protocol/serve/send_budget.hpp"
#include "protocol/serve/session_host.hpp"
#include "protocol/serve/session_services.hpp"

namespace notp {

struct ServeOptions {
  std::string listen;  // "address:port", port 0 for any
  size_t threads = 1;
  AdmissionLimits limits;
};

// Thread-safe.
class SessionServer {
 public:
  SessionServer(SessionServices services, ServeOptions options);
  ~SessionServer();
  SessionServer(const SessionServer&) = delete;
  SessionServer& operator=(const SessionServer&) = delete;

  // Listens and serves on threads of its own. Returns the real "address:port". kConfig,
  // kUnavailable.
  Result<std::string> start();

  // Accepts no more, says Bye to every session with a retry_after, waits for them at most kStopMs
  // and cuts the rest. Blocking; a second call does nothing.
  void close();
  // Ends the threads. Work that resumes sessions has ended before. Blocking.
  void join();

  // The target of a ledger has moved, for some readers or all: sessions that subscribed offer it.
  void target_changed(const LedgerId& ledger);
  // The chain of roots has grown: every session sends the new one.
  void roots_changed();
  // What statements say, or the rights to what they list, has changed: every session sends one
  // within kFreshnessSoonMs.
  void freshness_due();
  // Authorities or the policy have changed: a session whose peer would not be let in any more gets
  // an Error and ends; the others are left alone.
  void recheck_sessions();
  // The same for the sessions of one identity, whose name another key has now.
  void recheck_sessions_of(const std::string& identity);
  // The wall clock was set, or the machine has slept: certificates may have ended.
  void clock_set();

  const ServeCounters& counters() const { return counters_; }

 private:
  boost::asio::awaitable<void> accept_loop();
  void begin(IoThread& thread, boost::asio::ip::tcp::socket socket);
  void for_each(const std::function<void(SessionHost&)>& what);

  const SessionServices services_;
  const ServeOptions options_;
  ServeCounters counters_;
  Admission admission_{options_.limits, counters_};
  SendBudget sends_;
  std::atomic<bool> stopping_{false};
  const HostContext context_{services_, admission_, sends_, counters_, stopping_};
  std::vector<std::unique_ptr<IoThread>> threads_;
  std::optional<boost::asio::ip::tcp::acceptor> acceptor_;  // of the first thread
};

}  // namespace notp
