#include "tools/bench/notp_arm.hpp"

#include <fmt/format.h>
#include <poll.h>

#include "common/json/json.hpp"
#include "common/storage/files.hpp"
#include "tools/bench/store_damage.hpp"
#include "tools/notp/registry_client.hpp"
#include "tools/notp/root/root_chain.hpp"

namespace notp::bench {
namespace {

constexpr std::string_view kDomain = NotpArm::kTrustDomain;
constexpr std::string_view kLedger = "100000000000/workload";
constexpr TimeMs kCliMs = 600'000, kStartMs = 60'000, kActiveMs = 300'000, kStopMs = 30'000;
constexpr int kPollMs = 5;
constexpr uint32_t kNodesMax = 16;

}  // namespace

// Queries the registry for nodes and their releases, without the proxy.
struct NotpArm::Admin {
  cli::Settings settings;
  model::LedgerId ledger;
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
  NOTP_ASSIGN(arm->registry_, RegistryProcess::start(arm->options_.programs, arm->folder_, "server",
                                                     std::string(kDomain)));
  const uint16_t port = arm->registry_port();
  NOTP_ASSIGN(arm->push_route_, proxy.add_route(port, /*is_tls=*/true));
  NOTP_ASSIGN(arm->pull_route_, proxy.add_route(port, /*is_tls=*/true));
  NOTP_ASSIGN(arm->push_agent_,
              arm->make_agent("push", arm->push_route_->port(), AgentPdp::kEmbedded));
  NOTP_ASSIGN(arm->pull_agent_,
              arm->make_agent("pull", arm->pull_route_->port(), AgentPdp::kEmbedded));
  NOTP_TRY(arm->open_admin());
  return arm;
}

Result<void> NotpArm::open_admin() {
  admin_ = std::make_unique<Admin>();
  cli::Settings& settings = admin_->settings;
  settings.registry = fmt::format("127.0.0.1:{}", registry_port());
  settings.certificate = folder_ / "pki/bench-admin.crt";
  settings.key = folder_ / "pki/bench-admin.key";
  settings.ca = folder_ / "pki/ca.crt";
  settings.root = folder_ / "root.envelope";
  NOTP_ASSIGN(admin_->ledger, model::LedgerId::parse(kLedger));
  NOTP_ASSIGN(const cli::RootChain chain, cli::RootChain::load(settings, {}));
  admin_->root = chain.newest();
  return {};
}

Result<AgentArm> NotpArm::make_agent(const std::string& node, uint16_t registry_port, AgentPdp pdp,
                                     std::string more) const {
  NOTP_TRY(issue("--node", node));
  return AgentArm::make(options_.programs, folder_,
                        {.node = node,
                         .registry = registry_port,
                         .trust_domain = std::string(kDomain),
                         .ledger = std::string(kLedger),
                         .pdp = pdp,
                         .more = std::move(more)});
}

Result<void> NotpArm::issue(const std::string& role, const std::string& name) const {
  NOTP_TRY(cli({"pki", "issue", "pki", role, name}));
  return {};
}

Result<std::string> NotpArm::cli(std::vector<std::string> words, const std::string& home) const {
  // A separate home: the CLI's state between calls is part of the measurement.
  return run(notp_command(options_.programs, folder_, folder_ / home, std::move(words)), kCliMs);
}

Result<void> NotpArm::make_trust_domain() const {
  const std::string domain(kDomain), ledger(kLedger);
  for (const char* key : {"root", "signing"}) NOTP_TRY(cli({"keygen", "--out", key}));
  NOTP_TRY(cli({"root", "init", "--trust-domain", domain, "--root-key", "root.key", "--publisher",
                ledger + "=signing.pub", "--out", "root.envelope"}));
  NOTP_TRY(cli({"pki", "init", "pki", "--trust-domain", domain}));
  for (const auto& [role, name] :
       {std::pair{"--registry", "main"}, {"--publisher", "bench"}, {"--admin", "bench-admin"}})
    NOTP_TRY(issue(role, name));
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
    wire::NodesRequest request;
    request.rows_max = kNodesMax;
    NOTP_ASSIGN(const wire::NodesPage page, client->ask(request));
    for (const wire::NodeRow& row : page.rows)
      if (row.identity.ends_with("/" + agent.node()) && row.connected) return {};
    NOTP_TRY(agent.check_running());
    if (read_clock().boot_ms > deadline_ms)
      return fail(ErrorCode::kTimeout,
                  fmt::format("the registry does not list node {} as connected", agent.node()));
    ::poll(nullptr, 0, kPollMs);
  }
}

