#include "notp-server/app/app.hpp"

#include <fmt/format.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "common/asio/clock_watch.hpp"
#include "common/asio/file_watch.hpp"
#include "common/rego/host/process_checker.hpp"
#include "common/storage/files.hpp"
#include "common/storage/private_files.hpp"
#include "common/storage/read_only_disk.hpp"
#include "common/systemd/heartbeat.hpp"
#include "common/telemetry/traces.hpp"
#include "notp-server/admin_http/admin_http.hpp"
#include "notp-server/admin_http/health_routes.hpp"
#include "notp-server/app/descriptors.hpp"
#include "notp-server/app/health_readouts.hpp"
#include "notp-server/app/memory_return.hpp"
#include "notp-server/app/open_lanes.hpp"
#include "notp-server/app/open_sources.hpp"
#include "notp-server/app/open_tree.hpp"
#include "notp-server/app/setup_check.hpp"
#include "notp-server/app/status_line.hpp"
#include "notp-server/audit/audit_metrics.hpp"
#include "notp-server/audit/day_files.hpp"
#include "notp-server/audit/erasure.hpp"
#include "notp-server/audit/recompression.hpp"
#include "notp-server/audit/retention.hpp"
#include "notp-server/audit_tree/tree_metrics.hpp"
#include "notp-server/authz/deny_list_metrics.hpp"
#include "notp-server/enroll/enroll_listener.hpp"
#include "notp-server/enroll/enroll_metrics.hpp"
#include "notp-server/fleet/fleet_metrics.hpp"
#include "notp-server/publish/upload_budget.hpp"
#include "notp-server/recovery/recovery.hpp"
#include "notp-server/recovery/recovery_metrics.hpp"
#include "notp-server/registry/git_registry.hpp"
#include "notp-server/registry/snapshot_metrics.hpp"
#include "notp-server/service/release_terms.hpp"
#include "notp-server/service/service_metrics.hpp"
#include "notp-server/sources/sources_metrics.hpp"
#include "notp-server/trust/freshness_signer.hpp"
#include "notp-server/trust/root_expiry_log.hpp"
#include "notp-server/trust/root_store.hpp"
#include "notp-server/trust/trust_metrics.hpp"
#include "protocol/serve/artifact_metrics.hpp"

namespace notp::server {
namespace {

namespace asio = boost::asio;

constexpr const char* kFleetFile = "fleet.db";
constexpr const char* kJoinTokensFile = "join-tokens.db";
constexpr const char* kCopies = "copies";      // of the databases
constexpr const char* kAuditCopies = "audit";  // below it
// A root that arrived in a session is checked within this time.
constexpr TimeMs kRootLookMs = 3600LL * 1000;

class Server {
 public:
  Server(const ServerConfig& config, std::filesystem::path config_file, Environment environment,
         systemd::Notifier notifier)
      : config_(config),
        config_file_(std::move(config_file)),
        environment_(std::move(environment)),
        notifier_(std::move(notifier)),
        rights_(std::make_shared<const authz::RightsTable>(config.rights)),
        artifacts_(config.artifact_cache_bytes, config.artifact_recompress_level) {
    signals_.add(SIGUSR1);
  }

  Result<void> run();

 private:
  Result<void> open();
  Result<service::ServiceOptions> options_within_descriptors() const;
  Result<void> open_enrollment();
  Result<void> open_audit();
  void open_erasure();
  Result<void> start_enrollment(const std::string& registry_address);
  void add_metrics();
  Result<void> start_admin_http();
  void start_heartbeat();
  std::string status_text() const;
  void await_signal();
  void copy_stores();
  Result<void> write_copies() const;
  void look_at_root();
  void watch_files(const ServerConfig& current);
  // `asked`: on an operator's request, which is confirmed in the log; files may be rewritten at any
  // time.
  void reload(bool asked = false);
  void reload_certificates();
  void reload_enrollment();
  void reload_config(bool asked);
  void reload_freshness(const trust::FreshnessOptions& options);
  void reload_root(const std::filesystem::path& file);

