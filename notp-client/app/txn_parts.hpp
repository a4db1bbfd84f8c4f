// The Transaction Token Service of this agent: its parts put together, with its status and metrics.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/thread_pool.hpp>
#include <functional>
#include <memory>
#include <optional>

#include "common/asio/file_watch.hpp"
#include "notp-client/app/decision_records.hpp"
#include "notp-client/app/lane_parts.hpp"
#include "notp-client/decision/decision_service.hpp"
#include "notp-client/txn/http/txn_api.hpp"
#include "notp-client/txn/keys/key_ring.hpp"

namespace notp::client {

// All of it outlives the parts.
struct TxnPlace {
  boost::asio::any_io_executor agent;  // one thread
  boost::asio::any_io_executor http;   // any threads
  boost::asio::thread_pool& pool;
  pdp::Pdp& pdp;
  decision::DecisionService& decisions;
  DecisionRecords* records = nullptr;  // null: decisions are not recorded
  LaneParts* lane = nullptr;           // null: no token lane is followed
  model::BlobLoader load;              // of the releases that decide; may block; on the pool
  std::function<TimeMs()> trusted_ms;  // trusted wall time, from any thread
  std::shared_ptr<prometheus::Registry> metrics;
  // To the registry, on the agent's thread: a request (false: there is no session); a key that it
  // does not publish.
  std::function<bool(const wire::Request&)> ask;
  std::function<void(wire::UnknownKey)> missing_key;
};

using Introspectors = std::vector<std::unique_ptr<txn::Introspector>>;

// On the agent's thread, unless stated otherwise.
class TxnParts {
 public:
  // Opens the service's stores and its listener, which answers from then on. kConfig, kIo,
  // kCorrupt.
  static Result<std::unique_ptr<TxnParts>> open(const txn::ServiceConfig& config, TxnPlace place);
  ~TxnParts() { stop_stores(); }

  // After every event of the agent.
  void on_status();
  // An answer of the registry, maybe to another's request.
  void on_answer(const wire::Response& response) { keys_->on_answer(response); }
  // Reads the files of the listener again, and those with which issuers are asked.
  void look();
  // Requests under way are still answered. `ended` is called from any thread, once no connection is
  // left.
  void stop(std::function<void()> ended);
  // After all requests have ended: what was begun is durable.
  void stop_stores() { grants_.stop(); }

  // For /v1/status: whether tokens can be issued, and why not. Any thread.
  json::object document() const;
  // Before a scrape. Any thread.
  void refresh_metrics();

 private:
  struct Stores {
    std::unique_ptr<txn::Grants> grants;
    std::shared_ptr<txn::KeyRing> keys;
    Introspectors introspectors;
    std::unique_ptr<txn::ClientChains> chains;  // null: clients have no assertions
  };
  TxnParts(const txn::ServiceConfig& config, TxnPlace place, Stores stores);
  txn::EndpointParts endpoint_parts();
  txn::KeyAdmin key_admin();
  std::vector<std::filesystem::path> files() const;
  txn::TxnDocuments documents();
  boost::asio::awaitable<void> tell_keys();
  boost::asio::awaitable<std::vector<txn::LaneFinding>> ask_lane(
      std::vector<txn::LaneQuestion> questions, std::string client);

  const txn::ServiceConfig config_;
  const TxnPlace place_;
  txn::TxnMetrics metrics_;
  const Introspectors introspectors_;
  const std::unique_ptr<txn::ClientChains> chains_;
  const std::shared_ptr<txn::KeyRing> keys_;
  txn::CurrentFacts facts_;
  txn::GrantsHost grants_;
  txn::TokenEndpoint token_;
  txn::AdminRoutes admin_;
  txn::TxnApi api_;
  FileWatch files_;
  pdp::ActiveSetPtr told_;  // to the keys
};

}  // namespace notp::client
