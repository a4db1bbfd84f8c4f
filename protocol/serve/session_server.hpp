// A server of sessions: listens, spreads sessions over threads, notifies them of new targets and
// roots, and ends them in an orderly way.
#pragma once

#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "protocol/serve/address_rate.hpp"
#include "protocol/serve/admission.hpp"
#include "protocol/serve/class_table.hpp"
#include "protocol/serve/commit_counts.hpp"
#include "protocol/serve/io_thread.hpp"
#include "protocol/serve/lane_feed.hpp"
#include "protocol/serve/recovery_intake.hpp"
#include "protocol/serve/send_budget.hpp"
#include "protocol/serve/session_host.hpp"
#include "protocol/serve/session_services.hpp"

namespace notp::serve {

struct ServeOptions {
  std::string listen;  // "address:port", port 0 for any
  size_t threads = 1;
  AdmissionLimits limits;
};

// Thread-safe.
class SessionServer final : public PeerQuestions, public LaneOutlet {
 public:
  SessionServer(SessionServices services, ServeOptions options);
  ~SessionServer() override;
  SessionServer(const SessionServer&) = delete;
  SessionServer& operator=(const SessionServer&) = delete;

  // Listens and serves on its own threads. Returns the real "address:port". kConfig, kUnavailable.
  Result<std::string> start();

  // Accepts no more, sends Bye with a retry_after to every session, waits for them at most kStopMs
  // and cuts the rest. Blocking; a second call does nothing.
  void close();
  // Ends the threads. All work that resumes sessions must have ended before. Blocking.
  void join();

  // The target of a ledger has moved, for some readers or all: subscribed sessions offer it.
  void target_changed(const model::LedgerId& ledger);
  // The chain of roots has grown: every session sends the new root.
  void roots_changed();
  // The content of statements, or the rights to what they list, has changed: every session sends a
  // statement within kFreshnessSoonMs.
  void freshness_due();
  // The status of a key source has changed.
  void sources_changed();
  // Authorities or the policy have changed: a session whose peer would not be admitted any more
  // gets an Error and ends; the others continue.
  void recheck_sessions();
  // The same for the sessions of one identity, whose name now belongs to another key.
  void recheck_sessions_of(const std::string& identity);
  // The sessions of one identity are told that a release may go that their gate holds.
  void release_held(const std::string& identity, const wire::ReleaseHeld& release);
  // The wall clock was set, or the machine has slept: certificates may have ended.
  void clock_set();

  // --- PeerQuestions; not after join()

  void ask_held(const SessionHandle& session, wire::HeldRequest request) override;
  void ask_return(const SessionHandle& session, wire::ReturnRequest request) override;

  // --- LaneOutlet; not after join()

  void deliver(LaneSends sends) override;

  const ServeCounters& counters() const { return counters_; }
  // null: no statements are sent.
  const ClassTable* classes() const { return classes_.get(); }
  // The threads' executors: for a watch that sees whether each of them runs.
  std::vector<boost::asio::any_io_executor> loops();

 private:
  boost::asio::awaitable<void> accept_loop();
  boost::asio::awaitable<void> log_commits();
  // Of an accepted connection, by its address's rate and by what is open.
  void take(IoThread& thread, boost::asio::ip::tcp::socket socket, AddressRate& rate);
  // As HandshakeQueue::Begin.
  std::function<void()> begin(IoThread& thread, boost::asio::ip::tcp::socket socket,
                              HandshakeQueue::Ticket ticket);
  void for_each(const std::function<void(SessionHost&)>& what);

  const SessionServices services_;
  const ServeOptions options_;
  ServeCounters counters_;
  Admission admission_{options_.limits, counters_};
  SendBudget sends_;
  CommitCounts commits_;
  const std::unique_ptr<ClassTable> classes_;
  std::atomic<bool> stopping_{false};
  std::atomic<uint64_t> next_session_{1};
  const HostContext context_;
  std::vector<std::unique_ptr<IoThread>> threads_;
  std::optional<boost::asio::ip::tcp::acceptor> acceptor_;  // on the first thread
  std::optional<boost::asio::steady_timer> next_log_;       // on the first thread
};

}  // namespace notp::serve