  const ServerConfig config_;
  const std::filesystem::path config_file_;
  const Environment environment_;
  systemd::Notifier notifier_;
  AtomicShared<authz::RightsTable> rights_;
  serve::ArtifactCache artifacts_;
  std::unique_ptr<registry::GitRegistry> registry_;
  std::unique_ptr<publish::PendingStore> pending_;
  std::unique_ptr<publish::UploadBudget> uploads_;
  std::unique_ptr<trust::RootStore> roots_;
  std::unique_ptr<recovery::Recovery> recovery_;
  std::unique_ptr<trust::FreshnessSigner> freshness_;
  std::unique_ptr<fleet::Fleet> fleet_;
  std::unique_ptr<transport::TlsSource> tls_;
  std::unique_ptr<rego::ModelChecker> engine_;
  std::unique_ptr<service::WorkPools> pools_;
  std::unique_ptr<authz::DenyList> denied_;
  std::unique_ptr<enroll::NodeCa> node_ca_;
  std::unique_ptr<enroll::JoinTokens> tokens_;
  std::unique_ptr<enroll::Enrollment> enrollment_;
  MetricsRegistry metrics_;
  audit::QueryMetrics audit_queries_{*metrics_.families()};
  audit::FaultMetrics audit_faults_{*metrics_.families()};
  Traces traces_{"notp-server", environment_, SpanCounters(metrics_.families(), "notp_"),
                 log_trace_report};
  std::unique_ptr<audit::DayFiles> audit_store_;
  std::unique_ptr<audit::RegistryTree> tree_;     // null: records are only read
  std::unique_ptr<audit::LogWriter> log_writer_;  // the same
  std::unique_ptr<service::RegistryLogIntake> log_intake_;
  std::unique_ptr<audit::AuditSearch> audit_search_;
  std::unique_ptr<service::ReleaseTerms> release_terms_;
  std::unique_ptr<audit::Removals> removals_;  // null without a tree, like the next two
  std::unique_ptr<audit::Erasure> erasure_;
  std::unique_ptr<audit::RetentionThread> retention_;
  std::unique_ptr<sources::Sources> sources_;  // null: none are configured
  std::unique_ptr<OpenLanes> lanes_;           // the same
  std::unique_ptr<service::Service> service_;

