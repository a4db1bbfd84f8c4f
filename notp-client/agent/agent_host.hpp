// The shell around AgentCore: dials, pumps the session, runs effects on the store and the PDP. It
// decides nothing.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "common/current.hpp"
#include "common/http/proxy.hpp"
#include "notp-client/agent/agent_core.hpp"
#include "notp-client/agent/recent_contents.hpp"
#include "notp-client/pdp/pdp.hpp"
#include "protocol/transport/connection.hpp"
#include "protocol/transport/offload.hpp"
#include "protocol/transport/signal.hpp"

namespace notp {

struct AgentHostOptions {
  std::string registry;  // "host:port"
  // Whom to accept as the registry; unset: whoever has that role.
  std::optional<IdentityPattern> registry_identity;
  http::ProxyRoute route;  // the way to it
  // Called after every event with what changed, on the executor's thread; may be empty.
  std::function<void(const AgentStatus&)> on_status;
  // Called with each answer to ask(), on the executor's thread; may be empty.
  std::function<void(wire::Response)> on_answer;
};

// What the host stands on; all of it outlives the host. The store and whatever loads from it run on
// `store_worker`, which has one thread; so does `staging_worker`, for which an installation is no
// reason to wait.
struct AgentParts {
  Store& store;
  OffloadPool& store_worker;
  Staging& staging;
  OffloadPool& staging_worker;
  Pdp& pdp;
  TlsSource& tls;
  Bytes pinned_root;  // envelope, as a person put it in place
};

// All methods on the executor's thread, but for status().
class AgentHost {
 public:
  AgentHost(boost::asio::any_io_executor executor, AgentHostOptions options, AgentOptions agent,
            AgentParts parts);
  ~AgentHost();
  AgentHost(const AgentHost&) = delete;
  AgentHost& operator=(const AgentHost&) = delete;

  // Loads the store (blocking: nothing is served before), verifies all it holds, activates that and
  // dials. kCorrupt, kIo: the store cannot be used. The codes of AgentTrust::open().
  Result<void> start();

  // Says Bye, waits for the session's end and remembers what the PDP had confirmed. After it the
  // host starts nothing.
  boost::asio::awaitable<void> stop();

  // The PDP refuses a path of a ledger for a while, or (an empty reason) no more.
  void path_quarantined(const LedgerId& ledger, const std::string& path, const std::string& reason);

  // Why the PDP says nothing about what is stored, for a person; empty: nothing is known to be
  // wrong.
  void pdp_trouble(const std::string& reason);

  // Asks the registry; the answer goes to on_answer. False: no session is open.
  bool ask(const wire::Request& request);

  // Would the registry of the open session be trusted under `tls`? Without error when none is open.
  Result<void> trusts_registry(const TlsContext& tls);
  // Ends the session, with an Error, if its registry is not trusted any more by what is in use now.
  // The host does so by itself when one of the registry's certificates ends.
  void recheck_registry();

  // The wall clock was set, or the machine has slept: whatever waits for a time is looked at again.
  void clock_set();

  // Of the last event. Thread-safe.
  std::shared_ptr<const AgentStatus> status() const { return status_.get(); }
  // What the PDP has confirmed last; null: nothing yet. Thread-safe.
  CompositionPtr confirmed() const { return confirmed_.get(); }
  // Of what is stored. Blocking, on any thread but the executor's; kCancelled when the host's store
  // worker has ended.
  BlobLoader stored_contents();

 private:
  void drive();
  void arm_timer();
  void look_at_clock();
  void run(agent_effect::Connect& effect);
  void run(agent_effect::Install& effect);
  void run(agent_effect::TakeStock& effect);
  void run(agent_effect::Activate& effect);
  void run(agent_effect::PinRoot& effect);
  void run(agent_effect::KeepFreshness& effect);
  void run(agent_effect::KeepTime& effect);
  void run(agent_effect::Quarantine& effect);
  void run(agent_effect::Alarm& effect);
  void run(agent_effect::Changed& effect);
  void run(agent_effect::Aged& effect);
  void run(agent_effect::RootAged& effect);
  void run(agent_effect::Answered& effect);

  boost::asio::awaitable<void> converse();
  boost::asio::awaitable<void> dial_and_pump();
  boost::asio::awaitable<Result<std::unique_ptr<Connection>>> dial();
  boost::asio::awaitable<void> install(InstallRequest request);
  boost::asio::awaitable<void> take_stock(StockRequest request);
  boost::asio::awaitable<void> activate(agent_effect::Activate effect);
  boost::asio::awaitable<void> quarantine(agent_effect::Quarantine effect);
  boost::asio::awaitable<void> keep(std::function<Result<void>()> write);
  void stage_next();
  boost::asio::awaitable<void> stage(StagingStep step);
  void tidy();
  boost::asio::awaitable<void> collect();
  Result<CompositionPtr> compose(const agent_effect::Activate& effect);
  Result<ComposedRelease> compose_one(const StoredRelease& release, const Standing& standing);
  void on_pdp(const PdpOutcome& outcome);
  void log_connection(const Error& error);
  BlobLoader loader();

  const boost::asio::any_io_executor executor_;
  const AgentHostOptions options_;
  const AgentOptions agent_options_;
  const AgentParts parts_;
  SystemRandom random_;
  std::unique_ptr<AgentCore> core_;
  boost::asio::steady_timer timer_;
  Signal wake_;
  Signal ended_;                      // a conversation ended
  RecentContents recent_;             // from an installation to the PDP's word
  CompositionPtr composed_;           // the last one; the store worker's
  ClientSession* session_ = nullptr;  // while a connection is pumped
  Connection* connection_ = nullptr;  // the same
  TimeMs registry_end_ms_ = kNever;   // wall time: a certificate of the session's registry ends
  bool conversing_ = false;           // from the dial to the end of the pump
  bool stopping_ = false;
  bool driving_ = false;
  bool staging_ = false;      // stage() runs
  bool tidying_ = false;      // collect() runs
  std::string logged_error_;  // the last connection error: said once while it lasts
  Current<AgentStatus> status_;
  Current<Composition> confirmed_{nullptr};
};

}  // namespace notp
