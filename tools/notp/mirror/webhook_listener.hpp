// The listener to which Git hosts post their webhooks: POST /hook for all mirrors, /hook/<name> for
// one.
#pragma once

#include <prometheus/counter.h>

#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <memory>
#include <string>

#include "common/clock.hpp"
#include "common/http/router.hpp"
#include "common/http/server.hpp"
#include "common/telemetry/metrics_registry.hpp"
#include "tools/notp/mirror/mirror_config.hpp"

namespace notp::cli {

// Refusals are logged at most once in this time: strangers cause them.
inline constexpr TimeMs kWebhookRefusalLogMs = 60'000;

// All methods on the executor's thread, which calls back.
class WebhookListener {
 public:
  // Called for an authentic webhook, with the name of a mirror, or "" for all. False: there is no
  // such mirror.
  using Hint = std::function<bool(const std::string& name)>;

  // Listens at once. `metrics` outlives it. kConfig: the secret or the address cannot be used; kIo.
  static Result<std::unique_ptr<WebhookListener>> open(boost::asio::any_io_executor executor,
                                                       const WebhookConfig& config,
                                                       MetricsRegistry& metrics, Hint hint);
  WebhookListener(const WebhookListener&) = delete;
  WebhookListener& operator=(const WebhookListener&) = delete;

  // As in "127.0.0.1:7454".
  std::string address() const { return server_->address(); }
  // Reads the secret, and the certificate, again: on an error those before stay.
  Result<void> reload(const WebhookConfig& config);
  // Requests under way have a second to complete.
  void stop();

 private:
  WebhookListener(std::string secret, MetricsRegistry& metrics, Hint hint);
  http::Response answer(const http::Request& request);
  http::Response refuse(std::string_view why, const http::Request& request);

  std::string secret_;
  const Hint hint_;
  prometheus::Counter& accepted_;
  prometheus::Counter& refused_;
  uint64_t unlogged_ = 0;  // refusals since the last line
  TimeMs logged_ms_ = 0;   // boot time
  http::Router router_;
  std::unique_ptr<http::Server> server_;
};

}  // namespace notp::cli
