#include "tools/bench/notp_arm.hpp"

#include <fmt/format.h>
#include <poll.h>

#include "common/files.hpp"
#include "common/json.hpp"
#include "tools/notp/registry_client.hpp"
#include "tools/notp/root_chain.hpp"

namespace notp::bench {
namespace {

constexpr std::string_view kDomain = "bench.internal";
constexpr std::string_view kLedger = "100000000000/workload";
constexpr TimeMs kCliMs = 600'000, kStartMs = 60'000, kActiveMs = 300'000, kStopMs = 30'000;
constexpr int kPollMs = 5;
constexpr uint32_t kNodesMax = 16;

}  // namespace

// The registry's own word on who runs what, asked beside the proxy.
struct NotpArm::Admin {
  cli::Settings settings;
  LedgerId ledger;
  cli::RootPtr root;

  Result<std::unique_ptr<cli::RegistryClient>> connect() const {
    return cli::RegistryClient::connect(settings, std::string(kDomain), root->version, {});
  }
};

NotpArm::NotpArm(NotpArmOptions options) : options_(std::move(options)) {}

NotpArm::~NotpArm() = default;

Result<std::unique_ptr<NotpArm>> NotpArm::start(CountingProxy& proxy, NotpArmOptions options) {
  std::unique_ptr<NotpArm> arm(new NotpArm(std::move(options)));
  NOTP_TRY(make_folders(arm->folder_ / "home"));
  NOTP_TRY(arm->make_trust_domain());
  NOTP_TRY(arm->start_server());
  NOTP_ASSIGN(arm->push_route_, proxy.add_route(arm->server_port_, /*is_tls=*/true));
  NOTP_ASSIGN(arm->pull_route_, proxy.add_route(arm->server_port_, /*is_tls=*/true));
  NOTP_ASSIGN(arm->push_agent_, arm->make_agent("push", arm->push_route_->port()));
  NOTP_ASSIGN(arm->pull_agent_, arm->make_agent("pull", arm->pull_route_->port()));
  NOTP_TRY(arm->open_admin());
  return arm;
}

Result<void> NotpArm::open_admin() {
  admin_ = std::make_unique<Admin>();
  cli::Settings& settings = admin_->settings;
  settings.registry = fmt::format("127.0.0.1:{}", server_port_);
  settings.certificate = folder_ / "pki/bench-admin.crt";
  settings.key = folder_ / "pki/bench-admin.key";
  settings.ca = folder_ / "pki/ca.crt";
  settings.root = folder_ / "root.envelope";
  NOTP_ASSIGN(admin_->ledger, LedgerId::parse(kLedger));
  NOTP_ASSIGN(const cli::RootChain chain, cli::RootChain::load(settings, {}));
  admin_->root = chain.newest();
  return {};
}

Result<AgentArm> NotpArm::make_agent(const std::string& node, uint16_t registry_port) const {
  return AgentArm::make(options_.programs, folder_,
                        {.node = node,
                         .registry = registry_port,
                         .trust_domain = std::string(kDomain),
                         .ledger = std::string(kLedger)});
}

Result<std::string> NotpArm::cli(std::vector<std::string> words) const {
  Command command;
  command.words = {(options_.programs / "notp").string()};
  std::ranges::move(words, std::back_inserter(command.words));
  command.folder = folder_;
  // A home of its own: what the CLI keeps between calls is part of what is measured.
  const std::string home = (folder_ / "home").string();
  command.environment = {{"HOME", home}, {"XDG_CACHE_HOME", home}, {"XDG_CONFIG_HOME", home}};
  return run(command, kCliMs);
}

Result<void> NotpArm::make_trust_domain() const {
  const std::string domain(kDomain), ledger(kLedger);
  for (const char* key : {"root", "signing"}) NOTP_TRY(cli({"keygen", "--out", key}));
  NOTP_TRY(cli({"root", "init", "--trust-domain", domain, "--root-key", "root.key", "--publisher",
                ledger + "=signing.pub", "--out", "root.envelope"}));
  NOTP_TRY(cli({"pki", "init", "pki", "--trust-domain", domain}));
  for (const auto& [role, name] : {std::pair{"--registry", "main"},
                                   {"--publisher", "bench"},
                                   {"--admin", "bench-admin"},
                                   {"--node", "push"},
                                   {"--node", "pull"}})
    NOTP_TRY(cli({"pki", "issue", "pki", role, name}));
  return {};
}

Result<void> NotpArm::start_server() {
  NOTP_TRY(write_file(folder_ / "server.yaml",
                      fmt::format("trust_domain: {}\n"
                                  "listen: 127.0.0.1:0\n"
                                  "port_file: server.port\n"
                                  "data_dir: server\n"
                                  "root: root.envelope\n"
                                  "tls: {{certificate: pki/main.crt, key: pki/main.key, "
                                  "ca: pki/ca.crt}}\n"
                                  "rights:\n"
                                  "  - {{identity: node/*, ledgers: ['*/*'], actions: [read]}}\n"
                                  "  - {{identity: publisher/*, ledgers: ['*/*'], "
                                  "actions: [read, publish]}}\n"
                                  "  - {{identity: admin/*, ledgers: ['*/*'], "
                                  "actions: [read, fleet]}}\n",
                                  kDomain)));
  Command command;
  command.words = {(options_.programs / "notp-server").string(), "--config", "server.yaml"};
  command.folder = folder_;
  command.log = folder_ / "server.log";
  NOTP_ASSIGN(server_, Child::start(command));
  const TimeMs deadline_ms = read_clock().boot_ms + kStartMs;
  std::error_code ignored;
  while (!std::filesystem::exists(folder_ / "server.port", ignored)) {
    if (server_->poll() || read_clock().boot_ms > deadline_ms)
      return fail(ErrorCode::kUnavailable,
                  "notp-server does not serve:\n" + log_tail(folder_ / "server.log"));
    ::poll(nullptr, 0, kPollMs);
  }
  NOTP_ASSIGN(server_port_, port_in(folder_ / "server.port"));
  return {};
}

Result<void> NotpArm::open_session(AgentArm& agent) {
  NOTP_TRY(agent.start());
  NOTP_TRY(agent.await_status("connected", [](const json::value& status) {
    const json::object* object = status.if_object();
    const json::value* connected = object ? object->if_contains("connected") : nullptr;
    return connected && *connected == true;
  }));
  const TimeMs deadline_ms = read_clock().boot_ms + kStartMs;
  NOTP_ASSIGN(const auto client, admin_->connect());
  for (;;) {
    wire::NodesQuery nodes;
    nodes.rows_max = kNodesMax;
    NOTP_ASSIGN(const wire::Answer answer, client->ask({0, nodes}));
    for (const wire::NodeRow& row : answer.nodes)
      if (row.identity.ends_with("/" + agent.node()) && row.connected) return {};
    NOTP_TRY(agent.check_running());
    if (read_clock().boot_ms > deadline_ms)
      return fail(ErrorCode::kTimeout,
                  fmt::format("the registry does not list node {} as connected", agent.node()));
    ::poll(nullptr, 0, kPollMs);
  }
}

Result<PublishedRelease> NotpArm::publish(const std::filesystem::path& model,
                                          const std::string& message) {
  push_route_->take();
  NOTP_ASSIGN(const std::string printed, cli({"-o",
                                              "json",
                                              "--registry",
                                              admin_->settings.registry,
                                              "--cert",
                                              "pki/bench.crt",
                                              "--key",
                                              "pki/bench.key",
                                              "--ca",
                                              "pki/ca.crt",
                                              "--root",
                                              "root.envelope",
                                              "publish",
                                              model.string(),
                                              "--ledger",
                                              std::string(kLedger),
                                              "--signing-key",
                                              "signing.key",
                                              "-m",
                                              message,
                                              "--allow-empty"}));
  NOTP_ASSIGN(const json::value outcome, parse_json(printed));
  PublishedRelease release;
  try {
    release.version = outcome.at("version").to_number<uint64_t>();
    release.artifact_bytes = outcome.at("artifact_bytes").to_number<uint64_t>();
  } catch (const std::exception& error) {
    return fail(ErrorCode::kInternal, fmt::format("notp publish printed {}", printed));
  }
  NOTP_ASSIGN(release.envelope, envelope_of(release.version));
  return release;
}

Result<Bytes> NotpArm::envelope_of(uint64_t version) const {
  NOTP_ASSIGN(const auto client, admin_->connect());
  wire::HistoryQuery history;
  history.ledger = admin_->ledger;
  history.below_version = version + 1;
  history.rows_max = 1;
  NOTP_ASSIGN(wire::Answer answer, client->ask({0, history}));
  if (answer.history.empty() || answer.history[0].version != version)
    return fail(ErrorCode::kInternal, fmt::format("the registry does not know v{}", version));
  return std::move(answer.history[0].envelope);
}

Result<void> NotpArm::await_active(AgentArm& agent, uint64_t version) const {
  const TimeMs deadline_ms = read_clock().boot_ms + kActiveMs;
  const std::string& node = agent.node();
  NOTP_ASSIGN(const auto client, admin_->connect());
  for (;;) {
    wire::NodesQuery nodes;
    nodes.rows_max = kNodesMax;
    NOTP_ASSIGN(const wire::Answer answer, client->ask({0, nodes}));
    for (const wire::NodeRow& row : answer.nodes)
      for (const wire::NodeLedger& ledger : row.ledgers) {
        if (!row.identity.ends_with("/" + node) || ledger.version != version) continue;
        if (ledger.state == wire::CommitState::kActive) return {};
        if (ledger.state == wire::CommitState::kRejected)
          return fail(ErrorCode::kPdpRejected,
                      fmt::format("node {} refused v{}: {}", node, version, ledger.message));
      }
    NOTP_TRY(agent.check_running());
    if (read_clock().boot_ms > deadline_ms)
      return fail(ErrorCode::kTimeout, fmt::format("node {} did not activate v{}:\n{}", node,
                                                   version, log_tail(folder_ / (node + ".log"))));
    ::poll(nullptr, 0, kPollMs);
  }
}

Result<Traffic> NotpArm::await_push(uint64_t version) {
  NOTP_TRY(await_active(*push_agent_, version));
  return push_route_->take().without_pings();
}

Result<Traffic> NotpArm::pull(uint64_t version) {
  pull_route_->take();
  NOTP_TRY(pull_agent_->start());
  NOTP_TRY(await_active(*pull_agent_, version));
  Traffic traffic = pull_route_->take();
  NOTP_TRY(pull_agent_->stop());
  NOTP_TRY(pull_route_->wait_closed(kStopMs));
  return traffic;
}

Result<std::unique_ptr<Publisher>> NotpArm::open_publisher() const {
  cli::Settings settings = admin_->settings;
  settings.certificate = folder_ / "pki/bench.crt";
  settings.key = folder_ / "pki/bench.key";
  settings.signing_keys = {folder_ / "signing.key"};
  return Publisher::connect(std::move(settings), std::string(kDomain), admin_->ledger,
                            admin_->root);
}

Result<OpeningBytes> NotpArm::measure_opening() {
  NOTP_ASSIGN(const auto client, admin_->connect());
  return OpeningBytes{client->bytes_sent(), client->bytes_received()};
}

Result<void> NotpArm::stop() {
  NOTP_TRY(push_agent_->stop());
  NOTP_TRY(pull_agent_->stop());
  if (server_) NOTP_TRY(server_->stop(kStopMs));
  return {};
}

}  // namespace notp::bench