  asio::io_context context_{1};
  asio::signal_set signals_{context_, SIGTERM, SIGINT, SIGHUP};
  FileWatch files_{context_.get_executor(), [this] { reload(); }};
  std::optional<ClockWatch> clock_;
  std::optional<systemd::Heartbeat> heartbeat_;
  trust::RootExpiryLog root_expiry_;
  asio::steady_timer root_look_{context_};
  MemoryReturn memory_return_{context_.get_executor(), [this] {
                                registry_->drop_unused_snapshots();
                                artifacts_.drop_superseded();
                              }};
  std::optional<admin_http::RegistryHealthRoutes> health_routes_;
  std::optional<admin_http::AdminHttp> admin_http_;
  std::unique_ptr<enroll::EnrollListener> enroll_listener_;
  bool is_volatile_ = false;                      // the data folder's disk takes no writes
  std::string certificate_error_, config_error_;  // logged once while they last
};

Result<void> Server::open() {
  const SetupReport setup = check_setup(config_, read_clock().wall_ms);
  NOTP_TRY(setup.may_start());
  setup.log_rest();
  NOTP_TRY(make_private_folder(config_.data_dir));
  NOTP_ASSIGN(tls_, transport::TlsSource::open(config_.tls, transport::Side::kServer));
  is_volatile_ = is_on_read_only_disk(config_.data_dir);
  if (is_volatile_)
    log::warn("data_dir_is_read_only",
              {{"data_dir", config_.data_dir.string()},
               {"message",
                "this registry serves what is there; nothing can be published, withdrawn or "
                "enrolled, and the list of nodes ends with the process"}});
  NOTP_ASSIGN(registry_,
              registry::GitRegistry::open(config_.data_dir, config_.snapshot_memory_bytes));
  for (const registry::LedgerDamage& damage : registry_->damaged())
    log::write(log::Level::kError, "ledger_damaged", damage.error,
               {{"ledger", damage.ledger.text()}});
  NOTP_ASSIGN(pending_, publish::PendingStore::open(config_.data_dir / "pending"));
  uploads_ = std::make_unique<publish::UploadBudget>(config_.data_dir / "uploads");
  NOTP_ASSIGN(roots_, trust::RootStore::open(config_.data_dir / "roots", config_.root,
                                             config_.trust_domain, read_clock().wall_ms));
  NOTP_ASSIGN(recovery_,
              recovery::Recovery::open(
                  {.registry = *registry_, .roots = *roots_, .data_dir = config_.data_dir}));
  freshness_ = std::make_unique<trust::FreshnessSigner>(
      *registry_, *roots_,
      [&recovery = *recovery_](const model::LedgerId& ledger) { return recovery.attests(ledger); });
  NOTP_TRY(freshness_->configure(config_.freshness));
  freshness_->log_key_state();
  NOTP_ASSIGN(fleet_, fleet::Fleet::open(config_.data_dir / kFleetFile));
  pools_ = std::make_unique<service::WorkPools>(config_.service.workers,
                                                config_.service.validations_at_once);
  engine_ = std::make_unique<rego::ProcessChecker>(
      rego::CheckerOptions{.worker = config_.validation_worker});
  if (config_.deny_list) {
    denied_ = std::make_unique<authz::DenyList>(*config_.deny_list);
    NOTP_TRY(denied_->load(*registry_));
  }
  // A used token would be forgotten when this process ends, and could be used again.
  if (config_.enroll && !is_volatile_) NOTP_TRY(open_enrollment());
  NOTP_TRY(open_audit());
  NOTP_ASSIGN(sources_, open_sources(config_, is_volatile_, *registry_, *roots_, environment_));
  const OpenLanesParts lanes{*registry_, sources_.get(), denied_.get(), environment_, metrics_};
  NOTP_ASSIGN(lanes_, OpenLanes::open(config_, is_volatile_, lanes));
  NOTP_ASSIGN(service::ServiceOptions service_options, options_within_descriptors());
  service_options.facts.deny_list = config_.deny_list;
  service_ = std::make_unique<service::Service>(
      service::ServiceParts{.registry = *registry_,
                            .artifacts = artifacts_,
                            .fleet = *fleet_,
                            .tls = *tls_,
                            .pools = *pools_,
                            .engine = *engine_,
                            .rights = rights_,
                            .pending = *pending_,
                            .uploads = *uploads_,
                            .roots = *roots_,
                            .freshness = *freshness_,
                            .recovery = *recovery_,
                            .denied = denied_.get(),
                            .enrollment = enrollment_.get(),
                            .logs = log_intake_.get(),
                            .audit = audit_search_.get(),
                            .tree = tree_.get(),
                            .erasure = erasure_.get(),
                            .sources = sources_.get(),
                            .lanes = lanes_ ? &lanes_->lanes() : nullptr,
                            .tracer = &traces_.tracer(),
                            .info = {.server = "notp-server/" NOTP_VERSION,
                                     .trust_domain = config_.trust_domain,
                                     .peer = {}}},
      service_options);
  return {};
}

Result<service::ServiceOptions> Server::options_within_descriptors() const {
  NOTP_ASSIGN(const size_t descriptors, raise_descriptor_limit());
  service::ServiceOptions options = config_.service;
  NOTP_ASSIGN(options.serve.limits, within_descriptors(options.serve.limits, descriptors));
  return options;
}

Result<void> Server::open_enrollment() {
  const enroll::EnrollConfig& config = *config_.enroll;
  auto authority = enroll::NodeCa::open(config.authority);
  if (!authority) return std::unexpected(std::move(authority).error().in("enroll"));
  node_ca_ = *std::move(authority);
  NOTP_ASSIGN(tokens_, enroll::JoinTokens::open(config_.data_dir / kJoinTokensFile));
  enrollment_ = std::make_unique<enroll::Enrollment>(
      config_.trust_domain,
      enroll::EnrollmentParts{
          .tokens = *tokens_,
          .authority = *node_ca_,
          .denied = denied_.get(),
          // Only the newest root: a node pins it, and later ones follow over the session.
          .roots =
              [this] {
                std::vector<Bytes> out;
                for (const session::CatalogRoot& root : roots_->after(roots_->newest() - 1))
                  out.push_back(*root.envelope);
                return out;
              },
          .replaced =
              [this](const std::string& identity) { service_->recheck_sessions_of(identity); }});
  transport::TlsFiles tls = config_.tls;
  tls.authorities = config.authority.authorities;
  auto listener = enroll::EnrollListener::open(context_.get_executor(),
                                               {.listen = config.listen, .tls = std::move(tls)},
                                               *enrollment_, pools_->orders);
  if (!listener) return std::unexpected(std::move(listener).error().in("enroll"));
  enroll_listener_ = *std::move(listener);
  return {};
}

Result<void> Server::open_audit() {
  if (!config_.audit.enabled) return {};
  const std::filesystem::path& folder = config_.audit.folder;
  const bool is_read_only = is_volatile_ || is_on_read_only_disk(folder);
  std::error_code ignored;
  if (is_read_only) {
    log::warn("audit_is_read_only",
              {{"folder", folder.string()},
               {"message",
                "nodes keep the records of their decisions until this registry takes "
                "them"}});
    if (!std::filesystem::exists(folder, ignored)) return {};
  }
  auto store = audit::DayFiles::open(folder, {.read_only = is_read_only});
  if (!store) return std::unexpected(std::move(store).error().in("audit"));
  audit_store_ = *std::move(store);
  audit_search_ = std::make_unique<audit::AuditSearch>(
      *audit_store_, audit::AuditSearchOptions{
                         .observe = [this](TimeMs took_ms) { audit_queries_.observe(took_ms); }});
  if (is_read_only) return {};
  NOTP_ASSIGN(tree_, open_tree(config_, tls_->current(), *audit_store_, environment_));
  if (tree_) tree_->start();
  log_writer_ = std::make_unique<audit::LogWriter>(
      *audit_store_, audit::LogWriterOptions{
                         .on_fault = [this](audit::FaultKind kind) { audit_faults_.count(kind); },
                         .tree = tree_ ? &tree_->writer() : nullptr});
  log_intake_ =
      std::make_unique<service::RegistryLogIntake>(*log_writer_, *fleet_, read_clock, tree_.get());
  NOTP_TRY(log_writer_->start());
  open_erasure();
  return {};
}

// What is deleted is stated in the tree first: without one nothing is.
void Server::open_erasure() {
  if (!tree_) return;
  release_terms_ = std::make_unique<service::ReleaseTerms>(*registry_);
  const audit::FindTerms find_terms = [this](const trust::ReleaseRef& release) {
    return release_terms_->find(release);
  };
  removals_ = std::make_unique<audit::Removals>(*audit_store_, tree_->writer());
  erasure_ = std::make_unique<audit::Erasure>(*removals_, find_terms, audit::ErasureOptions{});
  const auto rate = std::make_shared<audit::ArrivalRate>();
  retention_ = std::make_unique<audit::RetentionThread>(
      *removals_, find_terms,
      audit::RetentionOptions{.days_min = config_.audit.retain_days_min,
                              .is_busy =
                                  [this, rate] {
                                    return rate->is_high(log_writer_->counters().segments,
                                                         read_clock().boot_ms);
                                  },
                              .recompresses = config_.audit.recompress});
  retention_->start();
}

Result<void> Server::start_enrollment(const std::string& registry_address) {
  if (!enroll_listener_) return {};
  const enroll::EnrollConfig& config = *config_.enroll;
  const std::string listening = enroll_listener_->address();
  enrollment_->tell({.enroll = config.address.empty() ? listening : config.address,
                     .registry = config.registry.empty() ? registry_address : config.registry,
                     .authority = enroll_listener_->authority()});
  log::info("enrolling", {{"listen", listening}, {"address", enrollment_->address()}});
  if (config.port_file.empty()) return {};
  return write_file(config.port_file, listening + "\n");
}

Result<void> Server::run() {
  watch_files(config_);
  NOTP_TRY(open());
  NOTP_TRY(start_admin_http());
  NOTP_ASSIGN(const std::string address, service_->start());
  NOTP_TRY(start_enrollment(address));
  if (lanes_) NOTP_TRY(lanes_->listen());
  if (!config_.port_file.empty()) {
    // Health first: a process that waits for this file finds everything listening.
    NOTP_TRY(write_file(config_.port_file, address + "\n"));
  }
  log::info("serving", {{"listen", address},
                        {"trust_domain", config_.trust_domain},
                        {"ledgers", registry_->ledgers().size()},
                        {"root_version", roots_->newest()},
                        {"program_version", NOTP_VERSION}});
  await_signal();
  clock_.emplace(context_.get_executor(), [this] {
    service_->clock_set();
    look_at_root();
  });
  look_at_root();
  start_heartbeat();
  memory_return_.start();
  notifier_.ready();
  context_.run();
  artifacts_.stop_recompressing();
  if (lanes_) lanes_->stop();
  service_->stop();
  traces_.stop();
  log::info("stopped");
  return {};
}

// One line for each component.
void Server::add_metrics() {
  add_program_metrics(metrics_);
  service::add_service_metrics(metrics_, *service_);
  fleet::add_fleet_metrics(metrics_, *fleet_, [this] { return newest_releases(*registry_); });
  if (denied_) authz::add_deny_list_metrics(metrics_, *denied_);
  if (enrollment_) enroll::add_enrollment_metrics(metrics_, *enrollment_);
  if (log_writer_) audit::add_intake_metrics(metrics_, log_writer_->counters());
  if (tree_) audit::add_tree_metrics(metrics_, *tree_);
  if (log_writer_) audit::add_lag_metric(metrics_, [this] { return fleet_->log_lag_since_ms(); });
  if (sources_) sources::add_sources_metrics(metrics_, *sources_);
  trust::add_trust_metrics(metrics_, *roots_, *freshness_);
  recovery::add_recovery_metrics(metrics_, *recovery_);
  serve::add_artifact_metrics(metrics_, artifacts_,
                              [this] { return service_->artifacts_joined(); });
  registry::add_snapshot_metrics(metrics_, [this] { return registry_->snapshot_counters(); });
}

Result<void> Server::start_admin_http() {
  if (config_.health_listen.empty()) return {};
  add_metrics();
  health_routes_.emplace(
      admin_http::RegistryHealthParts{.roots = *roots_,
                                      .registry = *registry_,
                                      .freshness = *freshness_,
                                      .recovery = recovery_health(*recovery_),
                                      .sources = sources_health(sources_.get()),
                                      .lanes = lanes_health(lanes_ ? &lanes_->lanes() : nullptr),
                                      .is_volatile = is_volatile_});
  admin_http_.emplace(metrics_);
  health_routes_->add_to(admin_http_->router());
  return admin_http_->listen(context_.get_executor(), config_.health_listen);
}

void Server::start_heartbeat() {
  std::vector<systemd::Heartbeat::Loop> loops;
  for (const auto& loop : service_->loops())
    loops.push_back({fmt::format("sessions {}", loops.size() + 1), loop});
  heartbeat_.emplace(context_.get_executor(), notifier_, std::move(loops),
                     [this] { return status_text(); });
  heartbeat_->start();
}

std::string Server::status_text() const {
  const auto root = roots_->current();
  return status_line({.ledgers = registry_->ledgers().size(),
                      .damaged = registry_->damaged().size(),
                      .peers = service_->session_counters().sessions,
                      .root_version = root->version,
                      .freshness_key = freshness_->key_state(),
                      .is_read_only = is_volatile_,
                      .root_expiry = trust::root_expiry_text(*root, read_clock().wall_ms)});
}

void Server::await_signal() {
  signals_.async_wait([this](boost::system::error_code error, int signal) {
    if (error) return;
    if (signal == SIGHUP) {
      notifier_.reloading();
      reload(true);
      notifier_.reloaded();
      return await_signal();
    }
    if (signal == SIGUSR1) {
      copy_stores();
      return await_signal();
    }
    log::info("stopping", {{"signal", signal}});
    notifier_.stopping();
    heartbeat_->stop();
    files_.stop();
    clock_->stop();
    root_look_.cancel();
    memory_return_.stop();
    if (admin_http_) admin_http_->stop();
    if (enroll_listener_) enroll_listener_->stop();
  });
}

// For a backup: no other process can read an open database. Ledgers and roots can be read in place.
void Server::copy_stores() {
  asio::post(pools_->orders.executor(), [this] {
    if (const auto copied = write_copies(); !copied) {
      // For the process that waits for the copies.
      std::ignore = write_file(config_.data_dir / kCopies / "failed", copied.error().message, 0600);
      return log::write(log::Level::kError, "stores_not_copied", copied.error());
    }
    log::info("stores_copied", {{"folder", (config_.data_dir / kCopies).string()}});
  });
}

// Copies the fleet's database last: a process that waits for it has all.
Result<void> Server::write_copies() const {
  const std::filesystem::path folder = config_.data_dir / kCopies;
  NOTP_TRY(make_private_folder(folder));
  if (tokens_) NOTP_TRY(tokens_->copy_to(folder / kJoinTokensFile));
  if (audit_store_) {
    NOTP_TRY(make_private_folder(folder / kAuditCopies));
    NOTP_TRY(audit_store_->copy_to(folder / kAuditCopies));
    // After the store: what is deleted there is stated here.
    if (tree_) NOTP_TRY(tree_->copy_to(folder / kAuditCopies / audit::kTreeFile));
  }
  if (lanes_) NOTP_TRY(lanes_->lanes().copy_to(folder / lane::kLanesFolder));
  return fleet_->copy_to(folder / kFleetFile);
}

// The timer uses steady time, so that the wall clock is checked again before it can have moved far.
void Server::look_at_root() {
  const TimeMs now_ms = read_clock().wall_ms;
  const auto root = roots_->current();
  root_expiry_.look(*root, now_ms);
  const TimeMs next_ms = trust::next_root_expiry_ms(root->expires_ms, now_ms);
  root_look_.expires_after(std::chrono::milliseconds(
      next_ms == kNever ? kRootLookMs : std::min(next_ms - now_ms, kRootLookMs)));
  root_look_.async_wait([this](boost::system::error_code error) {
    if (!error) look_at_root();
  });
}

// Operators replace certificates with tools that send no signal. Watching a file before it is read
// means that no change is missed.
void Server::watch_files(const ServerConfig& current) {
  std::vector<std::filesystem::path> files = {config_file_, config_.tls.certificate,
                                              config_.tls.private_key, config_.tls.authorities};
  if (config_.enroll)
    for (const auto& file :
         {config_.enroll->authority.certificate, config_.enroll->authority.private_key,
          config_.enroll->authority.authorities})
      files.push_back(file);
  for (const auto& file :
       {current.root, current.freshness.private_key, current.tls.built_in_authorities})
    if (!file.empty()) files.push_back(file);
  std::ranges::copy(config_.lane_inputs.files(), std::back_inserter(files));
  files_.watch(files);
}

void Server::reload(bool asked) {
  reload_config(asked);  // sets whose certificates count
  reload_certificates();
  reload_enrollment();
  if (lanes_) lanes_->reload();
}

// A key that is written after its certificate is loaded with the next change.
void Server::reload_certificates() {
  const auto fresh = tls_->reload();
  if (!fresh) {
    if (fresh.error().message != std::exchange(certificate_error_, fresh.error().message))
      log::write(log::Level::kError, "certificates_not_reloaded", fresh.error());
    return;
  }
  certificate_error_.clear();
  if (!*fresh) return;
  log::info("certificates_reloaded");
  service_->recheck_sessions();
}

void Server::reload_enrollment() {
  if (!enroll_listener_) return;
  auto fresh = node_ca_->reload();
  if (fresh) fresh = enroll_listener_->reload();
  if (!fresh) return log::write(log::Level::kError, "enrollment_not_reloaded", fresh.error());
  enroll::EnrollmentAddresses addresses = enrollment_->addresses();
  addresses.authority = enroll_listener_->authority();
  enrollment_->tell(std::move(addresses));
}

void Server::reload_config(bool asked) {
  const auto config = ServerConfig::load(config_file_, environment_);
  if (!config) {
    if (config.error().message != std::exchange(config_error_, config.error().message))
      log::write(log::Level::kError, "configuration_not_reloaded", config.error());
    return;
  }
  config_error_.clear();
  watch_files(*config);
  tls_->set_identities(config->tls.identities, config->tls.built_in_authorities);
  reload_root(config->root);
  reload_freshness(config->freshness);
  const bool changed = rights_.get()->rules() != config->rights;
  rights_.set(std::make_shared<const authz::RightsTable>(config->rights));
  if (changed || asked) log::info("rights_reloaded", {{"rules", config->rights.size()}});
  // Sessions that lost a right to an open ledger learn of it with the next statement.
  if (changed) service_->freshness_due();
}

void Server::reload_root(const std::filesystem::path& file) {
  const auto grown = roots_->adopt(file, read_clock().wall_ms);
  if (!grown) return log::write(log::Level::kError, "root_not_reloaded", grown.error());
  if (!*grown) return;
  log::info("root_published", {{"file", file.string()}, {"root_version", roots_->newest()}});
  look_at_root();
  service_->roots_changed();
}

void Server::reload_freshness(const trust::FreshnessOptions& options) {
  const auto changed = freshness_->configure(options);
  if (!changed)
    return log::write(log::Level::kError, "freshness_key_not_reloaded", changed.error());
  freshness_->log_key_state();
  if (*changed) service_->freshness_due();
}

}  // namespace

Result<void> run_server(const ServerConfig& config, const std::filesystem::path& config_file,
                        const Environment& environment, systemd::Notifier notifier) {
  return Server(config, config_file, environment, std::move(notifier)).run();
}

}  // namespace notp::server
