// Opens the token lanes and their inputs as the configuration says, and checks their key.
#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <memory>
#include <thread>

#include "common/config.hpp"
#include "common/setup_report.hpp"
#include "common/telemetry/metrics_registry.hpp"
#include "notp-server/app/app_config.hpp"
#include "notp-server/authz/deny_list.hpp"
#include "notp-server/lane/lane_metrics.hpp"
#include "notp-server/lane/lanes.hpp"
#include "notp-server/lane_inputs/issuer_key_sets.hpp"
#include "notp-server/lane_inputs/lane_listener.hpp"
#include "notp-server/lane_inputs/push_routes.hpp"
#include "notp-server/registry/registry.hpp"
#include "notp-server/sources/sources.hpp"

namespace notp::server {

// What surrounds them; all of it outlives them.
struct OpenLanesParts {
  registry::Registry& registry;
  sources::Sources* sources = nullptr;      // null: there are none
  const authz::DenyList* denied = nullptr;  // null: none is configured
  const Environment& environment;
  MetricsRegistry& metrics;
};

// The lanes with what feeds them.
class OpenLanes {
 public:
  // Null without the section, and where nothing can be kept: `is_volatile`, a disk that takes no
  // writes. kConfig, kIo, kCorrupt.
  static Result<std::unique_ptr<OpenLanes>> open(const ServerConfig& config, bool is_volatile,
                                                 const OpenLanesParts& parts);
  ~OpenLanes() { stop(); }
  OpenLanes(const OpenLanes&) = delete;
  OpenLanes& operator=(const OpenLanes&) = delete;

  lane::Lanes& lanes() { return *lanes_; }
  // Takes requests of sources: once the lanes run. kConfig, kIo: it cannot listen.
  Result<void> listen();
  // Reads the listener's files again; logs what is wrong with them.
  void reload();
  // Before the lanes stop. Blocking; a second call does nothing.
  void stop();

 private:
  OpenLanes(const ServerConfig& config, const OpenLanesParts& parts);
  Result<void> add_sources(const LaneInputsConfig& config);

  const OpenLanesParts parts_;
  const std::optional<http::ListenConfig> listen_;
  lane::FanOutMetrics fan_out_{*parts_.metrics.families()};
  lane_inputs::IssuerKeySets keys_;
  lane_inputs::PushRoutes routes_;
  boost::asio::io_context context_{1};  // what sources share
  std::unique_ptr<lane::Lanes> lanes_;
  std::unique_ptr<lane_inputs::LaneListener> listener_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{
      context_.get_executor()};
  std::thread thread_;
};

// Findings: a key that cannot be read is refused; one that the root does not name is useless.
// `root` is null when there is no usable one.
void check_lanes(const ServerConfig& config, const trust::Root* root, SetupReport& report);

}  // namespace notp::server
