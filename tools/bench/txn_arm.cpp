#include "tools/bench/txn_arm.hpp"

#include <fmt/format.h>
#include <poll.h>

#include "common/http/client.hpp"
#include "common/jose/token.hpp"
#include "common/storage/files.hpp"
#include "tools/bench/opa_arm.hpp"
#include "tools/bench/txn_policy.hpp"

namespace notp::bench {
namespace {

constexpr std::string_view kIssuance = "100000000000/issuance", kKeys = "200000000000/txn-keys";
constexpr std::string_view kProvider = "https://login.bench.internal";
constexpr std::string_view kAddress = "127.0.0.1";
constexpr TimeMs kCliMs = 60'000, kRefreshMs = 120'000;
constexpr int kRefreshPollMs = 500;
constexpr int64_t kCertificateDays = 10, kSubjectLifeS = 6 * 3'600;
constexpr size_t kPemBytesMax = 64 << 10;
constexpr size_t kActors = 20, kTenants = 40;
constexpr unsigned kOwnerOnly = 0600;

std::string escaped(std::string_view text) {
  constexpr std::string_view kPlain =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  std::string out;
  for (const char c : text)
    out += kPlain.contains(c) ? std::string(1, c)
                              : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  return out;
}

std::string tenant_of(size_t number) { return fmt::format("tenant-{}", number % kTenants); }
std::string actor_of(size_t number) { return fmt::format("actor-{}", number % kActors); }

json::array texts(size_t count, std::string (*name)(size_t)) {
  json::array out;
  for (size_t i = 0; i < count; ++i) out.emplace_back(name(i));
  return out;
}

// Any of the workloads may ask for any person, so that every connection can send every request.
json::object workloads_data() {
  json::object out;
  for (size_t i = 0; i < TxnArm::kWorkloads; ++i)
    out[TxnArm::workload(i)] = {{"tenant", tenant_of(i)},
                                {"scope", json::array{"order.pay", "order.read", "order.refund"}},
                                {"actors", texts(kActors, actor_of)},
                                {"grants_to", json::array{TxnArm::workload(0)}}};
  return out;
}

json::object tenants_data() {
  json::object out;
  for (size_t i = 0; i < kTenants; ++i)
    out[tenant_of(i)] = {{"people", "person-"}, {"closed", false}};
  return out;
}

json::object actors_data() {
  json::object out;
  const json::object policy{{"channels", json::array{"web", "till", "phone"}},
                            {"amount_max", 10'000}};
  for (size_t i = 0; i < kActors; ++i)
    out[actor_of(i)] = {{"acr", json::array{"1", "2"}},
                        {"policies", json::object{{"order.pay", policy}, {"order.read", policy}}}};
  return out;
}

}  // namespace

std::string TxnArm::workload(size_t number) {
  return fmt::format("spiffe://{}/ns/shop-{}/sa/app", kTrustDomain, number);
}

std::string TxnArm::person(size_t number) { return fmt::format("person-{}", number); }

Result<std::unique_ptr<TxnArm>> TxnArm::start(std::filesystem::path programs,
                                              std::filesystem::path folder) {
  NOTP_ASSIGN(jose::SigningKey login, jose::SigningKey::generate(jose::Algorithm::kEs256));
  std::unique_ptr<TxnArm> arm(new TxnArm(std::move(programs), std::move(folder), std::move(login)));
  NOTP_ASSIGN(arm->port_, free_port());
  NOTP_TRY(make_folders(arm->folder_ / "home"));
  NOTP_TRY(arm->make_trust_domain());
  NOTP_ASSIGN(arm->registry_,
              RegistryProcess::start(arm->programs_, arm->folder_, "server",
                                     std::string(kTrustDomain), arm->sources_text()));
  NOTP_TRY(arm->publish_policy());
  NOTP_TRY(arm->start_service());
  return arm;
}

Result<void> TxnArm::cli(std::vector<std::string> words) const {
  NOTP_TRY(run(notp_command(programs_, folder_, file("home"), std::move(words)), kCliMs));
  return {};
}

Result<void> TxnArm::registry_cli(std::vector<std::string> words) const {
  std::vector<std::string> all{"--registry", fmt::format("{}:{}", kAddress, registry_->port()),
                               "--cert",     "pki/bench.crt",
                               "--key",      "pki/bench.key",
                               "--ca",       "pki/ca.crt",
                               "--root",     "root.envelope"};
  std::ranges::move(words, std::back_inserter(all));
  return cli(std::move(all));
}

Result<void> TxnArm::make_trust_domain() const {
  for (const char* key : {"root", "signing", "source"}) NOTP_TRY(cli({"keygen", "--out", key}));
  NOTP_TRY(
      cli({"root", "init", "--trust-domain", std::string(kTrustDomain), "--root-key", "root.key",
           "--publisher", fmt::format("{}=signing.pub", kIssuance), "--out", "first.envelope"}));
  NOTP_TRY(cli({"root", "add-key", "first.envelope", "--role", "publisher", "--pattern",
                std::string(kKeys), "--key", "source.pub", "--content", "keys", "--data-root",
                "keys/txn", "--out", "root.envelope"}));
  NOTP_TRY(cli({"root", "sign", "root.envelope", "--key", "root.key", "--previous",
                "first.envelope", "--yes"}));
  NOTP_TRY(cli({"pki", "init", "pki", "--trust-domain", std::string(kTrustDomain)}));
  NOTP_TRY(cli({"pki", "issue", "pki", "--registry", "main"}));
  NOTP_TRY(cli({"pki", "issue", "pki", "--publisher", "bench"}));
  NOTP_TRY(cli({"pki", "issue", "pki", "--node", "tts"}));
  pki::LeafOptions listener;
  listener.common_name = "listener";
  listener.uris = {fmt::format("spiffe://{}/node/tts", kTrustDomain)};
  listener.addresses = {std::string(kAddress)};
  listener.server_auth = true;
  return issue("listener", std::move(listener));
}

Result<void> TxnArm::issue(const std::string& name, pki::LeafOptions leaf) const {
  const auto pki = file("pki");
  pki::Credential authority;
  NOTP_ASSIGN(authority.certificate_pem, read_file(pki / "ca.crt", kPemBytesMax));
  NOTP_ASSIGN(authority.key_pem, read_file(pki / "ca.key", kPemBytesMax));
  leaf.validity = pki::Validity::days(read_clock().wall_ms, kCertificateDays);
  NOTP_ASSIGN(const pki::Credential issued, pki::issue(authority, leaf));
  NOTP_TRY(write_file(pki / (name + ".crt"), issued.certificate_pem));
  return write_file(pki / (name + ".key"), issued.key_pem, kOwnerOnly);
}

std::string TxnArm::issuer() const { return fmt::format("https://{}:{}", kAddress, port_); }

std::string TxnArm::sources_text() const {
  return fmt::format(
      "sources:\n"
      "  key: source.key\n"
      "  issuers: [{{name: txn, issuer: '{}', ledger: '{}', ca: pki/ca.crt}}]\n",
      issuer(), kKeys);
}

// The limits of one client are lifted: a few workloads ask as much as a whole domain.
std::string TxnArm::service_text() const {
  return fmt::format(
      "decisions: {{record: true}}\n"
      "txn:\n"
      "  service:\n"
      "    listen: {{address: '{}:{}', certificate: pki/listener.crt, key: pki/listener.key, "
      "client_ca: pki/ca.crt}}\n"
      "    issuer: '{}'\n"
      "    keys: {{name: txn, ledger: '{}'}}\n"
      "    subjects: [{{issuer: '{}', keys: login, audience: issuance, algorithms: [ES256]}}]\n"
      "    limits: {{per_second: 100000, at_once: 1000}}\n",
      kAddress, port_, issuer(), kKeys, kProvider);
}

Result<void> TxnArm::publish_policy() const {
  const auto model = file("model");
  const std::pair<std::string, json::object> documents[] = {
      {"txn/workloads", workloads_data()},
      {"txn/tenants", tenants_data()},
      {"txn/actors", actors_data()},
      {"txn/covered_by", {{"order.pay", "orders.write"}, {"order.read", "orders.read"}}},
      {"keys/login",
       {{"issuer", kProvider}, {"keys", json::array{login_.public_jwk("login-1").canonical()}}}}};
  for (const auto& [folder, document] : documents) {
    NOTP_TRY(make_folders(model / folder));
    NOTP_TRY(write_file(model / folder / "data.json", json::serialize(document)));
  }
  NOTP_TRY(write_file(model / "manifest.json", kTxnManifest));
  NOTP_TRY(write_file(model / "txn/issue.rego", kTxnPolicy));
  return registry_cli({"publish", model.string(), "--ledger", std::string(kIssuance),
                       "--signing-key", "signing.key", "-m", "a policy of 20 rules"});
}

Result<void> TxnArm::start_service() {
  NOTP_ASSIGN(service_, AgentArm::make(programs_, folder_,
                                       {.node = "tts",
                                        .registry = registry_->port(),
                                        .trust_domain = std::string(kTrustDomain),
                                        .ledger = std::string(kIssuance),
                                        .pdp = AgentPdp::kEmbedded,
                                        .more = service_text(),
                                        .more_ledgers = {std::string(kKeys)}}));
  NOTP_TRY(service_->start());
  NOTP_TRY(service_->await_status("listening", [](const json::value&) { return true; }));
  // It was not there when the registry looked for its keys.
  const TimeMs deadline_ms = read_clock().boot_ms + kRefreshMs;
  for (;;) {
    const auto refreshed = registry_cli({"sources", "refresh", "txn"});
    if (refreshed) break;
    if (read_clock().boot_ms > deadline_ms) return refreshed;
    ::poll(nullptr, 0, kRefreshPollMs);
  }
  NOTP_TRY(service_->await_status("issuing", [](const json::value& status) {
    const json::value* txn = status.as_object().if_contains("txn");
    return txn && txn->is_object() && txn->at("issues") == json::value(true);
  }));
  return {};
}

Result<std::vector<LoadTls>> TxnArm::workloads(size_t count) const {
  const auto pki = file("pki");
  std::vector<LoadTls> out;
  for (size_t i = 0; i < count; ++i) {
    const std::string name = fmt::format("workload-{}", i);
    pki::LeafOptions leaf;
    leaf.common_name = name;
    leaf.uris = {workload(i)};
    leaf.client_auth = true;
    NOTP_TRY(issue(name, std::move(leaf)));
    NOTP_ASSIGN(LoadTls tls,
                LoadTls::make(pki / (name + ".crt"), pki / (name + ".key"), pki / "ca.crt"));
    out.push_back(std::move(tls));
  }
  return out;
}

Result<std::string> TxnArm::subject_token(size_t number, int64_t now_s) const {
  return jose::sign_token({{"kid", "login-1"}, {"typ", "at+jwt"}},
                          {{"iss", kProvider},
                           {"sub", person(number)},
                           {"aud", "issuance"},
                           {"client_id", "shop"},
                           {"scope", "openid profile orders.read orders.write"},
                           {"acr", "2"},
                           {"iat", now_s},
                           {"exp", now_s + kSubjectLifeS},
                           {"jti", fmt::format("token-{}", number)}},
                          login_);
}

Result<std::vector<Bytes>> TxnArm::requests(size_t count, bool delegates) const {
  const int64_t now_s = read_clock().wall_ms / 1'000;
  const std::string delegate =
      delegates ? fmt::format(R"(,"delegate":{{"to":"{}","scope":"order.pay","not_after":{}}})",
                              workload(0), now_s + 3'600)
                : std::string();
  std::vector<Bytes> out;
  for (size_t i = 0; i < count; ++i) {
    NOTP_ASSIGN(const std::string subject, subject_token(i, now_s));
    const std::string details = fmt::format(R"({{"actor":"{}","order":"o-{}","amount":{}{}}})",
                                            actor_of(i), i, i % 9'000 + 1, delegate);
    const std::string form = fmt::format(
        "grant_type={}&audience={}&scope=order.pay&requested_token_type={}&"
        "subject_token={}&subject_token_type={}&request_context={}&request_details={}",
        escaped("urn:ietf:params:oauth:grant-type:token-exchange"), kTrustDomain,
        escaped("urn:ietf:params:oauth:token-type:txn_token"), subject,
        escaped("urn:ietf:params:oauth:token-type:access_token"), escaped(R"({"channel":"web"})"),
        escaped(details));
    out.push_back(fmt::format(
        "POST /token HTTP/1.1\r\nHost: {}:{}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        "Content-Length: {}\r\n\r\n{}",
        kAddress, port_, form.size(), form));
  }
  return out;
}

Result<jose::KeySet> TxnArm::keys() const {
  NOTP_ASSIGN(const http::Client client,
              http::Client::open({.tls = {.authorities = file("pki/ca.crt")},
                                  .proxy = {.url = "none"},
                                  .environment = {}}));
  NOTP_ASSIGN(const http::Response answer, client.call_blocking({.url = issuer() + "/jwks"}));
  return jose::KeySet::parse_text(answer.body);
}

PdpAddress TxnArm::address() const { return {.port = port_, .socket = {}, .tls = std::nullopt}; }

Result<void> TxnArm::stop() {
  NOTP_TRY(service_->stop());
  return registry_->stop();
}

}  // namespace notp::bench
