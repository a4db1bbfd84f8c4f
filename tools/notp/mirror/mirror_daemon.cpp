#include "tools/notp/mirror/mirror_daemon.hpp"

#include <fmt/format.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <map>

#include "common/asio/file_watch.hpp"
#include "common/host_port.hpp"
#include "common/http/metrics_route.hpp"
#include "common/http/router.hpp"
#include "common/http/server.hpp"
#include "common/log.hpp"
#include "common/storage/files.hpp"
#include "common/storage/folder_lock.hpp"
#include "common/storage/private_files.hpp"
#include "common/systemd/heartbeat.hpp"
#include "tools/notp/mirror/mirror_metrics.hpp"
#include "tools/notp/mirror/mirror_report.hpp"
#include "tools/notp/mirror/mirror_runner.hpp"
#include "tools/notp/mirror/webhook_listener.hpp"

namespace notp::cli {
namespace {

namespace asio = boost::asio;

constexpr int64_t kGraceMs = 1'000;

class MirrorDaemon {
 public:
  MirrorDaemon(MirrorsConfig config, const Environment& environment, systemd::Notifier notifier)
      : config_(std::move(config)), environment_(environment), notifier_(std::move(notifier)) {}

  Result<void> run();

 private:
  Result<void> open();
  Result<void> serve_health();
  Result<void> write_port_file() const;
  void start_mirrors();
  void start_mirror(const MirrorConfig& mirror);
  void pass_ended(const MirrorRunner& runner, const MirrorStatus& before);
  bool hint(const std::string& name);
  std::vector<MirrorReport> reports() const;
  void await_signal();
  void watch_files();
  void reload(bool asked);
  Result<void> reload_all();
  void stop();

