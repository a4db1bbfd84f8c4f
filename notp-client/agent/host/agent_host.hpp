// The shell around AgentCore: feeds it time and events, and runs its effects on the connection, the
// store and the PDP. It makes no decisions.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "common/atomic_shared.hpp"
#include "notp-client/agent/core/agent_core.hpp"
#include "notp-client/agent/host/activator.hpp"
#include "notp-client/agent/host/agent_log.hpp"
#include "notp-client/agent/host/agent_traces.hpp"
#include "notp-client/agent/host/dialer.hpp"
#include "notp-client/agent/host/log_uploader.hpp"
#include "notp-client/agent/host/release_returner.hpp"
#include "notp-client/agent/host/staging_writer.hpp"
#include "notp-client/agent/host/store_writer.hpp"
#include "notp-client/lane/host/lane_host.hpp"
#include "notp-client/pdp/pdp.hpp"

namespace notp::agent {

struct AgentHostOptions : DialerOptions {
  // Called on the executor's thread after every event, with the new status; may be empty.
  std::function<void(const AgentStatus&)> on_status;
  // Called with each answer to ask(), on the executor's thread; may be empty.
  std::function<void(wire::Response)> on_answer;
};

// The dependencies of the host; all of them outlive it. The store and everything that loads from it
// run on `store_worker`, which has one thread. `staging_worker` also has one thread, so that
// staging does not wait for an installation, and so has the thread that loads segments of `log`.
struct AgentParts {
  store::Store& store;
  transport::OffloadPool& store_worker;
  store::Staging& staging;
  transport::OffloadPool& staging_worker;
  pdp::Pdp& pdp;
  transport::TlsSource& tls;
  Bytes pinned_root;                    // envelope, as the operator installed it
  spool::SegmentSource* log = nullptr;  // null: no decisions are recorded here
  AgentTraces* traces = nullptr;        // null: releases are not traced
  ReplayGate* gate = nullptr;           // null: releases pass their gates
  lane::LaneHost* lane = nullptr;       // null: no lane is followed
};

// All methods run on the executor's thread unless stated otherwise.
class AgentHost final : private ConnectionHandler {
 public:
  AgentHost(boost::asio::any_io_executor executor, AgentHostOptions options, AgentOptions agent,
            AgentParts parts);
  ~AgentHost() override;
  AgentHost(const AgentHost&) = delete;
  AgentHost& operator=(const AgentHost&) = delete;

  // Loads the store (blocking: nothing is served before), verifies its contents, activates them and
  // dials. kCorrupt, kIo: the store cannot be used. Also the codes of AgentTrust::open().
  Result<void> start();

  // Says Bye, waits for the session's end and stores what the PDP had confirmed. After it the host
  // starts nothing.
  boost::asio::awaitable<void> stop();

  // The PDP refuses a path of a ledger for a while, or (an empty reason) no longer.
  void path_quarantined(const model::LedgerId& ledger, const std::string& path,
                        const std::string& reason);

  // The PDP met tokens whose keys are not in their issuers' key sets.
  void unknown_keys(const std::vector<wire::UnknownKey>& keys);

  // What the operator has to know of the lane.
  void lane_alarm(const Error& error);

  // A reason for the operator why the PDP does not answer for what is stored; empty: none is known.
  void pdp_trouble(const std::string& reason);

  // Asks the registry; the answer goes to on_answer. False: no session is open.
  bool ask(const wire::Request& request);

  // As in Dialer. The host rechecks on its own when one of the registry's certificates expires.
  Result<void> trusts_registry(const transport::TlsContext& tls) {
    return dialer_.trusts_registry(tls);
  }
  void recheck_registry() { dialer_.recheck_registry(); }

  // The wall clock was set, or the machine has slept: re-evaluates everything that waits for a
  // time.
  void clock_set();

  // The status after the last event. Thread-safe.
  std::shared_ptr<const AgentStatus> status() const { return status_.get(); }
  // As in Activator. Thread-safe.
  pdp::ActiveSetPtr confirmed() const { return activator_.confirmed(); }
  model::BlobLoader stored_contents() { return activator_.stored_contents(); }

 private:
  void on_identity(std::string identity) override;
  session::ClientSession& on_connected(const session::Identity& registry,
                                       tls::Validity validity) override;
  void on_connect_failed(const Error& error, DialFailure failure) override;
  void on_session_progress() override;
  std::string on_disconnected(const std::optional<Error>& why) override;
  void on_dial_ended() override;
  void on_log_failed(const Error& error);

  void drive();
  void arm_timer();
  void look_at_clock();
  void run(auto& effect) { log_effect(effect); }  // what is only logged
  void run(effect::Connect& effect);
  void run(effect::TracedOffer& effect);
  void run(effect::Install& effect);
  void run(effect::ScanContent& effect);
  void run(effect::GiveBack& effect);
  void run(effect::Activate& effect);
  void run(effect::Persist& effect);
  void run(effect::Changed& effect);
  void run(effect::Answered& effect);
  void run(effect::LogGranted& effect);
  void run(effect::LaneInput& effect);
  void run(effect::ReceiptArrived& effect);

  const AgentHostOptions options_;
  const AgentOptions agent_options_;
  const AgentParts parts_;
  SystemRandom random_;
  std::unique_ptr<AgentCore> core_;  // null before start()
  boost::asio::steady_timer timer_;
  Dialer dialer_;
  StoreWriter store_writer_;
  StagingWriter staging_writer_;
  Activator activator_;
  ReleaseReturner returner_;
  std::unique_ptr<LogUploader> log_uploader_;  // null: there is no log
  bool stopping_ = false;
  bool driving_ = false;
  AtomicShared<AgentStatus> status_;
};

}  // namespace notp::agent
