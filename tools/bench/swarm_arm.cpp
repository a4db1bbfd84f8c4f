#include "tools/bench/swarm_arm.hpp"

#include <fmt/format.h>
#include <poll.h>

#include "common/limits.hpp"
#include "common/random.hpp"
#include "common/storage/files.hpp"
#include "tools/notp/registry_client.hpp"
#include "tools/notp/root/root_chain.hpp"

namespace notp::bench {
namespace {

constexpr TimeMs kCliMs = 60'000;
constexpr int kPollMs = 5;
constexpr size_t kRows = 64;  // of the document
constexpr std::string_view kDocument = "fleet/limits/data.json", kNoise = "fleet/noise/data.json";
const std::vector<std::string> kRoots = {"fleet"};
constexpr std::string_view kManifest = R"({"metadata": {"name": "fleet"},
  "runtimes": {"rego": {"language": {"name": "rego", "version": "1"}}},
  "partitions": {"/": {"runtime": "rego"}}, "roots": ["fleet"]})";
constexpr std::string_view kPolicy = R"(package fleet

default allow := false

allow if input.amount <= data.fleet.limits[input.team].amount
)";

// Of equal length for all numbers below a million.
std::string document(int64_t number) {
  std::string rows;
  for (size_t row = 0; row < kRows; ++row)
    rows += fmt::format("{}\n  \"team-{:02}\": {{\"amount\": {:06}, \"currency\": \"EUR\"}}",
                        row == 0 ? "" : ",", row,
                        100'000 + (row == kRows / 2 ? number : static_cast<int64_t>(row)));
  return "{" + rows + "\n}\n";
}

// Hexadecimal digits would compress to a half, these 64 to three quarters.
std::string noise(size_t bytes, uint64_t seed) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  constexpr std::string_view kHead = R"({"noise": [")", kTail = "\"]}\n";
  constexpr size_t kLine = 4'096;  // characters of one text
  std::string out(kHead);
  SeededRandom random(seed);
  for (size_t i = 0; out.size() + kTail.size() < bytes; ++i) {
    if (i % kLine == kLine - 1) out += "\",\n\"";
    out += kDigits[random.next_u64() % kDigits.size()];
  }
  return out + std::string(kTail);
}

}  // namespace

SwarmArm::SwarmArm(Options options)
    : options_(std::move(options)), model_(options_.folder / "model") {}

Result<std::unique_ptr<SwarmArm>> SwarmArm::start(Options options) {
  std::unique_ptr<SwarmArm> arm(new SwarmArm(std::move(options)));
  NOTP_TRY(make_folders(arm->options_.folder / "home"));
  NOTP_TRY(arm->make_trust_domain());
  NOTP_TRY(arm->start_registry());
  NOTP_TRY(arm->write_model());
  const cli::Settings settings = arm->settings("bench");
  NOTP_ASSIGN(const cli::RootChain chain, cli::RootChain::load(settings, {}));
  arm->root_ = chain.newest();
  NOTP_ASSIGN(const model::LedgerId ledger, model::LedgerId::parse(kLedger));
  NOTP_ASSIGN(arm->publisher_,
              Publisher::connect(settings, std::string(kTrustDomain), ledger, arm->root_));
  NOTP_ASSIGN(const auto first, arm->publisher_->prepare(arm->model_.content(), kRoots));
  NOTP_TRY(arm->publish(first));
  return arm;
}

Result<void> SwarmArm::cli(std::vector<std::string> words) const {
  NOTP_TRY(run(
      notp_command(options_.programs, options_.folder, options_.folder / "home", std::move(words)),
      kCliMs));
  return {};
}

Result<void> SwarmArm::make_trust_domain() const {
  const std::string domain(kTrustDomain);
  for (const char* key : {"root", "signing", "freshness"}) NOTP_TRY(cli({"keygen", "--out", key}));
  std::vector<std::string> init{
      "root",       "init",         "--trust-domain", domain,
      "--root-key", "root.key",     "--publisher",    fmt::format("{}=signing.pub", kLedger),
      "--out",      "root.envelope"};
  if (options_.freshness_s > 0) init.insert(init.end(), {"--freshness-key", "freshness.pub"});
  NOTP_TRY(cli(std::move(init)));
  NOTP_TRY(cli({"pki", "init", "pki", "--trust-domain", domain}));
  NOTP_TRY(cli({"pki", "issue", "pki", "--registry", "main"}));
  NOTP_TRY(cli({"pki", "issue", "pki", "--publisher", "bench"}));
  return cli({"pki", "issue", "pki", "--admin", "bench-admin"});
}

