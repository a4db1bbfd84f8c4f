#include "notp-client/app/api_host.hpp"

#include <boost/asio/post.hpp>

#include "common/log.hpp"
#include "common/telemetry/followed_counter.hpp"
#include "notp-client/api/left_out.hpp"

namespace notp::client {

namespace asio = boost::asio;

namespace {

decision::DecisionRules decision_rules(const api::ApiConfig& config) {
  return {.default_path = config.default_decision,
          .authzen_path = config.authzen_path,
          .input_bytes_max = std::max(config.body_bytes_max, config.gzip_body_bytes_max)};
}

}  // namespace

ApiHost::ApiHost(ApiHostOptions options, ApiHostParts parts)
    : options_(std::move(options)),
      parts_(std::move(parts)),
      decisions_(parts_.pdp, *parts_.metrics, options_.logs_decisions,
                 parts_.records ? parts_.records->recorder() : nullptr),
      log_lines_dropped_(
          counter(*parts_.metrics, "notp_agent_log_lines_dropped_total",
                  "Lines of the log that were dropped, because standard error was not read.")),
      files_(parts_.agent, [this] { look(); }) {
  if (parts_.engine_status) engine_metrics_.emplace(*parts_.metrics);
  if (auto ask = parts_.lane ? parts_.lane->token_ask() : std::nullopt)
    decisions_.set_token_ask(*std::move(ask));
}

Result<void> ApiHost::open(const api::ApiConfig& config, systemd::PassedSockets sockets) {
  if (parts_.opa) {
    NOTP_ASSIGN(opa_secret_, api::read_or_make_secret(options_.opa_secret));
  }
  NOTP_ASSIGN(api::Access first, access(config));
  decisions_.set_rules(decision_rules(config));
  api_.emplace(std::move(first), api_parts(), parts_.pool);
  listeners_.emplace(parts_.http, *api_, parts_.metrics);
  config_ = config;
  return listeners_->open(config, std::move(sockets));
}

Result<void> ApiHost::change(const api::ApiConfig& config) {
  NOTP_ASSIGN(api::Access next, access(config));
  config_ = config;
  decisions_.set_rules(decision_rules(config));
  api_->set(std::move(next));
  listeners_->change(config);
  watch();
  return {};
}

void ApiHost::watch() {
  std::vector<std::filesystem::path> files;
  if (!config_.api_token.empty()) files.push_back(config_.api_token);
  if (const auto& tls = config_.listen_tls)
    files.insert(files.end(), {tls->certificate, tls->private_key, tls->client_authorities});
  files_.watch(files);
}

void ApiHost::look() {
  listeners_->look();
  if (config_.api_token.empty()) return;
  auto next = access(config_);
  if (next) {
    token_error_.clear();
    return api_->set(*std::move(next));
  }
  // Existing tokens stay valid: a file that is being written causes such an error.
  if (std::exchange(token_error_, next.error().message) != next.error().message)
    log::write(log::Level::kError, "tokens_not_reloaded", next.error());
}

void ApiHost::stop(std::function<void()> ended) {
  files_.stop();
  listeners_->stop(std::move(ended));
}

Result<api::Access> ApiHost::access(const api::ApiConfig& config) const {
  NOTP_ASSIGN(api::AccessRules rules, config.access_rules(options_.trust_domain));
  return api::Access(std::move(rules));
}

api::ApiParts ApiHost::api_parts() {
  api::ApiParts parts{
      .decisions = decisions_,
      .engine_version =
          [this] {
            return parts_.engine_status ? parts_.engine_status().opa_version : std::string();
          },
      .health = {.health =
                     [this] {
                       return health_of(*parts_.host.status(), api_status(), read_clock());
                     },
                 .metrics = parts_.metrics,
                 .refresh_metrics = {}},
      .status = {
          .status =
              [this] { return status_document(*parts_.host.status(), api_status(), read_clock()); },
          .policies =
              [this] {
                return api::PolicySource{parts_.host.confirmed(), parts_.host.stored_contents()};
              }},
      .opa = {}};
  parts.health.refresh_metrics = [this] {
    follow(log_lines_dropped_, log::dropped_lines());
    if (engine_metrics_) engine_metrics_->update(parts_.engine_status());
    if (parts_.records) parts_.records->refresh_metrics();
    if (parts_.refresh_txn_metrics) parts_.refresh_txn_metrics();
  };
  if (parts_.opa)
    parts.opa = {.bundle = [this](const http::Request& r) { return parts_.opa->bundle_request(r); },
                 .status = [this](const http::Request& r) { return parts_.opa->status_post(r); },
                 .logs = parts_.records && parts_.records->opa()
                             ? parts_.records->opa()->logs_handler()
                             : http::Handler(),
                 .secret = opa_secret_,
                 .showed = [this](bool accepted) { opa_showed(accepted); }};
  return parts;
}

// Called from any thread.
void ApiHost::opa_showed(bool accepted) {
  if (opa_refused_.exchange(!accepted) == !accepted) return;
  asio::post(parts_.agent, [this] {
    parts_.host.pdp_trouble(opa_refused_ ? std::string(api::kOpaSecretHint) : std::string());
  });
}

std::string ApiHost::opa_hint() const {
  if (opa_refused_) return std::string(api::kOpaSecretHint);
  return parts_.opa ? parts_.opa->tokens_status().finding : std::string();
}

ApiStatus ApiHost::api_status() const {
  return {.pdp = std::string(parts_.pdp.kind()),
          .node = parts_.node(),
          .opa_hint = opa_hint(),
          .route = parts_.route,
          .engine_up = engine_up(),
          .is_volatile = parts_.is_volatile,
          .decisions = parts_.records ? parts_.records->status() : json::object(),
          .lane = parts_.lane ? parts_.lane->document(read_clock()) : json::object(),
          .txn = parts_.txn_status ? parts_.txn_status() : json::object(),
          .refusal = parts_.records ? parts_.records->refusal() : std::string()};
}

// Before the first release the workers have nothing to serve.
bool ApiHost::engine_up() const {
  if (!parts_.engine_status) return true;
  const rego::EngineStatus status = parts_.engine_status();
  return status.serving || (status.last_error.empty() && !parts_.host.confirmed());
}

}  // namespace notp::client
