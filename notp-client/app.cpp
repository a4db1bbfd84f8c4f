#include "notp-client/app.hpp"

#include <fmt/format.h>
#include <prometheus/gauge.h>

#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/thread_pool.hpp>
#include <csignal>
#include <optional>
#include <thread>

#include "common/clock_watch.hpp"
#include "common/files.hpp"
#include "common/limits.hpp"
#include "common/rego/host/process_checker.hpp"
#include "common/spawn.hpp"
#include "notp-client/api/api.hpp"
#include "notp-client/identity/identity_keeper.hpp"
#include "notp-client/pdp/embedded_pdp.hpp"
#include "notp-client/pdp/opa_feed.hpp"
#include "notp-client/store/sqlite_store.hpp"
#include "notp-client/store/staging_files.hpp"

namespace notp {
namespace {

namespace asio = boost::asio;

constexpr size_t kHttpThreadsMax = 4;
constexpr size_t kPortFileBytesMax = 128;
constexpr int64_t kHttpGraceMs = 1'000;

std::string show_address(const std::string& host, uint16_t port) {
  return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port)
                                             : fmt::format("[{}]:{}", host, port);
}

// A status says what was true at its last event; ages go on since.
TimeMs trusted_now(const AgentStatus& status, Now now) {
  return status.as_of_ms + std::max<TimeMs>(0, now.boot_ms - status.as_of_boot_ms);
}

// How long ago the registry vouched for it; -1: never.
TimeMs age_s(const Standing& standing, TimeMs trusted_ms) {
  return standing.vouched_ms == 0 ? -1
                                  : std::max<TimeMs>(0, trusted_ms - standing.vouched_ms) / 1000;
}

json::object quarantine_json(const LedgerStatus& ledger) {
  json::object paths;
  for (const auto& [path, reason] : ledger.quarantined_paths) paths[path] = reason;
  return paths;
}

json::object ledger_json(const LedgerStatus& ledger, TimeMs trusted_ms) {
  const Standing& standing = ledger.standing;
  json::object row{{"ledger", ledger.ledger.text()},
                   {"stored_version", ledger.stored_version},
                   {"active_version", ledger.active_version},
                   {"rejected_version", ledger.rejected_version},
                   {"error", ledger.error},
                   {"refusal", ledger.refusal},
                   {"quarantined_paths", quarantine_json(ledger)},
                   {"state", freshness_state_name(standing.state)},
                   {"withdrawn", standing.withdrawn},
                   {"denies", standing.denies()},
                   {"vouched_ms", standing.vouched_ms},
                   {"age_s", nullptr},
                   {"fresh_s", standing.terms.fresh_s},
                   {"hard_s", standing.terms.hard_s},
                   {"next_change_ms", nullptr}};
  if (standing.vouched_ms != 0) row["age_s"] = age_s(standing, trusted_ms);
  if (ledger.next_change_ms != kNever) row["next_change_ms"] = ledger.next_change_ms;
  return row;
}

json::value status_json(const AgentStatus& status) {
  const TimeMs trusted_ms = trusted_now(status, read_clock());
  json::array ledgers;
  for (const LedgerStatus& ledger : status.ledgers)
    ledgers.push_back(ledger_json(ledger, trusted_ms));
  json::array alarms;
  for (const std::string& alarm : status.alarms) alarms.emplace_back(alarm);
  return json::object{{"connected", status.connected},
                      {"last_error", status.last_error},
                      {"now_ms", trusted_ms},
                      {"root_version", status.root_version},
                      {"root_expires_ms", status.root_expires_ms},
                      {"freshness_sequence", status.freshness_sequence},
                      {"ledgers", std::move(ledgers)},
                      {"alarms", std::move(alarms)}};
}

// Whether a session is open does not matter: fresh is what the registry vouched for not long ago.
Readiness readiness_of(const AgentStatus& status) {
  Readiness readiness = Readiness::kNever;
  bool denies = false, ages = false;
  for (const LedgerStatus& ledger : status.ledgers) {
    if (ledger.active_version == 0) continue;
    readiness = Readiness::kCurrent;
    denies |= ledger.standing.denies();
    ages |= ledger.standing.state == FreshnessState::kStale ||
            ledger.standing.state == FreshnessState::kExpired;
  }
  if (readiness == Readiness::kNever) return readiness;
  return denies ? Readiness::kExpired : ages ? Readiness::kStale : Readiness::kCurrent;
}

Health health_of(const AgentStatus& status) {
  return {readiness_of(status), status_json(status).as_object()};
}

// What an operator graphs and alerts on, beside the decisions that the API counts.
class AgentMetrics {
 public:
  AgentMetrics()
      : connected_(gauge("notp_connected", "1 while a session with the registry is open.").Add({})),
        alarms_(gauge("notp_alarms", "Alarms since the start: see /v1/status.").Add({})),
        stored_(gauge("notp_stored_version", "Newest verified release in the store.")),
        active_(gauge("notp_active_version", "Release that the PDP has confirmed.")),
        rejected_(gauge("notp_rejected_version", "Newest release, if the PDP refused it; else 0.")),
        state_(gauge("notp_freshness_state",
                     "Of the active release: 0 untracked, 1 fresh, 2 stale, 3 expired.")),
        age_(gauge("notp_release_age_seconds",
                   "Since the registry last vouched for the active release; -1: it never did.")),
        root_(gauge("notp_root_version", "Newest root of the chain verified here.").Add({})),
        sequence_(
            gauge("notp_freshness_sequence", "Of the last freshness statement accepted.").Add({})) {
  }

