// The HTTPS listener for sources that send events: the object `listen` of the section `lanes`.
#pragma once

#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "common/http/listen_config.hpp"
#include "common/http/server.hpp"
#include "common/telemetry/metrics_registry.hpp"
#include "notp-server/lane_inputs/push_routes.hpp"

namespace notp::lane_inputs {

// A thread of its own; thread-safe.
class LaneListener {
 public:
  // Listens, and answers from `routes`, which outlives it. kConfig: the files or the address are
  // not usable; kIo: the port is in use. `metrics` may be null.
  static Result<std::unique_ptr<LaneListener>> open(http::ListenConfig config,
                                                    const PushRoutes& routes,
                                                    const MetricsRegistry* metrics);
  ~LaneListener() { stop(); }
  LaneListener(const LaneListener&) = delete;
  LaneListener& operator=(const LaneListener&) = delete;

  // Reads the files again: see http::Server::reload().
  Result<bool> reload() { return server_->reload(config_.endpoint); }
  // Files that it reads, for a watch.
  std::vector<std::filesystem::path> files() const;
  uint16_t port() const { return server_->port(); }

  // Requests under way have a second to complete. Blocking; a second call does nothing.
  void stop();

 private:
  explicit LaneListener(http::ListenConfig config) : config_(std::move(config)) {}

  const http::ListenConfig config_;
  boost::asio::io_context context_{1};
  std::unique_ptr<http::Server> server_;
  std::thread thread_;
};

}  // namespace notp::lane_inputs
