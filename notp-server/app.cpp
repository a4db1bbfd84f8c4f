#include "notp-server/app.hpp"

#include <fmt/format.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <map>

#include "common/files.hpp"
#include "common/http/server.hpp"
#include "notp-server/registry/git_registry.hpp"
#include "notp-server/service/metrics.hpp"
#include "notp-server/trust/freshness_signer.hpp"
#include "notp-server/trust/root_store.hpp"
#include "protocol/transport/endpoint.hpp"

namespace notp {
namespace {

namespace asio = boost::asio;

constexpr auto kWatchInterval = std::chrono::seconds(2);
constexpr int64_t kHttpGraceMs = 1'000;

class Server {
 public:
  Server(const ServerConfig& config, std::filesystem::path config_file, Environment environment)
      : config_(config),
        config_file_(std::move(config_file)),
        environment_(std::move(environment)),
        rights_(std::make_shared<const RightsTable>(config.rights)),
        artifacts_(config.artifact_cache_bytes) {}

  Result<void> run();

 private:
  Result<void> open();
  Result<void> start_health();
  asio::awaitable<http::Response> answer_health(const http::Request& request);
  void await_signal();
  void watch_files();
  void reload();
  void reload_config();
  void reload_freshness(const FreshnessOptions& options);
  void reload_root(const std::filesystem::path& file);
  std::map<std::string, std::filesystem::file_time_type> file_times() const;

  const ServerConfig config_;
  const std::filesystem::path config_file_;
  const Environment environment_;
  Current<RightsTable> rights_;
  ArtifactCache artifacts_;
  std::unique_ptr<GitRegistry> registry_;
  std::unique_ptr<RootStore> roots_;
  std::unique_ptr<FreshnessSigner> freshness_;
  std::unique_ptr<Fleet> fleet_;
  std::unique_ptr<TlsSource> tls_;
  std::unique_ptr<OffloadPool> workers_;
  std::unique_ptr<Service> service_;