  std::shared_ptr<prometheus::Registry> registry() const { return registry_; }

  void update(const AgentStatus& status) {
    connected_.Set(status.connected ? 1 : 0);
    alarms_.Set(static_cast<double>(status.alarms.size()));
    root_.Set(static_cast<double>(status.root_version));
    sequence_.Set(static_cast<double>(status.freshness_sequence));
    for (const LedgerStatus& row : status.ledgers) {
      const prometheus::Labels labels = {{"ledger", row.ledger.text()}};
      stored_.Add(labels).Set(static_cast<double>(row.stored_version));
      active_.Add(labels).Set(static_cast<double>(row.active_version));
      rejected_.Add(labels).Set(static_cast<double>(row.rejected_version));
      state_.Add(labels).Set(static_cast<double>(row.standing.state));
      age_.Add(labels).Set(static_cast<double>(age_s(row.standing, status.as_of_ms)));
    }
  }

 private:
  prometheus::Family<prometheus::Gauge>& gauge(const char* name, const char* help) {
    return prometheus::BuildGauge().Name(name).Help(help).Register(*registry_);
  }

  const std::shared_ptr<prometheus::Registry> registry_ = std::make_shared<prometheus::Registry>();
  prometheus::Gauge& connected_;
  prometheus::Gauge& alarms_;
  prometheus::Family<prometheus::Gauge>& stored_;
  prometheus::Family<prometheus::Gauge>& active_;
  prometheus::Family<prometheus::Gauge>& rejected_;
  prometheus::Family<prometheus::Gauge>& state_;
  prometheus::Family<prometheus::Gauge>& age_;
  prometheus::Gauge& root_;
  prometheus::Gauge& sequence_;
};

class Client {
 public:
  explicit Client(const ClientConfig& config) : config_(config) {}
  Result<void> run();

 private:
  Result<void> open();
  std::unique_ptr<Pdp> make_pdp();
  std::unique_ptr<Pdp> make_embedded_pdp();
  Result<void> start_api();
  void await_signal();
  asio::awaitable<void> stop();

  const ClientConfig config_;
  AgentMetrics metrics_;
  std::unique_ptr<TlsSource> tls_;
  std::unique_ptr<SqliteStore> store_;
  std::optional<StagingFiles> staging_;