  MirrorsConfig config_;
  const Environment environment_;
  systemd::Notifier notifier_;
  MetricsRegistry metrics_;
  MirrorMetrics mirror_metrics_{metrics_, [this] { return reports(); }};
  asio::io_context context_{1};
  asio::signal_set signals_{context_, SIGTERM, SIGINT, SIGHUP};
  FileWatch files_{context_.get_executor(), [this] { reload(/*asked=*/false); }};
  std::map<std::string, std::shared_ptr<MirrorRunner>> mirrors_;  // by name
  std::unique_ptr<WebhookListener> webhook_;
  http::Router router_;
  std::unique_ptr<http::Server> health_;
  std::optional<systemd::Heartbeat> heartbeat_;
  std::string reload_error_;  // logged once while it lasts
};

Result<void> MirrorDaemon::serve_health() {
  if (config_.health_listen.empty()) return {};
  router_.add("GET", "/metrics", [this](const http::Request&) -> asio::awaitable<http::Response> {
    co_return http::metrics_response(metrics_);
  });
  router_.add("GET", "/health/live", [](const http::Request&) -> asio::awaitable<http::Response> {
    co_return http::text_response(200, "ok\n");
  });
  router_.add("GET", "/health", [this](const http::Request&) -> asio::awaitable<http::Response> {
    http::Response response;
    response.body = json::serialize(mirrors_json(reports(), read_clock().wall_ms));
    co_return response;
  });
  NOTP_ASSIGN(const HostPort where, HostPort::parse(config_.health_listen));
  const http::TcpEndpoint endpoint{.address = where.host == "localhost" ? "127.0.0.1" : where.host,
                                   .port = where.port,
                                   .beyond_loopback = true};
  NOTP_ASSIGN(health_, http::Server::listen(context_.get_executor(), endpoint,
                                            {.name = "health", .metrics = metrics_.families()},
                                            router_.handler()));
  return {};
}

Result<void> MirrorDaemon::write_port_file() const {
  if (config_.port_file.empty()) return {};
  json::object ports;
  if (health_) ports["health"] = health_->address();
  if (webhook_) ports["webhook"] = webhook_->address();
  return write_file(config_.port_file, json::serialize(ports) + "\n");
}

Result<void> MirrorDaemon::open() {
  if (config_.webhook) {
    NOTP_ASSIGN(webhook_,
                WebhookListener::open(context_.get_executor(), *config_.webhook, metrics_,
                                      [this](const std::string& name) { return hint(name); }));
  }
  NOTP_TRY(serve_health());
  start_mirrors();
  watch_files();
  return write_port_file();
}

Result<void> MirrorDaemon::run() {
  NOTP_TRY(make_private_folder(config_.state_dir));
  NOTP_ASSIGN(const FolderLock lock, FolderLock::acquire(config_.state_dir));
  NOTP_TRY(open());
  heartbeat_.emplace(context_.get_executor(), notifier_, std::vector<systemd::Heartbeat::Loop>{},
                     [this] { return mirrors_line(reports()); });
  heartbeat_->start();
  await_signal();
  log::info("mirrors_started", {{"count", mirrors_.size()},
                                {"address", webhook_ ? webhook_->address() : std::string()}});
  notifier_.ready();
  context_.run();
  log::info("mirrors_stopped");
  return {};
}

void MirrorDaemon::start_mirror(const MirrorConfig& mirror) {
  const MirrorPlace place{.config_file = config_.file,
                          .environment = environment_,
                          .folder = config_.folder_of(mirror)};
  auto runner = std::make_shared<MirrorRunner>(
      context_.get_executor(), place, mirror,
      [this](const MirrorRunner& ended, const MirrorStatus& before) { pass_ended(ended, before); });
  mirror_metrics_.add(mirror, {}, runner->status());
  runner->start();
  mirrors_[mirror.name] = std::move(runner);
}

void MirrorDaemon::start_mirrors() {
  for (const MirrorConfig& mirror : config_.mirrors) {
    const auto known = mirrors_.find(mirror.name);
    if (known == mirrors_.end())
      start_mirror(mirror);
    else
      known->second->reconfigure(mirror);
  }
  std::erase_if(mirrors_, [&](const auto& entry) {
    const bool is_gone = config_.find(entry.first) == nullptr;
    if (is_gone) entry.second->stop();
    return is_gone;
  });
}

void MirrorDaemon::pass_ended(const MirrorRunner& runner, const MirrorStatus& before) {
  mirror_metrics_.add(runner.config(), before, runner.status());
  log_mirror_change(runner.config(), before, runner.status());
  if (heartbeat_) heartbeat_->changed();
}

bool MirrorDaemon::hint(const std::string& name) {
  if (!name.empty() && !mirrors_.contains(name)) return false;
  for (const auto& [own, runner] : mirrors_)
    if (name.empty() || own == name) runner->hint();
  return true;
}

std::vector<MirrorReport> MirrorDaemon::reports() const {
  std::vector<MirrorReport> out;
  for (const auto& [name, runner] : mirrors_) out.push_back({&runner->config(), &runner->status()});
  return out;
}

void MirrorDaemon::await_signal() {
  signals_.async_wait([this](const boost::system::error_code& error, int signal) {
    if (error) return;
    if (signal != SIGHUP) return stop();
    reload(/*asked=*/true);
    await_signal();
  });
}

void MirrorDaemon::watch_files() {
  std::vector<std::filesystem::path> files{config_.file};
  if (config_.webhook)
    for (const auto& file : {config_.webhook->secret_file, config_.webhook->certificate})
      if (!file.empty()) files.push_back(file);
  for (const MirrorConfig& mirror : config_.mirrors)
    for (const auto& file : {mirror.manifest, mirror.upstream.allowed_signers,
                             mirror.upstream.revoked_signers, mirror.signing_key})
      if (!file.empty()) files.push_back(file);
  files_.watch(files);
}

// Addresses and folders are those of the start.
Result<void> MirrorDaemon::reload_all() {
  NOTP_ASSIGN(MirrorsConfig next, MirrorsConfig::load(config_.file, environment_));
  if (next.state_dir != config_.state_dir)
    return fail(ErrorCode::kConfig, "state_dir is another one: it needs a restart");
  if (webhook_ && next.webhook) NOTP_TRY(webhook_->reload(*next.webhook));
  config_ = std::move(next);
  start_mirrors();
  watch_files();
  return {};
}

void MirrorDaemon::reload(bool asked) {
  notifier_.reloading();
  const auto reloaded = reload_all();
  notifier_.reloaded();
  if (reloaded) {
    reload_error_.clear();
    if (asked) log::info("mirrors_reloaded", {{"count", mirrors_.size()}});
    return;
  }
  if (!asked && reload_error_ == reloaded.error().message) return;
  reload_error_ = reloaded.error().message;
  log::write(log::Level::kError, "mirrors_not_reloaded", reloaded.error());
}

void MirrorDaemon::stop() {
  notifier_.stopping();
  files_.stop();
  heartbeat_->stop();
  for (const auto& [name, runner] : mirrors_) runner->stop();
  if (webhook_) webhook_->stop();
  if (health_) health_->stop(kGraceMs);
}

}  // namespace

Result<void> run_mirrors(MirrorsConfig config, const Environment& environment,
                         systemd::Notifier notifier) {
  return MirrorDaemon(std::move(config), environment, std::move(notifier)).run();
}

}  // namespace notp::cli
