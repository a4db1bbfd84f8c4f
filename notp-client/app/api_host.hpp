// The agent's API as a whole: routes, listeners and access rules, reloaded on SIGHUP and when a
// file changes.
#pragma once

#include <prometheus/counter.h>

#include <atomic>

#include "common/asio/file_watch.hpp"
#include "notp-client/agent/host/agent_host.hpp"
#include "notp-client/app/api_listeners.hpp"
#include "notp-client/app/decision_records.hpp"
#include "notp-client/app/lane_parts.hpp"
#include "notp-client/app/status_document.hpp"
#include "notp-client/pdp/engine_metrics.hpp"
#include "notp-client/pdp/opa_pdp.hpp"

namespace notp::client {

// All of it outlives the host.
struct ApiHostParts {
  boost::asio::any_io_executor agent;  // one thread: that of `host`
  boost::asio::any_io_executor http;   // any threads
  boost::asio::thread_pool& pool;
  agent::AgentHost& host;
  pdp::Pdp& pdp;
  pdp::OpaPdp* opa = nullptr;                         // `pdp`, if it is one
  std::function<rego::EngineStatus()> engine_status;  // empty: the PDP is not an embedded engine
  std::function<std::string()> node;                  // this node's identity
  DecisionRecords* records = nullptr;                 // null: decisions are not recorded
  LaneParts* lane = nullptr;                          // null: no token lane is followed
  bool is_volatile = false;                           // what the node stores ends with the process
  std::string route;                                  // to the registry
  std::shared_ptr<prometheus::Registry> metrics;
  // Of the Txn-Token Service, from any thread: its status, and what precedes a scrape.
  std::function<json::object()> txn_status = {};
  std::function<void()> refresh_txn_metrics = {};
};

struct ApiHostOptions {
  std::string trust_domain;
  bool logs_decisions = false;       // one line for each, at debug level
  std::filesystem::path opa_secret;  // file; created if it is missing and an OPA is fed
};

// Runs on the agent's thread.
class ApiHost {
 public:
  ApiHost(ApiHostOptions options, ApiHostParts parts);

  // Opens the listeners, and begins to accept, as in ApiListeners. kConfig, kIo: a listener cannot
  // be opened.
  Result<void> open(const api::ApiConfig& config, systemd::PassedSockets sockets);
  void begin() { listeners_->begin(); }
  // Applies the configuration of the API anew. On an error nothing has changed.
  Result<void> change(const api::ApiConfig& config);
  // Starts watching the files of tokens and certificates.
  void watch();
  // As in ApiListeners. After open().
  void stop(std::function<void()> ended);

  // The way of every decision here. Thread-safe.
  decision::DecisionService& decisions() { return decisions_; }

  // As in ApiListeners.
  std::string loopback_address() const { return listeners_->loopback_address(); }
  std::vector<std::string> addresses() const { return listeners_->addresses(); }

 private:
  api::ApiParts api_parts();
  Result<api::Access> access(const api::ApiConfig& config) const;
  ApiStatus api_status() const;
  bool engine_up() const;
  void opa_showed(bool accepted);
  // What is wrong with the OPA beside the agent; empty: nothing. Any thread.
  std::string opa_hint() const;
  void look();

  const ApiHostOptions options_;
  const ApiHostParts parts_;
  decision::DecisionService decisions_;
  std::optional<pdp::EngineMetrics> engine_metrics_;
  prometheus::Counter& log_lines_dropped_;
  std::string opa_secret_;
  std::atomic<bool> opa_refused_ = false;  // by its last request
  api::ApiConfig config_;
  std::optional<api::Api> api_;
  std::optional<ApiListeners> listeners_;  // ends before api_
  FileWatch files_;
  std::string token_error_;  // logged once while it lasts
};

}  // namespace notp::client