  // Destroyed in reverse: whoever uses a pool or a context goes before it.
  asio::io_context context_{1};
  asio::io_context http_context_;
  asio::thread_pool pdp_pool_{1};
  asio::thread_pool api_pool_{2};
  std::optional<OffloadPool> store_worker_, staging_worker_;
  asio::signal_set signals_{context_, SIGTERM, SIGINT, SIGHUP};
  std::unique_ptr<rego::ModelChecker> checker_;  // for the PDPs that read files
  std::unique_ptr<Pdp> pdp_;
  OpaPdp* opa_ = nullptr;  // pdp_, when it is one
  std::unique_ptr<AgentHost> host_;
  SystemRandom random_;
  std::unique_ptr<IdentityKeeper> keeper_;
  std::optional<ClockWatch> clock_;
  std::optional<DecisionService> decisions_;
  std::optional<Api> api_;
  std::unique_ptr<http::Server> server_;
  std::vector<std::thread> http_threads_;
};

std::unique_ptr<Pdp> Client::make_pdp() {
  const auto executor = context_.get_executor();
  if (config_.pdp == PdpKind::kEmbedded) return make_embedded_pdp();
  checker_ = std::make_unique<rego::ProcessChecker>(
      rego::CheckerOptions{.worker = config_.embedded.engine.worker});
  if (config_.pdp == PdpKind::kFolder)
    return std::make_unique<FolderPdp>(executor, pdp_pool_, *checker_, config_.folder);
  auto opa = std::make_unique<OpaPdp>(executor, pdp_pool_, *checker_, config_.opa);
  opa_ = opa.get();
  return opa;
}

std::unique_ptr<Pdp> Client::make_embedded_pdp() {
  auto pdp = std::make_unique<EmbeddedPdp>(context_.get_executor(), http_context_.get_executor(),
                                           pdp_pool_, config_.embedded);
  pdp->on_quarantine([this](const PdpQuarantine& quarantine) {
    log::warn(
        quarantine.ended ? "path_free_again" : "path_quarantined",
        {{"ledger", quarantine.ledger}, {"path", quarantine.path}, {"reason", quarantine.reason}});
    if (const auto ledger = LedgerId::parse(quarantine.ledger))
      host_->path_quarantined(*ledger, quarantine.path,
                              quarantine.ended ? std::string() : quarantine.reason);
  });
  return pdp;
}

Result<void> Client::open() {
  NOTP_ASSIGN(Bytes pinned_root, read_file(config_.root, limits::kEnvelopeBytesMax));
  NOTP_ASSIGN(tls_, TlsSource::open(config_.tls, Side::kClient));
  if (const auto& identity = tls_->current()->identity(); !identity)
    log::write(log::Level::kError, "own_certificate_unusable", identity.error(),
               {{"file", config_.tls.certificate.string()}});
  NOTP_ASSIGN(store_, SqliteStore::open(config_.data_dir, config_.releases_kept));
  store_worker_.emplace(1);
  staging_.emplace(config_.data_dir);
  staging_worker_.emplace(1);
  pdp_ = make_pdp();
  AgentHostOptions options = config_.host;
  options.on_answer = [this](const wire::Answer& answer) { keeper_->on_answer(answer); };
  options.on_status = [this](const AgentStatus& status) { metrics_.update(status); };
  host_ = std::make_unique<AgentHost>(context_.get_executor(), std::move(options), config_.agent,
                                      AgentParts{.store = *store_,
                                                 .store_worker = *store_worker_,
                                                 .staging = *staging_,
                                                 .staging_worker = *staging_worker_,
                                                 .pdp = *pdp_,
                                                 .tls = *tls_,
                                                 .pinned_root = std::move(pinned_root)});
  keeper_ = std::make_unique<IdentityKeeper>(
      context_.get_executor(), *tls_, config_.renew, random_,
      IdentityKeeperHooks{
          .ask = [this](const wire::Query& query) { return host_->ask(query); },
          .trusts_registry = [this](const TlsContext& tls) { return host_->trusts_registry(tls); },
          .recheck = [this] { host_->recheck_registry(); }});
  return {};
}

Result<void> Client::start_api() {
  ApiParts parts;
  decisions_.emplace(*pdp_, *metrics_.registry());
  parts.decisions = &*decisions_;
  parts.health = [this] { return health_of(*host_->status()); };
  parts.status = [this] { return status_json(*host_->status()); };
  parts.metrics = metrics_.registry();
  if (opa_) {
    parts.opa_bundle = [this](const http::Request& r) { return opa_->bundle_request(r); };
    parts.opa_status = [this](const http::Request& r) { return opa_->status_post(r); };
  }
  api_.emplace(ApiOptions{}, std::move(parts), api_pool_);
  const http::TcpEndpoint endpoint{
      .address = config_.listen.host == "localhost" ? "127.0.0.1" : config_.listen.host,
      .port = config_.listen.port};
  NOTP_ASSIGN(server_, http::Server::listen(http_context_.get_executor(), endpoint, {.name = "api"},
                                            api_->handler()));
  const std::string address = show_address(endpoint.address, server_->port());
  if (!config_.port_file.empty()) NOTP_TRY(write_file(config_.port_file, address + "\n"));
  log::info("serving", {{"listen", address},
                        {"pdp", pdp_->kind()},
                        {"registry", config_.host.registry},
                        {"ledgers", config_.agent.ledgers.size()},
                        {"version", NOTP_VERSION}});
  const size_t threads =
      std::clamp<size_t>(std::thread::hardware_concurrency(), 1, kHttpThreadsMax);
  for (size_t i = 0; i < threads; ++i) http_threads_.emplace_back([this] { http_context_.run(); });
  return {};
}

Result<void> Client::run() {
  NOTP_TRY(open());
  if (auto started = host_->start(); !started)
    return std::unexpected(std::move(started).error().in(fmt::format(
        "with root {} and data folder {}", config_.root.string(), config_.data_dir.string())));
  NOTP_TRY(start_api());
  await_signal();
  keeper_->start();
  clock_.emplace(context_.get_executor(), [this] {
    host_->clock_set();
    keeper_->look();
  });
  context_.run();
  http_context_.stop();
  for (std::thread& thread : http_threads_) thread.join();
  log::info("stopped");
  return {};
}

void Client::await_signal() {
  signals_.async_wait([this](boost::system::error_code error, int signal) {
    if (error) return;
    if (signal != SIGHUP) {
      log::info("stopping", {{"signal", signal}});
      return spawn(context_.get_executor(), stop());
    }
    keeper_->look();
    await_signal();
  });
}

asio::awaitable<void> Client::stop() {
  keeper_->stop();
  clock_->stop();
  server_->stop(kHttpGraceMs);
  co_await host_->stop();
  store_worker_->join();
  staging_worker_->join();
  context_.stop();
}

}  // namespace

