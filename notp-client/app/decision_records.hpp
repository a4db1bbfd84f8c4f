// What an agent keeps of its decisions: the spool, and the recorder in front of it.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "common/json/json.hpp"
#include "notp-client/app/app_config.hpp"
#include "notp-client/app/opa_records.hpp"
#include "notp-client/decision/decision_recorder.hpp"
#include "notp-client/spool/spool.hpp"
#include "notp-client/spool/spool_metrics.hpp"

namespace notp::client {

// All of it outlives the records.
struct DecisionRecordsParts {
  transport::TlsSource& tls;
  std::function<std::string()> engine_version;  // from any thread; empty: unknown
  prometheus::Registry& metrics;
  boost::asio::thread_pool& pool;  // for what an OPA posts
};

// Thread-safe.
class DecisionRecords {
 public:
  // Null when the configuration records nothing. A disk that takes nothing is no error: the spool
  // is opened again until it does. Other errors of the spool, and of an OPA's records.
  static Result<std::unique_ptr<DecisionRecords>> open(const ClientConfig& config,
                                                       DecisionRecordsParts parts);

  spool::SegmentSource& log() { return *spool_; }
  // Null: the decisions of this PDP are not recorded where they are asked for.
  decision::DecisionRecorder* recorder() { return recorder_.get(); }
  // Null: there is no OPA whose decisions are recorded.
  OpaRecords* opa() { return opa_.get(); }
  void refresh_metrics();
  // For the status document.
  json::object status() const;
  // Why decisions are refused now; empty: they are not.
  std::string refusal() const;
  // Ends the run in order. Blocks until all records are in segments.
  void stop();

 private:
  DecisionRecords(const ClientConfig& config, std::unique_ptr<spool::DecisionSpool> spool,
                  DecisionRecordsParts parts);

  const bool may_refuse_;
  std::unique_ptr<spool::DecisionSpool> spool_;
  spool::SpoolMetrics metrics_;
  std::unique_ptr<decision::DecisionRecorder> recorder_;
  std::unique_ptr<OpaRecords> opa_;
};

}  // namespace notp::client