std::string SwarmArm::registry_text() const {
  std::string text = fmt::format("threads: {}\n", options_.registry_threads);
  if (options_.freshness_s > 0)
    text += fmt::format("freshness: {{private_key: freshness.key, interval_s: {}}}\n",
                        options_.freshness_s);
  return text + options_.more;
}

Result<void> SwarmArm::start_registry() {
  NOTP_ASSIGN(registry_, RegistryProcess::start(options_.programs, options_.folder, "server",
                                                std::string(kTrustDomain), registry_text(), port_));
  port_ = registry_->port();
  return {};
}

cli::Settings SwarmArm::settings(std::string_view certificate) const {
  const auto& folder = options_.folder;
  cli::Settings out;
  out.registry = fmt::format("127.0.0.1:{}", registry_port());
  out.certificate = folder / "pki" / fmt::format("{}.crt", certificate);
  out.key = folder / "pki" / fmt::format("{}.key", certificate);
  out.ca = folder / "pki/ca.crt";
  out.root = folder / "root.envelope";
  out.signing_keys = {folder / "signing.key"};
  return out;
}

Result<void> SwarmArm::write_model() {
  NOTP_TRY(model_.write("manifest.json", std::string(kManifest)));
  NOTP_TRY(model_.write("fleet/policy.rego", std::string(kPolicy)));
  NOTP_TRY(model_.write(std::string(kDocument), document(0)));
  NOTP_TRY(model_.write(std::string(kNoise), "{}\n"));
  return model_.load();
}

Result<Publisher::Prepared> SwarmArm::prepare_change() {
  NOTP_TRY(model_.replace(std::string(kDocument), document(++number_)));
  return publisher_->prepare(model_.content(), kRoots);
}

Result<Publisher::Prepared> SwarmArm::prepare_noise(size_t bytes) {
  NOTP_TRY(model_.replace(std::string(kNoise), noise(bytes, static_cast<uint64_t>(++number_))));
  return publisher_->prepare(model_.content(), kRoots);
}

Result<void> SwarmArm::publish(const Publisher::Prepared& prepared) {
  NOTP_ASSIGN(version_, publisher_->publish(prepared));
  return {};
}

Result<void> SwarmArm::await_active(uint64_t version, uint64_t nodes, TimeMs patience_ms) const {
  NOTP_ASSIGN(const auto admin,
              cli::RegistryClient::connect(settings("bench-admin"), std::string(kTrustDomain),
                                           root_->version, {}));
  const TimeMs deadline_ms = read_clock().boot_ms + patience_ms;
  wire::ReleaseStatusRequest request;
  NOTP_ASSIGN(request.ledger, model::LedgerId::parse(kLedger));
  request.version = version;
  for (;;) {
    NOTP_ASSIGN(const wire::ReleaseStatus status, admin->ask(request));
    if (status.active >= nodes) return {};
    if (read_clock().boot_ms > deadline_ms)
      return fail(ErrorCode::kTimeout,
                  fmt::format("the registry knows v{} as active at {} of {} nodes", version,
                              status.active, nodes));
    ::poll(nullptr, 0, kPollMs);
  }
}

Result<SwarmIdentitiesPtr> SwarmArm::identities(size_t count) const {
  return SwarmIdentities::make({.pki = options_.folder / "pki",
                                .trust_domain = std::string(kTrustDomain),
                                .prefix = "swarm",
                                .count = count,
                                .threads = 2});
}

Result<AgentSwarmPlan> SwarmArm::plan(SwarmIdentitiesPtr identities) const {
  AgentSwarmPlan plan;
  plan.registry = fmt::format("127.0.0.1:{}", registry_port());
  plan.sessions = identities->size();
  plan.identities = std::move(identities);
  NOTP_ASSIGN(plan.ledger, model::LedgerId::parse(kLedger));
  NOTP_ASSIGN(plan.root, read_file(options_.folder / "root.envelope", limits::kEnvelopeBytesMax));
  return plan;
}

}  // namespace notp::bench
