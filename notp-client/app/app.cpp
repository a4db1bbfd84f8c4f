#include "notp-client/app/app.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <csignal>
#include <optional>
#include <thread>

#include "common/asio/clock_watch.hpp"
#include "common/limits.hpp"
#include "common/rego/host/process_checker.hpp"
#include "common/spawn.hpp"
#include "common/storage/files.hpp"
#include "common/systemd/heartbeat.hpp"
#include "common/telemetry/traces.hpp"
#include "notp-client/agent/agent_metrics.hpp"
#include "notp-client/app/api_host.hpp"
#include "notp-client/app/decision_records.hpp"
#include "notp-client/app/gate_parts.hpp"
#include "notp-client/app/lane_parts.hpp"
#include "notp-client/app/setup_check.hpp"
#include "notp-client/app/status_line.hpp"
#include "notp-client/app/txn_parts.hpp"
#include "notp-client/app/txn_verify_parts.hpp"
#include "notp-client/identity/certificate_rotator.hpp"
#include "notp-client/pdp/authz_module.hpp"
#include "notp-client/pdp/embedded_pdp.hpp"
#include "notp-client/pdp/opa_feed.hpp"
#include "notp-client/store/sqlite_store.hpp"
#include "notp-client/store/staging_files.hpp"

namespace notp::client {
namespace {

namespace asio = boost::asio;

// A thread serves some 25,000 decisions a second, and the engine takes twice its time for them. Two
// threads would wake each other with every question, so on a small machine one is faster.
constexpr int kProcessorsPerHttpThread = 4;
constexpr int kHttpThreadsMax = 4;
constexpr size_t kPortFileBytesMax = 128;
// Questions wait at most so long in passed sockets for the stored releases; then they are answered
// with what decides by then.
constexpr std::chrono::seconds kActivationWait(20);
// The longest end of the requests under way: the listeners cut them off before.
constexpr std::chrono::seconds kDrainWait(3);

// Whether the stored releases will decide soon, and none does yet.
bool awaits_activation(const agent::AgentStatus& status) {
  const auto is_active = [](const auto& ledger) { return ledger.active_version != 0; };
  const auto is_coming = [](const auto& ledger) {
    return ledger.stored_version != 0 && ledger.rejected_version != ledger.stored_version;
  };
  return std::ranges::none_of(status.ledgers, is_active) &&
         std::ranges::any_of(status.ledgers, is_coming);
}

int http_threads() {
  return std::clamp(
      static_cast<int>(std::thread::hardware_concurrency()) / kProcessorsPerHttpThread, 1,
      kHttpThreadsMax);
}

class Client {
 public:
  Client(const ClientConfig& config, ConfigLoader load, systemd::Notifier notifier,
         systemd::PassedSockets sockets)
      : config_(config),
        load_(std::move(load)),
        notifier_(std::move(notifier)),
        sockets_(std::move(sockets)),
        awaits_activation_(!sockets_.names().empty() &&
                           config.pdp.kind == pdp::PdpKind::kEmbedded) {}
  // What runs on the pool uses parts that are destroyed before it.
  ~Client() {
    api_pool_.stop();
    api_pool_.join();
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  Result<void> run();

 private:
  Result<void> open();
  std::unique_ptr<pdp::Pdp> make_pdp();
  std::unique_ptr<pdp::Pdp> make_embedded_pdp();
  LanePlace lane_place();
  void on_opa_tokens(const pdp::OpaTokensStatus& status);
  std::string engine_version() const;
  Result<void> start_api();
  void watch_txn_tokens();
  Result<void> start_txn();
  TimeMs trusted_ms() const;
  void on_status(const agent::AgentStatus& status);
  void begin();
  void start_heartbeat();
  void reload();
  void await_signal();
  asio::awaitable<void> stop();

  const ClientConfig config_;
  const ConfigLoader load_;
  systemd::Notifier notifier_;
  systemd::PassedSockets sockets_;
  const bool awaits_activation_;  // before questions are taken from passed sockets
  bool has_begun_ = false;        // to take them
  const std::shared_ptr<prometheus::Registry> registry_ = std::make_shared<prometheus::Registry>();
  agent::AgentMetrics metrics_{*registry_};
  Traces traces_{"notp-client", process_environment(), SpanCounters(registry_, "notp_agent_"),
                 log_trace_report};
  agent::AgentTraces agent_traces_{traces_.tracer()};
  std::unique_ptr<transport::TlsSource> tls_;
  std::unique_ptr<store::SqliteStore> store_;
  std::optional<store::StagingFiles> staging_;

  // Destroyed in reverse order: users of a pool or a context before it.
  asio::io_context context_{1};
  asio::io_context http_context_{http_threads()};
  asio::thread_pool pdp_pool_{1};
  asio::thread_pool api_pool_{2};
  std::optional<transport::OffloadPool> store_worker_, staging_worker_;
  asio::signal_set signals_{context_, SIGTERM, SIGINT, SIGHUP};
  std::unique_ptr<rego::ModelChecker> checker_;  // for the PDPs that read files
  std::unique_ptr<DecisionRecords> records_;     // null: none are kept
  std::unique_ptr<pdp::Pdp> pdp_;
  // pdp_, if it is one
  pdp::EmbeddedPdp* embedded_ = nullptr;
  pdp::OpaPdp* opa_ = nullptr;
  std::string opa_secret_;  // with a lane and an OPA
  std::unique_ptr<agent::ReplayGate> gate_;
  std::unique_ptr<LaneParts> lane_;  // null: none is followed
  std::unique_ptr<agent::AgentHost> host_;
  SystemRandom random_;
  std::unique_ptr<identity::CertificateRotator> rotator_;
  std::optional<ClockWatch> clock_;
  std::optional<ApiHost> api_;
  std::unique_ptr<TxnParts> txn_;  // null: this agent issues no transaction tokens
  asio::steady_timer begin_late_{context_};
  StatusLine status_line_;
  std::optional<systemd::Heartbeat> heartbeat_;
  std::vector<std::thread> http_threads_;
};

std::unique_ptr<pdp::Pdp> Client::make_pdp() {
  const auto executor = context_.get_executor();
  if (config_.pdp.kind == pdp::PdpKind::kEmbedded) return make_embedded_pdp();
  checker_ = std::make_unique<rego::ProcessChecker>(
      rego::CheckerOptions{.worker = config_.pdp.embedded.engine.worker});
  if (config_.pdp.kind == pdp::PdpKind::kFolder)
    return std::make_unique<pdp::FolderPdp>(executor, pdp_pool_, *checker_, config_.pdp.folder);
  pdp::OpaOptions options = config_.pdp.opa;
  if (records_ && records_->opa())
    options.on_offered = [opa = records_->opa()](const pdp::ActiveSetPtr& set) {
      opa->offered(set);
    };
  if (config_.txn_verify) options.hidden_inputs = config_.txn_verify->tokens;
  if (config_.lane)
    options.tokens = pdp::OpaTokensOptions{
        .secret = pdp::opa_tokens_secret(opa_secret_),
        .inputs = config_.lane->all_tokens(),
        .limits = config_.pdp.opa_tokens,
        .on_change = [this](const pdp::OpaTokensStatus& status) { on_opa_tokens(status); }};
  auto opa = std::make_unique<pdp::OpaPdp>(executor, pdp_pool_, *checker_, std::move(options));
  opa_ = opa.get();
  return opa;
}

std::unique_ptr<pdp::Pdp> Client::make_embedded_pdp() {
  auto pdp = std::make_unique<pdp::EmbeddedPdp>(
      context_.get_executor(), http_context_.get_executor(), pdp_pool_, config_.pdp.embedded);
  pdp->on_quarantine([this](const pdp::PdpQuarantine& quarantine) {
    log::warn(
        quarantine.ended ? "path_free_again" : "path_quarantined",
        {{"ledger", quarantine.ledger}, {"path", quarantine.path}, {"reason", quarantine.reason}});
    if (const auto ledger = model::LedgerId::parse(quarantine.ledger))
      host_->path_quarantined(*ledger, quarantine.path,
                              quarantine.ended ? std::string() : quarantine.reason);
  });
  pdp->on_unknown_keys(
      [this](const std::vector<wire::UnknownKey>& keys) { host_->unknown_keys(keys); });
  embedded_ = pdp.get();
  return pdp;
}

// An OPA that is not there yet, or is started again, is nothing to report.
void Client::on_opa_tokens(const pdp::OpaTokensStatus& status) {
  const bool is_trouble = status.state != pdp::OpaTokensState::kWaiting;
  if (status.state == pdp::OpaTokensState::kUnprotected ||
      status.state == pdp::OpaTokensState::kRefused)
    host_->lane_alarm({ErrorCode::kPdpRejected, status.finding, {}});
  host_->pdp_trouble(is_trouble ? status.finding : std::string());
}

LanePlace Client::lane_place() {
  LanePlace place{.agent = context_.get_executor(),
                  .opa = opa_,
                  .with_events = opa_ != nullptr,
                  .alarm = [this](const Error& error) { host_->lane_alarm(error); },
                  .metrics = registry_};
  if (embedded_)
    place.sink = embedded_;
  else
    place.sink = opa_;
  return place;
}

std::string Client::engine_version() const {
  return embedded_ ? embedded_->engine_status().opa_version : std::string();
}

Result<void> Client::open() {
  const SetupReport setup = check_setup(config_, read_clock().wall_ms);
  NOTP_TRY(setup.may_start());
  setup.log_rest();
  NOTP_ASSIGN(Bytes pinned_root, read_file(config_.root, limits::kEnvelopeBytesMax));
  NOTP_ASSIGN(tls_, transport::TlsSource::open(config_.tls, transport::Side::kClient));
  NOTP_ASSIGN(store_, store::SqliteStore::open(config_.data_dir));
  if (store_->is_volatile())
    log::warn("store_is_volatile",
              {{"data_dir", config_.data_dir.string()},
               {"message",
                "the disk is read-only: this agent serves what is there, and forgets with its end "
                "what it learns; make the disk writable and restart"}});
  store_worker_.emplace(1);
  staging_.emplace(config_.data_dir);
  staging_worker_.emplace(1);
  NOTP_ASSIGN(records_,
              DecisionRecords::open(config_, {.tls = *tls_,
                                              .engine_version = [this] { return engine_version(); },
                                              .metrics = *registry_,
                                              .pool = api_pool_}));
  if (config_.lane && config_.pdp.kind == pdp::PdpKind::kOpa) {
    NOTP_ASSIGN(opa_secret_, api::read_or_make_secret(config_.opa_secret()));
  }
  pdp_ = make_pdp();
  NOTP_ASSIGN(lane_, LaneParts::open(config_, lane_place()));
  gate_ = std::make_unique<agent::ReplayGate>(gate_parts(config_, records_.get(), *registry_));
  agent::AgentHostOptions options = config_.host;
  options.on_answer = [this](wire::Response response) {
    if (txn_) txn_->on_answer(response);
    rotator_->on_answer(std::move(response));
  };
  options.on_status = [this](const agent::AgentStatus& status) { on_status(status); };
  host_ = std::make_unique<agent::AgentHost>(
      context_.get_executor(), std::move(options), config_.agent,
      agent::AgentParts{.store = *store_,
                        .store_worker = *store_worker_,
                        .staging = *staging_,
                        .staging_worker = *staging_worker_,
                        .pdp = *pdp_,
                        .tls = *tls_,
                        .pinned_root = std::move(pinned_root),
                        .log = records_ ? &records_->log() : nullptr,
                        .traces = &agent_traces_,
                        .gate = gate_.get(),
                        .lane = lane_ ? &lane_->host() : nullptr});
  rotator_ = std::make_unique<identity::CertificateRotator>(
      context_.get_executor(), *tls_, config_.renew, random_,
      identity::CertificateRotatorHooks{
          .ask = [this](const wire::Request& request) { return host_->ask(request); },
          .trusts_registry =
              [this](const transport::TlsContext& tls) { return host_->trusts_registry(tls); },
          .recheck = [this] { host_->recheck_registry(); }});
  return {};
}

Result<void> Client::start_api() {
  ApiHostParts parts{.agent = context_.get_executor(),
                     .http = http_context_.get_executor(),
                     .pool = api_pool_,
                     .host = *host_,
                     .pdp = *pdp_,
                     .opa = opa_,
                     .engine_status = {},
                     .node =
                         [this] {
                           const auto identity = tls_->current()->identity();
                           return identity ? identity->text() : std::string();
                         },
                     .records = records_.get(),
                     .lane = lane_.get(),
                     .is_volatile = store_->is_volatile(),
                     .route = config_.host.route.text(),
                     .metrics = registry_};
  if (embedded_) parts.engine_status = [this] { return embedded_->engine_status(); };
  if (config_.txn_service) {
    parts.txn_status = [this] { return txn_ ? txn_->document() : json::object(); };
    parts.refresh_txn_metrics = [this] {
      if (txn_) txn_->refresh_metrics();
    };
  }
  api_.emplace(ApiHostOptions{.trust_domain = config_.agent.trust_domain,
                              .logs_decisions = config_.log.level == log::Level::kDebug,
                              .opa_secret = config_.opa_secret()},
               std::move(parts));
  watch_txn_tokens();
  NOTP_TRY(api_->open(config_.api, std::move(sockets_)));
  NOTP_TRY(start_txn());
  if (!config_.port_file.empty())
    NOTP_TRY(write_file(config_.port_file, api_->loopback_address() + "\n"));
  log::info("serving", {{"listen", fmt::format("{}", fmt::join(api_->addresses(), " "))},
                        {"pdp", pdp_->kind()},
                        {"registry", config_.host.registry},
                        {"route", config_.host.route.text()},
                        {"ledgers", config_.agent.ledgers.size()},
                        {"program_version", NOTP_VERSION}});
  for (int i = http_threads(); i > 0; --i)
    http_threads_.emplace_back([this] { http_context_.run(); });
  return {};
}

// The embedded engine itself tells of keys that the set lacks.
void Client::watch_txn_tokens() {
  std::function<void(const std::vector<wire::UnknownKey>&)> unknown_keys;
  if (!embedded_)
    unknown_keys = [queue = std::make_shared<pdp::UnknownKeyQueue>(
                        context_.get_executor(), [this](const std::vector<wire::UnknownKey>& keys) {
                          host_->unknown_keys(keys);
                        })](const std::vector<wire::UnknownKey>& keys) { queue->add(keys); };
  if (auto watch = open_txn_watch(config_, {.pdp = *pdp_,
                                            .pool = api_pool_,
                                            .load = host_->stored_contents(),
                                            .unknown_keys = std::move(unknown_keys),
                                            .metrics = *registry_}))
    api_->decisions().set_txn_watch(*std::move(watch));
}

// The store's, so that a clock that is set back makes nothing valid again.
TimeMs Client::trusted_ms() const {
  const Now now = read_clock();
  const auto status = host_->status();
  return std::max(now.wall_ms,
                  status->as_of_ms + std::max<TimeMs>(0, now.boot_ms - status->as_of_boot_ms));
}

Result<void> Client::start_txn() {
  if (!config_.txn_service) return {};
  TxnPlace place{
      .agent = context_.get_executor(),
      .http = http_context_.get_executor(),
      .pool = api_pool_,
      .pdp = *pdp_,
      .decisions = api_->decisions(),
      .records = records_.get(),
      .lane = lane_.get(),
      .load = host_->stored_contents(),
      .trusted_ms = [this] { return trusted_ms(); },
      .metrics = registry_,
      .ask = [this](const wire::Request& request) { return host_->ask(request); },
      .missing_key = [this](const wire::UnknownKey& key) { host_->unknown_keys({key}); }};
  NOTP_ASSIGN(txn_, TxnParts::open(*config_.txn_service, std::move(place)));
  return {};
}

Result<void> Client::run() {
  NOTP_TRY(open());
  if (auto started = host_->start(); !started)
    return std::unexpected(std::move(started).error().in(fmt::format(
        "with root {} and data folder {}", config_.root.string(), config_.data_dir.string())));
  NOTP_TRY(start_api());
  await_signal();
  start_heartbeat();
  begin_late_.expires_after(kActivationWait);
  begin_late_.async_wait([this](boost::system::error_code error) {
    if (!error) begin();
  });
  if (!awaits_activation_ || !awaits_activation(*host_->status())) begin();
  rotator_->start();
  api_->watch();
  clock_.emplace(context_.get_executor(), [this] {
    host_->clock_set();
    rotator_->look();
  });
  context_.run();
  http_context_.stop();
  for (std::thread& thread : http_threads_) thread.join();
  traces_.stop();
  log::info("stopped");
  return {};
}

void Client::on_status(const agent::AgentStatus& status) {
  metrics_.update(status);
  if (txn_) txn_->on_status();
  if (heartbeat_) heartbeat_->changed();
  // Questions in passed sockets waited for this: a restart answers none with "no policy is active".
  if (heartbeat_ && !awaits_activation(status)) begin();
}

void Client::begin() {
  if (std::exchange(has_begun_, true)) return;
  begin_late_.cancel();
  api_->begin();
  notifier_.ready();
}

// Neither the PDP's thread nor the store's is a loop of it: a large release keeps them busy for
// long, and the engine's worker has a supervisor of its own.
void Client::start_heartbeat() {
  heartbeat_.emplace(
      context_.get_executor(), notifier_,
      std::vector<systemd::Heartbeat::Loop>{{"http", http_context_.get_executor()}}, [this] {
        return status_line_.text(*host_->status(), records_ ? records_->refusal() : std::string(),
                                 read_clock().wall_ms,
                                 lane_ ? lane_->state(read_clock()) : std::string());
      });
  heartbeat_->start();
}

// Reloads all of the configuration that concerns the API; none of it if any is wrong.
void Client::reload() {
  const auto failed = [](const Error& error) {
    log::write(log::Level::kError, "configuration_not_reloaded", error);
  };
  const auto config = load_();
  if (!config) return failed(config.error());
  if (const auto changed = api_->change(config->api); !changed) return failed(changed.error());
  std::string waiting;
  for (const auto& [name, value] : config->fixed)
    if (const json::value* before = config_.fixed.if_contains(name); !before || *before != value)
      waiting += fmt::format("{}{}", waiting.empty() ? "" : ", ", std::string_view(name));
  for (const auto& [name, value] : config_.fixed)
    if (!config->fixed.contains(name))
      waiting += fmt::format("{}{}", waiting.empty() ? "" : ", ", std::string_view(name));
  log::info("configuration_reloaded",
            {{"listen", fmt::format("{}", fmt::join(api_->addresses(), " "))}});
  if (!waiting.empty()) log::warn("configuration_needs_restart", {{"keys", waiting}});
}

void Client::await_signal() {
  signals_.async_wait([this](boost::system::error_code error, int signal) {
    if (error) return;
    if (signal != SIGHUP) {
      log::info("stopping", {{"signal", signal}});
      return spawn(context_.get_executor(), stop());
    }
    notifier_.reloading();
    rotator_->look();
    if (txn_) txn_->look();
    reload();
    notifier_.reloaded();
    await_signal();
  });
}

asio::awaitable<void> Client::stop() {
  notifier_.stopping();
  has_begun_ = true;
  begin_late_.cancel();
  rotator_->stop();
  clock_->stop();
  // What was asked is still answered.
  const auto drained = std::make_shared<asio::steady_timer>(context_, kDrainWait);
  {
    // The last owner to let go ends the wait.
    const std::shared_ptr<void> last(nullptr, [this, drained](void*) {
      asio::post(context_, [drained] { drained->cancel(); });
    });
    api_->stop([last] {});
    if (txn_) txn_->stop([last] {});
  }
  co_await drained->async_wait(asio::as_tuple(asio::use_awaitable));
  heartbeat_->stop();
  co_await host_->stop();
  if (txn_) txn_->stop_stores();
  if (records_) records_->stop();
  // PDPs load through the store's thread, which ends after them.
  pdp_pool_.join();
  store_worker_->join();
  staging_worker_->join();
  context_.stop();
}

}  // namespace

Result<void> run_client(const ClientConfig& config, ConfigLoader load, systemd::Notifier notifier,
                        systemd::PassedSockets sockets) {
  return Client(config, std::move(load), std::move(notifier), std::move(sockets)).run();
}

Result<std::string> reset_clock(const ClientConfig& config) {
  std::error_code ignored;
  if (!std::filesystem::exists(config.data_dir, ignored))
    return fail(ErrorCode::kNotFound,
                fmt::format("there is no data folder {}: no agent has run with this configuration",
                            config.data_dir.string()));
  NOTP_ASSIGN(const auto store, store::SqliteStore::open(config.data_dir));
  NOTP_ASSIGN(const store::StoreState before, store->load());
  const TimeMs wall_ms = read_clock().wall_ms;
  NOTP_TRY(store->reset_clock(wall_ms));
  NOTP_TRY(lane::reset_lane_clock(config.data_dir, wall_ms));
  return fmt::format(
      "the latest time that this node had seen was {}; now it is {}, the wall clock's\n"
      "ages of releases count from here on by this clock: make sure that it is right before the "
      "agent starts, and let the agent reach its registry\n",
      utc_time(before.clock.wall_ms), utc_time(wall_ms));
}

namespace {

// With port 0 the address is the one in the port file.
Result<std::string> address_for_opa(const ClientConfig& config) {
  const http::TcpEndpoint& at = *config.api.listen;
  if (at.port != 0)
    return at.address.contains(':') ? fmt::format("[{}]:{}", at.address, at.port)
                                    : fmt::format("{}:{}", at.address, at.port);
  auto address = config.port_file.empty() ? fail(ErrorCode::kNotFound, "no port_file is configured")
                                          : read_file(config.port_file, kPortFileBytesMax);
  if (!address)
    return fail(ErrorCode::kConfig,
                "listen has port 0: start the agent with a port_file first, so that its port is "
                "known (" +
                    address.error().message + ")");
  while (address->ends_with('\n')) address->pop_back();
  return address;
}

pdp::OpaLogs opa_logs_of(const spool::RecordingConfig& decisions) {
  if (!decisions.records) return pdp::OpaLogs::kNone;
  return decisions.opa_posts ? pdp::OpaLogs::kService : pdp::OpaLogs::kFile;
}

}  // namespace

Result<std::string> opa_config_of(const ClientConfig& config) {
  if (!config.api.listen)
    return fail(ErrorCode::kConfig, "listen is none: OPA fetches its bundles there");
  NOTP_ASSIGN(const std::string address, address_for_opa(config));
  std::error_code ignored;
  const auto absolute = [&](const std::filesystem::path& file) {
    return std::filesystem::absolute(file, ignored).string();
  };
  return pdp::opa_config({.agent_url = "http://" + address,
                          .token_path = absolute(config.opa_secret()),
                          .logs = opa_logs_of(config.decisions),
                          .log_file = absolute(config.decisions.opa_log_file),
                          .has_tokens = config.lane.has_value()});
}

}  // namespace notp::client