  asio::io_context context_{1};
  asio::signal_set signals_{context_, SIGTERM, SIGINT, SIGHUP};
  asio::steady_timer watch_{context_};
  std::map<std::string, std::filesystem::file_time_type> times_;
  std::unique_ptr<http::Server> health_;
};

Result<void> Server::open() {
  NOTP_TRY(make_folders(config_.data_dir));
  NOTP_ASSIGN(tls_, TlsSource::open(config_.tls, Side::kServer));
  if (const auto& identity = tls_->current()->identity(); !identity)
    return std::unexpected(Error(identity.error()).in(config_.tls.certificate.string()));
  NOTP_ASSIGN(registry_, GitRegistry::open(config_.data_dir));
  for (const GitRegistry::Damage& damage : registry_->damaged())
    log::write(log::Level::kError, "ledger_damaged", damage.error,
               {{"ledger", damage.ledger.text()}});
  NOTP_ASSIGN(roots_, RootStore::open(config_.data_dir / "roots", config_.root,
                                      config_.trust_domain, read_clock().wall_ms));
  freshness_ = std::make_unique<FreshnessSigner>(*registry_, *roots_);
  NOTP_TRY(freshness_->configure(config_.freshness));
  freshness_->log_key_state();
  NOTP_ASSIGN(fleet_, Fleet::open(config_.data_dir / "fleet.db"));
  workers_ = std::make_unique<OffloadPool>(config_.workers);
  service_ =
      std::make_unique<Service>(ServiceParts{.registry = *registry_,
                                             .artifacts = artifacts_,
                                             .fleet = *fleet_,
                                             .tls = *tls_,
                                             .workers = *workers_,
                                             .rights = rights_,
                                             .roots = *roots_,
                                             .freshness = *freshness_,
                                             .introduction = {.server = "notp-server/" NOTP_VERSION,
                                                              .trust_domain = config_.trust_domain,
                                                              .peer = {}}},
                                config_.service);
  return {};
}

Result<void> Server::run() {
  NOTP_TRY(open());
  NOTP_TRY(start_health());
  NOTP_ASSIGN(const std::string address, service_->start());
  if (!config_.port_file.empty()) {
    // Health first: who waits for this file finds everything listening.
    NOTP_TRY(write_file(config_.port_file, address + "\n"));
  }
  log::info("serving", {{"listen", address},
                        {"trust_domain", config_.trust_domain},
                        {"ledgers", registry_->ledgers().size()},
                        {"root_version", roots_->newest()},
                        {"version", NOTP_VERSION}});
  times_ = file_times();
  await_signal();
  watch_files();
  context_.run();
  service_->stop();
  log::info("stopped");
  return {};
}

Result<void> Server::start_health() {
  if (config_.health_listen.empty()) return {};
  NOTP_ASSIGN(const HostPort where, HostPort::parse(config_.health_listen));
  http::ServerOptions options;
  options.address = where.host == "localhost" ? "127.0.0.1" : where.host;
  options.port = where.port;
  NOTP_ASSIGN(health_, http::Server::listen(context_.get_executor(), std::move(options),
                                            [this](const http::Request& request) {
                                              return answer_health(request);
                                            }));
  log::info("health_serving", {{"port", health_->port()}});
  return {};
}

asio::awaitable<http::Response> Server::answer_health(const http::Request& request) {
  if (request.path == "/health/live" || request.path == "/health/ready")
    co_return http::Response{
        .body = fmt::format(R"({{"status":"ok","root_version":{},"freshness_key":"{}"}})",
                            roots_->newest(), freshness_key_state_name(freshness_->key_state()))};
  if (request.path == "/metrics") {
    http::Response response;
    response.content_type = "text/plain; version=0.0.4";
    response.body = service_metrics(service_->counters(), artifacts_.counters(), *freshness_,
                                    *roots_, workers_->depth());
    co_return response;
  }
  co_return http::error_response(404, "not_found", "this port serves /health/* and /metrics");
}

void Server::await_signal() {
  signals_.async_wait([this](boost::system::error_code error, int signal) {
    if (error) return;
    if (signal == SIGHUP) {
      reload();
      return await_signal();
    }
    log::info("stopping", {{"signal", signal}});
    watch_.cancel();
    if (health_) health_->stop(kHttpGraceMs);
  });
}

std::map<std::string, std::filesystem::file_time_type> Server::file_times() const {
  std::map<std::string, std::filesystem::file_time_type> times;
  for (const auto& file : {config_file_, config_.tls.certificate, config_.tls.private_key,
                           config_.tls.authorities, config_.root, config_.freshness.private_key}) {
    std::error_code ignored;
    times[file.string()] = std::filesystem::last_write_time(file, ignored);
  }
  return times;
}

// People replace certificates with tools that send no signal.
void Server::watch_files() {
  watch_.expires_after(kWatchInterval);
  watch_.async_wait([this](boost::system::error_code error) {
    if (error) return;
    if (auto now = file_times(); now != times_) {
      times_ = std::move(now);
      reload();
    }
    watch_files();
  });
}

void Server::reload() {
  if (auto fresh = tls_->reload(); !fresh)
    log::write(log::Level::kError, "certificates_not_reloaded", fresh.error());
  else
    log::info("certificates_reloaded");
  reload_config();
}

void Server::reload_config() {
  const auto config = ServerConfig::load(config_file_, environment_);
  if (!config) return log::write(log::Level::kError, "configuration_not_reloaded", config.error());
  reload_root(config->root);
  reload_freshness(config->freshness);
  const bool changed = rights_.get()->rules() != config->rights;
  rights_.set(std::make_shared<const RightsTable>(config->rights));
  log::info("rights_reloaded", {{"rules", config->rights.size()}});
  // Whoever lost a right to what is open hears of it with the next statement.
  if (changed) service_->freshness_due();
}

void Server::reload_root(const std::filesystem::path& file) {
  const auto grown = roots_->adopt(file, read_clock().wall_ms);
  if (!grown) return log::write(log::Level::kError, "root_not_reloaded", grown.error());
  if (!*grown) return;
  log::info("root_published", {{"file", file.string()}, {"root_version", roots_->newest()}});
  service_->roots_changed();
}

void Server::reload_freshness(const FreshnessOptions& options) {
  const auto changed = freshness_->configure(options);
  if (!changed)
    return log::write(log::Level::kError, "freshness_key_not_reloaded", changed.error());
  freshness_->log_key_state();
  if (*changed) service_->freshness_due();
}

}  // namespace

Result<void> run_server(const ServerConfig& config, const std::filesystem::path& config_file,
                        const Environment& environment) {
  return Server(config, config_file, environment).run();
}

}  // namespace notp