Result<void> run_client(const ClientConfig& config) { return Client(config).run(); }

Result<std::string> reset_clock(const ClientConfig& config) {
  std::error_code ignored;
  if (!std::filesystem::exists(config.data_dir, ignored))
    return fail(ErrorCode::kNotFound,
                fmt::format("there is no data folder {}: no agent has run with this configuration",
                            config.data_dir.string()));
  NOTP_ASSIGN(const auto store, SqliteStore::open(config.data_dir, config.releases_kept));
  NOTP_ASSIGN(const StoreState before, store->load());
  const TimeMs wall_ms = read_clock().wall_ms;
  NOTP_TRY(store->reset_clock(wall_ms));
  return fmt::format(
      "the latest time that this node had seen was {}; now it is {}, the wall clock's\n"
      "ages of releases count from here on by this clock: make sure that it is right before the "
      "agent starts, and let the agent reach its registry\n",
      utc_time(before.high_water_ms), utc_time(wall_ms));
}

Result<std::string> opa_config_of(const ClientConfig& config) {
  if (config.listen.port != 0)
    return opa_config("http://" + show_address(config.listen.host, config.listen.port));
  auto address = config.port_file.empty() ? fail(ErrorCode::kNotFound, "no port_file is configured")
                                          : read_file(config.port_file, kPortFileBytesMax);
  if (!address)
    return fail(ErrorCode::kConfig,
                "listen has port 0: start the agent with a port_file first, so that its port is "
                "known (" +
                    address.error().message + ")");
  while (address->ends_with('\n')) address->pop_back();
  return opa_config("http://" + *address);
}

}  // namespace notp
