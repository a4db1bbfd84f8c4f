#include "tools/notp/mirror/webhook_listener.hpp"

#include <prometheus/counter.h>

#include "common/host_port.hpp"
#include "common/log.hpp"
#include "tools/notp/mirror/webhook.hpp"

namespace notp::cli {
namespace {

constexpr int64_t kGraceMs = 1'000;

std::string numeric(const std::string& host) { return host == "localhost" ? "127.0.0.1" : host; }

http::TlsEndpoint tls_endpoint(const WebhookConfig& config, const HostPort& where) {
  return {.address = numeric(where.host),
          .port = where.port,
          .certificate = config.certificate,
          .private_key = config.key,
          .client_authorities = {},
          .client_certificate = http::ClientCertificate::kNone};
}

http::Endpoint endpoint(const WebhookConfig& config, const HostPort& where) {
  if (!config.certificate.empty()) return tls_endpoint(config, where);
  return http::TcpEndpoint{
      .address = numeric(where.host), .port = where.port, .beyond_loopback = true};
}

prometheus::Family<prometheus::Counter>& family(MetricsRegistry& metrics) {
  return prometheus::BuildCounter()
      .Name("notp_mirror_webhooks_total")
      .Help("Webhooks received, by what became of them")
      .Register(*metrics.families());
}

}  // namespace

WebhookListener::WebhookListener(std::string secret, MetricsRegistry& metrics, Hint hint)
    : secret_(std::move(secret)),
      hint_(std::move(hint)),
      accepted_(family(metrics).Add({{"outcome", "accepted"}})),
      refused_(family(metrics).Add({{"outcome", "refused"}})),
      logged_ms_(-kWebhookRefusalLogMs) {
  router_.add("POST", "/hook/*",
              [this](const http::Request& request) -> boost::asio::awaitable<http::Response> {
                co_return answer(request);
              });
}

Result<std::unique_ptr<WebhookListener>> WebhookListener::open(
    boost::asio::any_io_executor executor, const WebhookConfig& config, MetricsRegistry& metrics,
    Hint hint) {
  NOTP_ASSIGN(std::string secret, read_webhook_secret(config.secret_file));
  NOTP_ASSIGN(const HostPort where, HostPort::parse(config.listen));
  std::unique_ptr<WebhookListener> out(
      new WebhookListener(std::move(secret), metrics, std::move(hint)));
  http::ServerOptions options;
  options.name = "webhook";
  options.hosts = config.hosts;
  options.body_bytes_max = options.gzip_body_bytes_max = kWebhookBodyBytesMax;
  options.metrics = metrics.families();
  NOTP_ASSIGN(out->server_, http::Server::listen(std::move(executor), endpoint(config, where),
                                                 options, out->router_.handler()));
  return out;
}

http::Response WebhookListener::refuse(std::string_view why, const http::Request& request) {
  refused_.Increment();
  ++unlogged_;
  const TimeMs now_ms = read_clock().boot_ms;
  if (now_ms - logged_ms_ >= kWebhookRefusalLogMs) {
    log::warn("mirror_webhook_refused",
              {{"peer", request.peer.address}, {"count", unlogged_}, {"message", why}});
    logged_ms_ = now_ms;
    unlogged_ = 0;
  }
  return http::error_response(401, "unauthorized", why);
}

http::Response WebhookListener::answer(const http::Request& request) {
  switch (check_webhook(request.headers, request.body, secret_)) {
    case WebhookVerdict::kUnsigned:
      return refuse("no signature or token in a header that is known", request);
    case WebhookVerdict::kForged:
      return refuse("the signature or token does not fit", request);
    case WebhookVerdict::kAuthentic:
      break;
  }
  if (!hint_(hooked_mirror(request.path)))
    return http::error_response(404, "not_found", "there is no mirror of that name");
  accepted_.Increment();
  return http::text_response(202, "upstream will be looked at\n");
}

Result<void> WebhookListener::reload(const WebhookConfig& config) {
  NOTP_ASSIGN(secret_, read_webhook_secret(config.secret_file));
  if (config.certificate.empty()) return {};
  NOTP_ASSIGN(const HostPort where, HostPort::parse(config.listen));
  NOTP_TRY(server_->reload(tls_endpoint(config, where)));
  return {};
}

void WebhookListener::stop() { server_->stop(kGraceMs); }

}  // namespace notp::cli
