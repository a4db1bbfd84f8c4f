#include "notp-server/lane_inputs/lane_listener.hpp"

#include <fmt/format.h>

#include <utility>

#include "common/log.hpp"
#include "common/storage/files.hpp"
#include "notp-server/lane_inputs/lane_input_limits.hpp"

namespace notp::lane_inputs {
namespace {

constexpr int64_t kGraceMs = 1'000;

http::ServerOptions options_of(const http::ListenConfig& config, const MetricsRegistry* metrics) {
  http::ServerOptions out{.name = "lanes", .hosts = config.hosts};
  out.body_bytes_max = kEventsBodyBytesMax;
  out.gzip_body_bytes_max = kEventsBodyBytesMax;
  out.admission = std::make_shared<http::Admission>(
      http::AdmissionOptions{.connections_max = kListenConnectionsMax});
  if (metrics != nullptr) out.metrics = metrics->families();
  return out;
}

}  // namespace

Result<std::unique_ptr<LaneListener>> LaneListener::open(http::ListenConfig config,
                                                         const PushRoutes& routes,
                                                         const MetricsRegistry* metrics) {
  std::unique_ptr<LaneListener> out(new LaneListener(std::move(config)));
  NOTP_ASSIGN(
      out->server_,
      http::Server::listen(
          out->context_.get_executor(), out->config_.endpoint, options_of(out->config_, metrics),
          [&routes](const http::Request& request) { return routes.answer(request); }));
  if (!out->config_.port_file.empty())
    NOTP_TRY(write_file(out->config_.port_file, out->server_->address() + "\n"));
  log::info("lane_inputs_listening", {{"address", out->server_->address()}});
  out->thread_ = std::thread([context = &out->context_] { context->run(); });
  return out;
}

std::vector<std::filesystem::path> LaneListener::files() const {
  return {config_.endpoint.certificate, config_.endpoint.private_key,
          config_.endpoint.client_authorities};
}

void LaneListener::stop() {
  if (!thread_.joinable()) return;
  server_->stop(kGraceMs);
  thread_.join();
}

}  // namespace notp::lane_inputs
