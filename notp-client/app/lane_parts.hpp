// The agent's token lane: opened from the configuration, with its metrics and its status.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <memory>

#include "notp-client/app/app_config.hpp"
#include "notp-client/decision/token_ask.hpp"
#include "notp-client/lane/host/lane_host.hpp"
#include "notp-client/lane/lane_metrics.hpp"
#include "notp-client/pdp/opa_pdp.hpp"

namespace notp::client {

struct LanePlace {
  boost::asio::any_io_executor agent;
  pdp::TokenSink* sink = nullptr;    // null: this kind of PDP takes none
  const pdp::OpaPdp* opa = nullptr;  // if that is the sink
  bool with_events = false;          // as lane::TableOptions
  std::function<void(const Error&)> alarm;
  std::shared_ptr<prometheus::Registry> metrics;
};

// Runs as long as its host.
class LaneParts {
 public:
  // Null: no lane is configured. kConfig, kIo.
  static Result<std::unique_ptr<LaneParts>> open(const ClientConfig& config, LanePlace place);

  const std::string& name() const { return config_.lane.lane; }
  lane::LaneHost& host() { return *host_; }
  // Asks the registry for the tokens of a question; nullopt: it is not asked for any.
  std::optional<decision::TokenAsk> token_ask();
  // For /v1/status. Any thread.
  json::object document(Now now) const;
  // For people: "live" and the like. Any thread.
  std::string state(Now now) const { return std::string(host_->status()->state(now.boot_ms)); }

 private:
  explicit LaneParts(const lane::LaneConfig& config) : config_(config) {}
  const lane::LaneConfig config_;
  const pdp::OpaPdp* opa_ = nullptr;
  std::optional<lane::LaneMetrics> metrics_;
  std::unique_ptr<lane::LaneHost> host_;
};

// The state of a lane as /v1/status and health show it.
json::object lane_document(const lane::LaneStatus& status, Now now);

}  // namespace notp::client