std::vector<std::string> NotpArm::publish_words(uint16_t port, const std::filesystem::path& model,
                                                const std::string& message) const {
  return {"-o",
          "json",
          "--registry",
          fmt::format("127.0.0.1:{}", port),
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
          "--allow-empty"};
}

Result<PublishedRelease> NotpArm::publish(const std::filesystem::path& model,
                                          const std::string& message) {
  push_route_->take();
  NOTP_ASSIGN(const std::string printed, cli(publish_words(registry_port(), model, message)));
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
  wire::HistoryRequest request;
  request.ledger = admin_->ledger;
  request.below_version = version + 1;
  request.rows_max = 1;
  NOTP_ASSIGN(wire::HistoryPage page, client->ask(request));
  if (page.rows.empty() || page.rows[0].version != version)
    return fail(ErrorCode::kInternal, fmt::format("the registry does not know v{}", version));
  return std::move(page.rows[0].envelope);
}

Result<void> NotpArm::await_active(AgentArm& agent, uint64_t version) const {
  const TimeMs deadline_ms = read_clock().boot_ms + kActiveMs;
  const std::string& node = agent.node();
  NOTP_ASSIGN(const auto client, admin_->connect());
  for (;;) {
    wire::NodesRequest request;
    request.rows_max = kNodesMax;
    NOTP_ASSIGN(const wire::NodesPage page, client->ask(request));
    for (const wire::NodeRow& row : page.rows)
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

// The agent is running. Waits for the agent's report, since the registry may still remember this
// version from an earlier session of the node; then for the end of the session.
Result<SessionCost> NotpArm::end_session(AgentArm& agent, uint64_t version) {
  NOTP_TRY(agent.await_active(version));
  const Traffic traffic = pull_route_->take();
  NOTP_TRY(agent.stop());
  NOTP_TRY(pull_route_->wait_closed(kStopMs));
  const Traffic rest = pull_route_->take();
  return SessionCost{traffic.up_bytes() + rest.up_bytes(), traffic.down_bytes() + rest.down_bytes(),
                     traffic.without_pings().round_trips()};
}

Result<CutPull> NotpArm::pull_with_cut(uint64_t version, uint64_t down_bytes) {
  pull_route_->take();
  pull_route_->cut_after(down_bytes);
  NOTP_TRY(pull_agent_->start());
  CutPull out;
  NOTP_ASSIGN(const Traffic until_cut, pull_route_->await_cut(kActiveMs));
  out.bytes_until_cut = until_cut.bytes();
  NOTP_ASSIGN(out.resumed, end_session(*pull_agent_, version));
  return out;
}

Result<void> NotpArm::fill_from_another_registry(AgentArm& agent,
                                                 const std::filesystem::path& model) const {
  constexpr std::string_view kOther = "other";
  const std::string home = "home-other";
  NOTP_TRY(make_folders(folder_ / home));
  NOTP_ASSIGN(RegistryProcess other,
              RegistryProcess::start(options_.programs, folder_, std::string(kOther),
                                     std::string(kDomain)));
  std::vector<std::string> first =
      publish_words(other.port(), model, "a release of another registry");
  first.insert(first.end(), {"--expect-version", "0"});
  NOTP_TRY(cli(std::move(first), home));
  pull_route_->set_target(other.port());
  NOTP_TRY(agent.start());
  NOTP_TRY(agent.await_active(1));
  NOTP_TRY(agent.stop());
  NOTP_TRY(pull_route_->wait_closed(kStopMs));
  pull_route_->set_target(registry_port());
  return other.stop();
}

Result<SessionCost> NotpArm::pull_on_unknown_base(const std::filesystem::path& other_model,
                                                  uint64_t version) {
  NOTP_ASSIGN(stray_agent_, make_agent("stray", pull_route_->port(), AgentPdp::kEmbedded));
  NOTP_TRY(fill_from_another_registry(*stray_agent_, other_model));
  pull_route_->take();
  NOTP_TRY(stray_agent_->start());
  return end_session(*stray_agent_, version);
}

Result<SessionCost> NotpArm::repair(uint64_t version, ByteView small_file) {
  NOTP_TRY(damage(stray_agent_->store(), small_file));
  pull_route_->take();
  NOTP_TRY(stray_agent_->start());
  NOTP_ASSIGN(const SessionCost cost, end_session(*stray_agent_, version));
  NOTP_TRY(stray_agent_->verify_store());
  return cost;
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
  if (registry_) NOTP_TRY(registry_->stop());
  return {};
}

}  // namespace notp::bench
