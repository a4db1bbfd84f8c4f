// The example of transaction tokens, with all its programs: a registry with a token lane and two
// sources of keys, a login, the Txn-Token Service, an agent with the embedded PDP for the shop, one
// beside a real OPA for the payer, a broker, and the two applications.
#pragma once

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "common/base64url.hpp"
#include "common/http/client.hpp"
#include "tests/support/process/lane_opa.hpp"
#include "tests/support/process/mosquitto_server.hpp"
#include "tests/support/process/nats_server.hpp"
#include "tests/support/process/stack.hpp"
#include "tests/support/process/txn_workload.hpp"
#include "tests/support/providers/openid_provider.hpp"
#include "tests/support/wire/test_pki.hpp"

namespace notp {

inline const std::string kActors = "100000000000/actors", kRefunds = "100000000000/refunds",
                         kLoginKeys = "200000000000/login";
inline const std::string kShop = "spiffe://core-platform.internal/workload/shop",
                         kPayer = "spiffe://core-platform.internal/workload/refunds",
                         kTokenService = "spiffe://core-platform.internal/workload/txn-tokens";

inline int64_t now_s() { return read_clock().wall_ms / 1000; }

// A workload of the example.
class TxnWorkload : public Workload {
 public:
  using Workload::Workload;

  // A request with these parameters beside those that all have.
  TokenAnswer ask(const TokenRequest& more) const {
    TokenRequest request{{"grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"},
                         {"requested_token_type", "urn:ietf:params:oauth:token-type:txn_token"}};
    if (std::ranges::none_of(more, [](const auto& one) { return one.first == "audience"; }))
      request.emplace_back("audience", kStackDomain);
    request.insert(request.end(), more.begin(), more.end());
    return Workload::ask(request);
  }
  TokenAnswer ask(const std::string& scope, const std::string& token, std::string_view type,
                  const json::object& details, const json::object& context = {}) const {
    return ask({{"scope", scope},
                {"subject_token", token},
                {"subject_token_type", fmt::format("urn:ietf:params:oauth:token-type:{}", type)},
                {"request_context", json::serialize(context)},
                {"request_details", json::serialize(details)}});
  }
  // Redeems a grant.
  TokenAnswer redeem(const std::string& grant, const std::string& digest, const std::string& jti,
                     json::object more = {}, const std::string& scope = "refund.pay") const {
    json::object details{{"actor", "payer"},
                         {"order", "o-1"},
                         {"amount", 120},
                         {"grant", grant},
                         {"digest", digest}};
    for (auto& [name, value] : more) details[name] = std::move(value);
    return ask(scope, self_signed(jti), "self_signed", details);
  }
  std::string self_signed(const std::string& jti) const {
    return Workload::self_signed(service(), jti);
  }
  // As the shop signs its messages.
  std::string message(const json::object& payload) const {
    const std::string pem = read_text(stem() + ".crt");
    std::string der = pem.substr(pem.find('\n') + 1);
    der = der.substr(0, der.find("-----"));
    std::erase(der, '\n');
    return sign({{"typ", "refund-job+jws"}, {"x5c", json::array{der}}}, payload);
  }
};

class DelegationSite {
 public:
  enum class With : uint8_t { kNats, kMosquitto };

  explicit DelegationSite(With with = With::kNats) {
    if (with == With::kNats)
      broker_ = std::make_unique<NatsServer>(stack.folder());
    else
      broker_ = std::make_unique<MosquittoServer>(stack.folder());
    make_root();
    stack.grant("admin", "revoke");
    stack.grant("admin", "audit");
    stack.grant("admin", "publish");
    issue_certificates();
    configure_registry();
    // First, so that the registry finds its keys when it starts.
    service = &stack.start_agent(service_setup());
    stack.start_registry();
    publish_models();
    start_nodes();
    wait_for_keys();
  }

  // A workload of the domain with a new certificate; the path of its SPIFFE id.
  TxnWorkload workload(const std::string& path,
                       const std::string& domain = std::string(kStackDomain)) {
    const std::string identity = fmt::format("spiffe://{}/{}", domain, path);
    pki::LeafOptions leaf = stack.leaf("node", path);
    leaf.uris = {identity};
    std::string name = domain + "-" + path;
    std::ranges::replace(name, '/', '-');
    return {stack, identity, stack.issue(name, stack.authority(), leaf), issuer()};
  }

