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
constexpr size_t kLogTail = 1'500;
constexpr size_t kPortFileBytesMax = 128, kLogBytesMax = 64 << 20;

// The port in "address:port\n".
Result<uint16_t> port_in(const std::filesystem::path& file) {
  NOTP_ASSIGN(const Bytes text, read_file(file, kPortFileBytesMax));
  return static_cast<uint16_t>(std::atoi(text.substr(text.rfind(':') + 1).c_str()));
}

}  // namespace

// The registry's own word on who runs what, asked beside the proxy.
struct NotpArm::Admin {
  cli::Settings settings;
  cli::Flags flags;
  LedgerId ledger;
  Root root;

  Result<std::unique_ptr<cli::RegistryClient>> connect() const {
    return cli::RegistryClient::connect(settings, std::string(kDomain), root.version, {});
  }
};

NotpArm::NotpArm(std::filesystem::path programs, std::filesystem::path folder)
    : programs_(std::move(programs)), folder_(std::move(folder)) {}

NotpArm::~NotpArm() = default;

Result<std::unique_ptr<NotpArm>> NotpArm::start(CountingProxy& proxy,
                                                const std::filesystem::path& programs,
                                                const std::filesystem::path& folder) {
  std::unique_ptr<NotpArm> arm(new NotpArm(programs, folder));
  NOTP_TRY(make_folders(folder / "home"));
  NOTP_TRY(arm->make_trust_domain());
  NOTP_TRY(arm->start_server());
  NOTP_ASSIGN(arm->push_route_, proxy.add_route(arm->server_port_, /*is_tls=*/true));
  NOTP_ASSIGN(arm->pull_route_, proxy.add_route(arm->server_port_, /*is_tls=*/true));
  NOTP_TRY(arm->write_agent_config("push", arm->push_route_->port()));
  NOTP_TRY(arm->write_agent_config("pull", arm->pull_route_->port()));
  arm->admin_ = std::make_unique<Admin>();
  Admin& admin = *arm->admin_;
  admin.settings.registry = fmt::format("127.0.0.1:{}", arm->server_port_);
  admin.settings.certificate = folder / "pki/bench-admin.crt";
  admin.settings.key = folder / "pki/bench-admin.key";
  admin.settings.ca = folder / "pki/ca.crt";
  admin.settings.root = folder / "root.envelope";
  NOTP_ASSIGN(admin.ledger, LedgerId::parse(kLedger));
  NOTP_ASSIGN(const cli::RootChain chain, cli::RootChain::load(admin.settings, {}));
  admin.root = *chain.newest();
  NOTP_ASSIGN(arm->push_agent_, arm->start_agent("push"));
  return arm;
}

Result<std::string> NotpArm::cli(std::vector<std::string> words) const {
  Command command;
  command.words = {(programs_ / "notp").string()};
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
  command.words = {(programs_ / "notp-server").string(), "--config", "server.yaml"};
  command.folder = folder_;
  command.log = folder_ / "server.log";
  NOTP_ASSIGN(server_, Child::start(command));
  const TimeMs deadline_ms = read_clock().boot_ms + kStartMs;
  std::error_code ignored;
  while (!std::filesystem::exists(folder_ / "server.port", ignored)) {
    if (server_->poll() || read_clock().boot_ms > deadline_ms)
      return fail(ErrorCode::kUnavailable, "notp-server does not serve:\n" + log_tail("server"));
    ::poll(nullptr, 0, kPollMs);
  }
  NOTP_ASSIGN(server_port_, port_in(folder_ / "server.port"));
  return {};
}

Result<void> NotpArm::write_agent_config(const std::string& node, uint16_t registry_port) const {
  return write_file(
      folder_ / (node + ".yaml"),
      fmt::format("trust_domain: {}\n"
                  "registry: 127.0.0.1:{}\n"
                  "listen: 127.0.0.1:0\n"
                  "data_dir: {}\n"
                  "root: root.envelope\n"
                  "tls: {{certificate: pki/{}.crt, key: pki/{}.key, ca: pki/ca.crt}}\n"
                  "ledgers: ['{}']\n"
                  "pdp: {{kind: embedded}}\n",
                  kDomain, registry_port, node, node, node, kLedger));
}

Result<Child> NotpArm::start_agent(const std::string& node) const {
  Command command;
  command.words = {(programs_ / "notp-client").string(), "--config", node + ".yaml"};
  command.folder = folder_;
  command.log = folder_ / (node + ".log");
  return Child::start(command);
}

std::string NotpArm::log_tail(const std::string& program) const {
  auto text = read_file(folder_ / (program + ".log"), kLogBytesMax);
  if (!text) return {};
  return text->size() > kLogTail ? text->substr(text->size() - kLogTail) : *text;
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

Result<void> NotpArm::await_active(const std::string& node, Child& agent, uint64_t version) const {
  const TimeMs deadline_ms = read_clock().boot_ms + kActiveMs;
  NOTP_ASSIGN(const auto client, admin_->connect());
  for (;;) {
    wire::NodesQuery nodes;
    nodes.rows_max = 16;
    NOTP_ASSIGN(const wire::Answer answer, client->ask({0, nodes}));
    for (const wire::NodeRow& row : answer.nodes)
      for (const wire::NodeLedger& ledger : row.ledgers) {
        if (!row.identity.ends_with("/" + node) || ledger.version != version) continue;
        if (ledger.state == wire::CommitState::kActive) return {};
        if (ledger.state == wire::CommitState::kRejected)
          return fail(ErrorCode::kPdpRejected,
                      fmt::format("node {} refused v{}: {}", node, version, ledger.message));
      }
    if (agent.poll() || read_clock().boot_ms > deadline_ms)
      return fail(ErrorCode::kTimeout,
                  fmt::format("node {} did not activate v{}:\n{}", node, version, log_tail(node)));
    ::poll(nullptr, 0, kPollMs);
  }
}

Result<Traffic> NotpArm::await_push(uint64_t version) {
  NOTP_TRY(await_active("push", *push_agent_, version));
  return push_route_->take().without_pings();
}

Result<Traffic> NotpArm::pull(uint64_t version) {
  pull_route_->take();
  NOTP_ASSIGN(Child agent, start_agent("pull"));
  NOTP_TRY(await_active("pull", agent, version));
  Traffic traffic = pull_route_->take();
  NOTP_TRY(agent.stop(kStopMs));
  NOTP_TRY(pull_route_->wait_closed(kStopMs));
  return traffic;
}

Result<OpeningBytes> NotpArm::measure_opening() {
  NOTP_ASSIGN(const auto client, admin_->connect());
  return OpeningBytes{client->bytes_sent(), client->bytes_received()};
}

Result<void> NotpArm::stop() {
  if (push_agent_) NOTP_TRY(push_agent_->stop(kStopMs));
  if (server_) NOTP_TRY(server_->stop(kStopMs));
  return {};
}

}  // namespace notp::bench
