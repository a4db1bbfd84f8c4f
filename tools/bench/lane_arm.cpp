#include "tools/bench/lane_arm.hpp"

#include <fmt/format.h>
#include <poll.h>

#include "common/storage/files.hpp"
#include "tools/pki/pki.hpp"

namespace notp::bench {
namespace {

constexpr std::string_view kLedger = "100000000000/tokens";
constexpr TimeMs kCliMs = 60'000, kAnswerMs = 60'000;
constexpr int kBusyMs = 50;
constexpr int64_t kCertificateDays = 10;
constexpr size_t kPemBytesMax = 64 << 10;

constexpr std::string_view kPolicy = R"(package notp_bench

default by_lane := false

by_lane if "read" in split(data.system.notp.tokens.lookup(input.token).scope, " ")

default by_input := false

by_input if "read" in split(input.scope, " ")
)";
constexpr std::string_view kManifest = R"({"metadata": {"name": "tokens"},
  "runtimes": {"rego": {"language": {"name": "rego", "version": "1"}}},
  "partitions": {"/": {"runtime": "rego"}}, "roots": ["notp_bench"],
  "decisions": {"mask": ["/input/token"]}})";

}  // namespace

// --- LaneFeeder

std::string LaneFeeder::add(const std::string& token, int64_t exp_s) {
  return fmt::format(
      R"({{"op":"add","token":"{}","attributes":{{"iss":"https://login.bench.internal",)"
      R"("sub":"person-{}","client":"till-{}","aud":["invoices"],"scope":"openid profile read",)"
      R"("exp":{},"iat":{}}}}})"
      "\n",
      token, std::hash<std::string>()(token) % 1'000'000, token.size() % 8, exp_s, exp_s - 3'600);
}

std::string LaneFeeder::del(const std::string& token) {
  return fmt::format(R"({{"op":"del","token":"{}"}})"
                     "\n",
                     token);
}

Result<void> LaneFeeder::send(const std::string& lines) {
  const std::string request = fmt::format(
      "POST /lane/{}/events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-ndjson\r\n"
      "Content-Length: {}\r\n\r\n{}",
      LaneArm::kLane, lines.size(), lines);
  // As a source does when the registry is busy: the same events count once.
  const TimeMs end_ms = read_clock().boot_ms + kAnswerMs;
  for (;;) {
    NOTP_ASSIGN(const HttpAnswer answer, stream_.ask(request, kAnswerMs));
    if (answer.status == 202 && answer.body.contains("\"refused\":[]")) return {};
    const bool is_busy = answer.status == 429 || answer.status == 503;
    if (!is_busy || read_clock().boot_ms > end_ms)
      return fail(ErrorCode::kUnavailable,
                  fmt::format("the registry answers {} to events: {}", answer.status, answer.body));
    ::poll(nullptr, 0, kBusyMs);
  }
}

// --- LaneArm

Result<std::unique_ptr<LaneArm>> LaneArm::start(Options options) {
  std::unique_ptr<LaneArm> arm(new LaneArm(std::move(options)));
  const auto& folder = arm->options_.folder;
  NOTP_TRY(make_folders(folder / "home"));
  NOTP_TRY(arm->make_trust_domain());
  NOTP_ASSIGN(arm->registry_, RegistryProcess::start(arm->options_.programs, folder, "server",
                                                     std::string(kTrustDomain), arm->lane_text()));
  NOTP_TRY(arm->publish_policy());
  return arm;
}

Result<void> LaneArm::cli(std::vector<std::string> words) const {
  NOTP_TRY(run(
      notp_command(options_.programs, options_.folder, options_.folder / "home", std::move(words)),
      kCliMs));
  return {};
}

Result<void> LaneArm::make_trust_domain() const {
  const std::string domain(kTrustDomain);
  for (const char* key : {"root", "signing", "lane"}) NOTP_TRY(cli({"keygen", "--out", key}));
  NOTP_TRY(cli({"root", "init", "--trust-domain", domain, "--root-key", "root.key", "--publisher",
                fmt::format("{}=signing.pub", kLedger), "--out", "first.envelope"}));
  NOTP_TRY(cli(
      {"root", "set-lane-key", "first.envelope", "--key", "lane.pub", "--out", "root.envelope"}));
  NOTP_TRY(cli({"root", "sign", "root.envelope", "--key", "root.key", "--previous",
                "first.envelope", "--yes"}));
  NOTP_TRY(cli({"pki", "init", "pki", "--trust-domain", domain}));
  NOTP_TRY(cli({"pki", "issue", "pki", "--registry", "main"}));
  NOTP_TRY(cli({"pki", "issue", "pki", "--publisher", "bench"}));
  return cli({"pki", "issue", "pki", "--source", "feeder"});
}

// The waits for adds and the window of a node are the registry's defaults.
std::string LaneArm::lane_text() const {
  return fmt::format(
      "lanes:\n"
      "  key: lane.key\n"
      "  listen: {{address: '127.0.0.1:0', certificate: pki/main.crt, key: pki/main.key, "
      "client_ca: pki/ca.crt, port_file: lanes.port}}\n"
      "  lanes:\n"
      "    - name: {}\n"
      "      life_max_s: 43200\n"
      "      source_rate: 100000\n"
      "      tokens_max: {}\n"
      "      attributes: [iss, sub, client, scope, aud, exp, iat]\n"
      "      grants: [{{nodes: [node/*]}}]\n"
      "      sources: [{{name: feeder, kind: http}}]\n",
      kLane, options_.tokens_max);
}

Result<void> LaneArm::publish_policy() const {
  const auto model = options_.folder / "model";
  NOTP_TRY(make_folders(model / "notp_bench"));
  NOTP_TRY(write_file(model / "manifest.json", kManifest));
  NOTP_TRY(write_file(model / "notp_bench/policy.rego", kPolicy));
  return cli({"--registry", fmt::format("127.0.0.1:{}", registry_port()), "--cert", "pki/bench.crt",
              "--key", "pki/bench.key", "--ca", "pki/ca.crt", "--root", "root.envelope", "publish",
              model.string(), "--ledger", std::string(kLedger), "--signing-key", "signing.key",
              "-m", "a policy about tokens"});
}

Result<LaneFeeder> LaneArm::connect_feeder() const {
  const auto pki = options_.folder / "pki";
  PdpAddress address;
  NOTP_ASSIGN(address.port, port_in(options_.folder / "lanes.port"));
  NOTP_ASSIGN(address.tls, LoadTls::make(pki / "feeder.crt", pki / "feeder.key", pki / "ca.crt"));
  NOTP_ASSIGN(LoadStream stream, LoadStream::connect(address));
  return LaneFeeder(std::move(stream));
}

Result<std::vector<std::shared_ptr<const transport::TlsContext>>> LaneArm::identities(
    size_t count) const {
  const auto pki = options_.folder / "pki";
  pki::Credential authority;
  NOTP_ASSIGN(authority.certificate_pem, read_file(pki / "ca.crt", kPemBytesMax));
  NOTP_ASSIGN(authority.key_pem, read_file(pki / "ca.key", kPemBytesMax));
  std::vector<std::shared_ptr<const transport::TlsContext>> contexts;
  for (size_t i = 0; i < count; ++i) {
    const std::string name = fmt::format("swarm-{}", i);
    pki::LeafOptions leaf;
    leaf.common_name = name;
    leaf.uris = {fmt::format("spiffe://{}/node/{}", kTrustDomain, name)};
    leaf.validity = pki::Validity::days(read_clock().wall_ms, kCertificateDays);
    leaf.client_auth = true;
    NOTP_ASSIGN(const pki::Credential issued, pki::issue(authority, leaf));
    NOTP_TRY(write_file(pki / (name + ".crt"), issued.certificate_pem));
    NOTP_TRY(write_file(pki / (name + ".key"), issued.key_pem, 0600));
    NOTP_ASSIGN(auto context,
                transport::TlsContext::load({.certificate = pki / (name + ".crt"),
                                             .private_key = pki / (name + ".key"),
                                             .authorities = pki / "ca.crt",
                                             .trust_domain = std::string(kTrustDomain)},
                                            transport::Side::kClient));
    contexts.push_back(std::move(context));
  }
  return contexts;
}

Result<AgentArm> LaneArm::make_agent(const std::string& node, uint16_t registry_port,
                                     bool with_lane) const {
  NOTP_TRY(cli({"pki", "issue", "pki", "--node", node}));
  return AgentArm::make(
      options_.programs, options_.folder,
      {.node = node,
       .registry = registry_port,
       .trust_domain = std::string(kTrustDomain),
       .ledger = std::string(kLedger),
       .pdp = AgentPdp::kEmbedded,
       .more = with_lane ? fmt::format("lane: {{name: {}, mode: push}}\n", kLane) : std::string()});
}

}  // namespace notp::bench