  // The access token of ana, who may refund orders.
  std::string login() const {
    const http::Response answer = must(http::call_blocking(
        {.method = "POST",
         .url = provider.issuer() + "/token",
         .headers = {{"Content-Type", "application/x-www-form-urlencoded"},
                     {"Authorization", "Basic " + std::string("YW5hOmFuYS1zZWNyZXQ=")}},
         .body = "grant_type=client_credentials&scope=orders",
         .deadline_ms = 20'000}));
    REQUIRE_MESSAGE(answer.status == 200, answer.body);
    return text_at(must(parse_json(answer.body)), "access_token");
  }
  // T1 with a grant for the payer, as the shop asks for it.
  TokenAnswer first(const std::string& digest, int64_t not_after_s = now_s() + 600,
                    json::object more = {}) const {
    json::object delegate{
        {"to", kPayer}, {"scope", "refund.pay"}, {"not_after", not_after_s}, {"digest", digest}};
    json::object details{{"actor", "clerk"}, {"order", "o-1"}, {"amount", 120}};
    details["delegate"] = std::move(delegate);
    for (auto& [name, value] : more) details[name] = std::move(value);
    return shop->ask("refund.request refund.pay", login(), "access_token", details,
                     {{"channel", "web"}});
  }
  static json::object question(std::string_view action, const std::string& token,
                               const json::object& job) {
    return {{"action", action}, {"txn_token", token}, {"job", job}};
  }
  static json::object job(int64_t not_after_s = now_s() + 600) {
    return {{"id", "j-1"}, {"order", "o-1"}, {"amount", 120}, {"not_after", not_after_s}};
  }
  static std::string digest_of(const json::object& job) {
    return to_base64url(sha256(json::serialize(job)).view());
  }

  // --- the applications

  // Runs the requester; its exit status and what it printed.
  CommandResult request(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> command{program("requester"), "-config", stack.file("shop.json")};
    command.insert(command.end(), more.begin(), more.end());
    return run_command(command);
  }
  void start_payer() {
    payer_process = std::make_unique<Process>(
        ProcessOptions{.command = {program("delegated"), "-config", stack.file("payer.json")},
                       .folder = stack.folder(),
                       .environment = {},
                       .output_file = payer_log(),
                       .error_file = payer_log()});
  }
  std::filesystem::path payer_log() const { return stack.file("payer.log"); }
  bool payer_says(std::string_view text) const { return read_text(payer_log()).contains(text); }
  size_t payments() const {
    const std::string text = read_text(stack.file("paid"));
    return static_cast<size_t>(std::ranges::count(text, '\n'));
  }

  // --- what the service counts

  int64_t refusals(std::string_view reason) const {
    const auto answer = http::call_blocking({.url = service->url() + "/metrics"});
    if (!answer) return -1;
    const std::string series = fmt::format("notp_txn_refused_total{{reason=\"{}\"}} ", reason);
    const size_t begin = answer->body.find(series);
    REQUIRE_MESSAGE(begin != std::string::npos, "no series " << series);
    return std::stoll(answer->body.substr(begin + series.size()));
  }
  // The request is refused with this error, for this reason.
  void check_refused(const TokenAnswer& answer, std::string_view error, std::string_view reason,
                     int64_t before) const {
    CAPTURE(json::serialize(answer.body));
    CHECK(answer.error() == error);
    CHECK(answer.token().empty());
    CHECK(refusals(reason) == before + 1);
  }
  template <typename Ask>
  void check_refused(std::string_view error, std::string_view reason, const Ask& ask) const {
    CAPTURE(std::string(reason));
    const int64_t before = refusals(reason);
    check_refused(ask(), error, reason, before);
  }

  // A request to the service, by the administrator eve.
  http::Response admin(const std::string& method, const std::string& path,
                       const json::object& body = {}) const {
    return must(client_of("eve").call_blocking({.method = method,
                                                .url = issuer() + path,
                                                .headers = {{"Content-Type", "application/json"}},
                                                .body = body.empty() ? "" : json::serialize(body),
                                                .deadline_ms = 20'000}));
  }
  // Something that the lane's source "gateway" says.
  void lane_event(const json::object& event) const {
    const http::Response answer = must(client_of("gateway").call_blocking(
        {.method = "POST",
         .url = fmt::format("https://127.0.0.1:{}/lane/tokens/events", lane_port_),
         .headers = {{"Content-Type", "application/x-ndjson"}},
         .body = json::serialize(event) + "\n",
         .deadline_ms = 20'000}));
    REQUIRE_MESSAGE(answer.status == 202, answer.body);
  }

  Broker& broker() const { return *broker_; }
  std::string issuer() const { return fmt::format("https://127.0.0.1:{}", service_port_); }
  static std::string program(const char* name) {
    return fmt::format("{}/{}", NOTP_TXN_OTHERS, name);
  }
  AgentSetup service_setup() const {
    json::object subject{{"issuer", provider.issuer()}, {"keys", "login"}, {"audience", "orders"}};
    subject["types"] = json::array{"access_token"};
    subject["algorithms"] = json::array{"RS256"};
    json::object section{{"listen",
                          {{"address", fmt::format("127.0.0.1:{}", service_port_)},
                           {"certificate", stack.file("pki/txn-tokens.crt").string()},
                           {"key", stack.file("pki/txn-tokens.key").string()},
                           {"client_ca", stack.authority_file().string()}}},
                         {"issuer", issuer()},
                         {"keys", {{"name", "txn"}, {"ledger", kTxnKeys}}},
                         {"deny_list", kDenyList}};
    section["subjects"] = json::array{std::move(subject)};
    section["admins"] = json::array{"spiffe://core-platform.internal/admin/eve"};
    return {.name = "tts",
            .ledgers = {kIssuance, kActors, kLoginKeys, kTxnKeys, kDenyList},
            .more = {{"lane", lane()}, {"txn", json::object{{"service", std::move(section)}}}}};
  }
  static json::object lane() { return {{"name", "tokens"}, {"mode", "push"}}; }
  static json::object verify() {
    json::object verify{{"keys", "txn"}};
    verify["tokens"] = json::array{"/txn_token"};
    return {{"lane", lane()}, {"txn", json::object{{"verify", std::move(verify)}}}};
  }

  Stack stack{{.freshness_interval_s = 1}};
  DrivenProvider provider{DrivenProvider::Kind::kOidcProvider, provider_setup()};
  LaneOpa opa{stack};
  Agent *service = nullptr, *edge = nullptr, *fed = nullptr;  // edge: the shop's; fed: the payer's
  std::unique_ptr<TxnWorkload> shop, payer;
  std::unique_ptr<Process> payer_process;

 private:
  http::Client client_of(const std::string& name) const {
    const std::string stem = stack.file("pki") / name;
    return must(http::Client::open({.tls = {.authorities = stack.authority_file(),
                                            .certificate = stem + ".crt",
                                            .private_key = stem + ".key"},
                                    .proxy = {.url = "none"},
                                    .environment = {}}));
  }
  ProviderSetup provider_setup() const {
    const auto client = [](const char* id, const char* secret) {
      return json::object{{"client_id", id},
                          {"client_secret", secret},
                          {"token_endpoint_auth_method", "client_secret_basic"}};
    };
    json::object more;
    more["clients"] = json::array{client("ana", "ana-secret"), client("eve", "eve-secret")};
    return {
        .name = "login", .folder = stack.folder(), .host = "127.0.0.1", .tls = {}, .more = more};
  }
  // The root has the lane's key, and that of the sources of keys.
  void make_root() {
    const auto run = [&](std::vector<std::string> arguments) {
      const CliResult result = stack.notp({}, std::move(arguments));
      REQUIRE_MESSAGE(result.status == 0, result.error);
    };
    const auto first = stack.root_file();
    const auto draft = [&](int number) {
      return stack.file(fmt::format("draft-{}.envelope", number));
    };
    run({"keygen", "--out", stack.file("source")});
    run({"keygen", "--out", stack.file("lane")});
    const auto delegate = [&](const std::filesystem::path& from, const std::string& ledger,
                              const char* root, const std::filesystem::path& to) {
      run({"root", "add-key", from, "--role", "publisher", "--pattern", ledger, "--key",
           stack.file("source.pub"), "--content", "keys", "--data-root", root, "--out", to});
    };
    delegate(first, kLoginKeys, "keys/login", draft(1));
    delegate(draft(1), kTxnKeys, "keys/txn", draft(2));
    run({"root", "set-lane-key", draft(2), "--key", stack.file("lane.pub"), "--out", draft(3)});
    run({"root", "sign", draft(3), "--key", stack.file("root-key.key"), "--previous", first,
         "--yes"});
    std::filesystem::rename(draft(3), first);
  }
  void issue_certificates() {
    const auto server = [&](const std::string& name, const std::string& identity, bool client) {
      pki::LeafOptions leaf = stack.leaf("registry", name);
      leaf.uris = {identity};
      leaf.addresses = {"127.0.0.1"};
      leaf.client_auth = client;
      stack.issue(name, stack.authority(), leaf);
    };
    server("main", test_uri("registry", "main", kStackDomain), false);
    server("txn-tokens", kTokenService, false);
    stack.issue("gateway", stack.authority(), stack.leaf("source", "gateway"));
    shop = std::make_unique<TxnWorkload>(workload("workload/shop"));
    payer = std::make_unique<TxnWorkload>(workload("workload/refunds"));
  }
  void configure_registry() {
    json::object lane{{"name", "tokens"}, {"life_max_s", 43'200}};
    lane["attributes"] = json::array{"iss", "sub", "client", "scope", "aud", "exp", "iat", "sid"};
    lane["grants"] = json::array{json::object{{"nodes", json::array{"node/*"}}}};
    lane["sources"] = json::array{json::object{{"name", "gateway"}, {"kind", "http"}}};
    stack.registry_more["lanes"] =
        json::object{{"key", stack.file("lane.key").string()},
                     {"listen",
                      {{"address", fmt::format("127.0.0.1:{}", lane_port_)},
                       {"certificate", stack.file("pki/main.crt").string()},
                       {"key", stack.file("pki/main.key").string()},
                       {"client_ca", stack.authority_file().string()}}},
                     {"lanes", json::array{std::move(lane)}}};
    json::object login{{"name", "login"},
                       {"issuer", provider.issuer()},
                       {"ledger", kLoginKeys},
                       {"insecure_loopback", true}};
    json::object txn{{"name", "txn"},
                     {"issuer", issuer()},
                     {"ledger", kTxnKeys},
                     {"ca", stack.authority_file().string()}};
    // A node that is away holds a new key up for twice as long.
    json::object sources{{"key", stack.file("source.key").string()}, {"stale_after_s", 5}};
    sources["issuers"] = json::array{std::move(login), std::move(txn)};
    stack.registry_more["sources"] = std::move(sources);
    stack.registry_more["deny_list"] = kDenyList;
    stack.write_registry_config();
  }
  void publish_models() {
    REQUIRE(stack.published(stack.write_deny_list({}), kDenyList) == 1);
    REQUIRE(stack.published(stack.copy_example("txn/actors"), kActors) == 1);
    for (const auto& [model, ledger] :
         {std::pair{"txn/issuance", kIssuance}, {"txn/refunds", kRefunds}})
      REQUIRE(stack.published(stack.copy_example(model), ledger) == 1);
  }
  void start_nodes() {
    const std::vector<std::string> ledgers{kRefunds, kActors, kTxnKeys};
    edge = &stack.start_agent({.name = "edge", .ledgers = ledgers, .more = verify()});
    fed = &stack.start_agent({.name = "fed",
                              .ledgers = ledgers,
                              .pdp = "opa",
                              .opa_port = opa.port(),
                              .more = verify()});
    opa.start(*fed);
    write_config("shop.json", *shop, edge->url());
    write_config("payer.json", *payer, opa.url());
  }
  void write_config(const char* name, const TxnWorkload& who, const std::string& pdp) const {
    must(write_file(stack.file(name),
                    json::serialize(json::object{{"trust_domain", kStackDomain},
                                                 {"certificate", who.stem() + ".crt"},
                                                 {"key", who.stem() + ".key"},
                                                 {"ca", stack.authority_file().string()},
                                                 {"service",
                                                  {{"issuer", issuer()},
                                                   {"endpoint", issuer() + "/token"},
                                                   {"identity", kTokenService}}},
                                                 {"decision", pdp + "/v1/data/refunds/decision"},
                                                 {"broker", broker_->url()},
                                                 {"shop", kShop},
                                                 {"refunds", kPayer},
                                                 {"login",
                                                  {{"endpoint", provider.issuer() + "/token"},
                                                   {"client", "ana"},
                                                   {"secret", "ana-secret"}}},
                                                 {"paid", stack.file("paid").string()}})));
  }
  // The service signs with a key once every node has it.
  void wait_for_keys() {
    for (const std::string& ledger : {kRefunds, kActors})
      for (const Agent* agent : {edge, fed}) REQUIRE(stack.becomes_active(*agent, ledger, 1));
    TokenAnswer answer;
    const bool is_ready =
        wait_until([&] { return (answer = first(digest_of(job()))).status == 200; });
    REQUIRE_MESSAGE(is_ready, json::serialize(answer.body) << read_text(service->log_file()));
    // An OPA fetches the lane by itself, and believes no token before it has it.
    REQUIRE(wait_until([&] {
      const auto decided =
          opa.decide("refunds/decision", question("request", answer.token(), job()));
      return decided && text_at(*decided, "token") == "verified";
    }));
  }

  const int lane_port_ = free_port(), service_port_ = free_port();
  std::unique_ptr<Broker> broker_;
};

}  // namespace notp
