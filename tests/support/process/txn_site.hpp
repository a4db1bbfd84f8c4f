// A registry with a token lane and a Transaction Token Service: an agent whose keys the registry
// publishes, whose issuance model decides, and that follows the lane.
#pragma once

#include "tests/support/process/lane_site.hpp"

namespace notp {

inline const std::string kIssuance = "100000000000/issuance";
inline const std::string kTxnKeys = "200000000000/txn-keys";

// What a workload asks for; each member is a parameter of the form.
using TokenRequest = std::vector<std::pair<std::string, std::string>>;

inline std::string form_of(const TokenRequest& request) {
  constexpr std::string_view kPlain =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  std::string out;
  const auto add = [&](std::string_view text) {
    for (const char c : text)
      out += kPlain.contains(c) ? std::string(1, c)
                                : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  };
  for (const auto& [name, value] : request) {
    if (!out.empty()) out += '&';
    add(name);
    out += '=';
    add(value);
  }
  return out;
}

struct TokenAnswer {
  unsigned status = 0;
  json::object body;
  std::string retry_after, cache_control;

  std::string error() const { return text_at(body, "error"); }
  std::string token() const { return text_at(body, "access_token"); }
  // Of the token, unverified.
  json::object claims() const {
    const auto read = jose::read_token(token());
    REQUIRE_MESSAGE(read, json::serialize(body));
    return read->claims;
  }
};

// A workload with a certificate of the trust domain.
class Workload {
 public:
  Workload(const Stack& stack, std::string identity, std::string stem, std::string service)
      : identity_(std::move(identity)),
        stem_(std::move(stem)),
        service_(std::move(service)),
        client_(std::make_unique<http::Client>(
            must(http::Client::open({.tls = {.authorities = stack.authority_file(),
                                             .certificate = stem_ + ".crt",
                                             .private_key = stem_ + ".key"},
                                     .proxy = {.url = "none"},
                                     .environment = {}})))) {}

  const std::string& identity() const { return identity_; }
  const std::string& stem() const { return stem_; }

  http::Response call(const std::string& method, const std::string& path, std::string body = {},
                      std::string type = "application/x-www-form-urlencoded") const {
    return must(client_->call_blocking({.method = method,
                                        .url = service_ + path,
                                        .headers = {{"Content-Type", std::move(type)}},
                                        .body = std::move(body),
                                        .deadline_ms = 30'000}));
  }
  TokenAnswer ask_text(std::string body) const {
    const http::Response answer = call("POST", "/token", std::move(body));
    const auto parsed = parse_json(answer.body);
    TokenAnswer out{.status = answer.status, .body = {}};
    if (parsed && parsed->is_object()) out.body = parsed->get_object();
    out.retry_after = http::find_header(answer.headers, "Retry-After");
    out.cache_control = http::find_header(answer.headers, "Cache-Control");
    return out;
  }
  TokenAnswer ask(const TokenRequest& request) const { return ask_text(form_of(request)); }
  // Signed by the key of its certificate.
  std::string self_signed(const std::string& audience, const std::string& jti,
                          json::object more = {}) const {
    json::object claims{{"iss", identity_},     {"sub", identity_},          {"aud", audience},
                        {"iat", seconds_now()}, {"exp", seconds_now() + 50}, {"jti", jti}};
    for (auto& [name, value] : more) claims[name] = std::move(value);
    return must(
        jose::sign_token({{"typ", "JWT"}}, claims, must(jose::SigningKey::load(stem_ + ".key"))));
  }

 private:
  std::string identity_, stem_, service_;
  std::unique_ptr<http::Client> client_;
};

class TxnSite {
 public:
  explicit TxnSite(json::object lane_more = {}) : lane(std::move(lane_more)) {
    run({"keygen", "--out", stack.file("source")});
    delegate_keys();
    stack.grant("admin", "publish");
    stack.grant("admin", "audit");
    stack.registry_more["audit"] = json::object{{"seal_ms", 200}};
    pki::LeafOptions leaf = stack.leaf("node", "tts");
    leaf.addresses = {"127.0.0.1"};
    leaf.server_auth = true;
    stack.issue("tts-listener", stack.authority(), leaf);
    stack.registry_more["sources"] = json::object{
        {"key", stack.file("source.key").string()},
        {"issuers", json::array{json::object{{"name", "txn"},
                                             {"issuer", url()},
                                             {"ledger", kTxnKeys},
                                             {"ca", stack.authority_file().string()}}}}};
    stack.registry_more["deny_list"] = kDenyList;
  }

  // Starts the registry, publishes the models the first time, and starts the service.
  Agent& start() {
    start_registry();
    service_ = &stack.start_agent(setup());
    REQUIRE(stack.becomes_active(*service_, kIssuance, 1));
    // It was not there when the registry looked for its keys.
    REQUIRE(wait_until([&] {
      return stack.notp("eve", {"sources", "refresh", "txn"}).error_code() != "overloaded";
    }));
    issues();
    return *service_;
  }
  void start_registry() {
    lane.start_registry();
    if (std::exchange(published_, true)) return;
    REQUIRE(stack.published(write_issuance(), kIssuance) == 1);
    REQUIRE(stack.published(stack.write_deny_list({}), kDenyList) == 1);
  }
  AgentSetup setup() const {
    return {.name = "tts",
            .ledgers = {kInvoices, kIssuance, kTxnKeys, kDenyList},
            .more = {{"lane", json::object{{"name", kLaneName}}},
                     {"decisions", json::object{{"record", true}}},
                     {"txn", json::object{{"service", service_config()}}}}};
  }
  Agent& service() { return *service_; }
  // Waits until tokens can be issued: their key is known at all nodes.
  void issues() {
    const bool is_ready =
        wait_until([&] { return at(service_->status(), "txn.issues") == json::value(true); });
    REQUIRE_MESSAGE(is_ready, json::serialize(at(service_->status(), "txn"))
                                  << stack.notp("eve", {"sources", "show", "txn"}).output
                                  << read_text(service_->log_file()));
  }

  json::object service_config() const {
    json::object config{
        {"listen", json::object{{"address", fmt::format("127.0.0.1:{}", port_)},
                                {"certificate", stack.file("pki/tts-listener.crt").string()},
                                {"key", stack.file("pki/tts-listener.key").string()},
                                {"client_ca", stack.authority_file().string()}}},
        {"issuer", url()},
        {"keys", json::object{{"name", "txn"}, {"ledger", kTxnKeys}}},
        {"subjects", json::array{json::object{{"issuer", kLaneIssuer},
                                              {"keys", "login"},
                                              {"audience", "invoices"},
                                              {"types", json::array{"access_token", "id_token"}},
                                              {"algorithms", json::array{"ES256"}}}}},
        {"deny_list", kDenyList},
        {"admins", json::array{fmt::format("spiffe://{}/admin/*", kStackDomain)}}};
    for (const auto& [name, value] : service_more) config[name] = value;
    return config;
  }

  // A workload of any SPIFFE id of the trust domain.
  Workload workload(const std::string& path) {
    const std::string identity = fmt::format("spiffe://{}/{}", kStackDomain, path);
    std::string stem = path;
    std::ranges::replace(stem, '/', '-');
    pki::LeafOptions leaf = stack.leaf("node", "workload");
    leaf.uris = {identity};
    return {stack, identity, stack.issue(stem, stack.authority(), leaf), url()};
  }
  // What the workload asks for with an access token of ana.
  TokenRequest request(const std::string& subject_token) const {
    return {{"grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"},
            {"audience", std::string(kStackDomain)},
            {"scope", "invoice.pay"},
            {"requested_token_type", "urn:ietf:params:oauth:token-type:txn_token"},
            {"subject_token", subject_token},
            {"subject_token_type", "urn:ietf:params:oauth:token-type:access_token"},
            {"request_details", R"({"invoice": "i-1"})"}};
  }
  static TokenRequest with(TokenRequest request, const std::string& name, std::string value) {
    for (auto& [key, old] : request)
      if (key == name) {
        old = std::move(value);
        return request;
      }
    request.emplace_back(name, std::move(value));
    return request;
  }
  std::string url() const { return fmt::format("https://127.0.0.1:{}", port_); }

  LaneSite lane;
  Stack& stack = lane.stack;
  json::object service_more;  // further properties of the service

  static constexpr std::string_view kShop = "ns/shop/sa/till", kWorker = "ns/back/sa/worker";

 private:
  void run(std::vector<std::string> arguments) {
    const CliResult result = stack.notp({}, std::move(arguments));
    REQUIRE_MESSAGE(result.status == 0, result.error);
  }
  void delegate_keys() {
    const auto first = stack.root_file(), next = stack.file("root-with-txn-keys.envelope");
    run({"root", "add-key", first, "--role", "publisher", "--pattern", kTxnKeys, "--key",
         stack.file("source.pub"), "--content", "keys", "--data-root", "keys/txn", "--out", next});
    run({"root", "sign", next, "--key", stack.file("root-key.key"), "--previous", first, "--yes"});
    std::filesystem::rename(next, first);
  }
  std::filesystem::path write_issuance() const {
    const std::filesystem::path folder = stack.file("models/issuance");
    must(make_folders(folder / "txn"));
    must(write_file(folder / "manifest.json", R"({"metadata": {"name": "issuance"},
        "runtimes": {"rego": {"language": {"name": "rego", "version": "1"}}},
        "partitions": {"/": {"runtime": "rego"}}, "roots": ["txn"]})"));
    must(write_file(folder / "txn/issue.rego", R"(package txn

shop := "spiffe://core-platform.internal/ns/shop/sa/till"

worker := "spiffe://core-platform.internal/ns/back/sa/worker"

default issue := {"allow": false, "reason": "this workload may not ask"}

# For ana, by her token.
issue := {
	"allow": true,
	"sub": subject,
	"scope": input.request.scope,
	"covers": [{"scope": scope, "by": "invoices.write"} | some scope in input.request.scope],
	"tctx": {"invoice": input.request.details.invoice},
	"lifetime_s": 60,
	"delegate": true,
} if {
	input.client == shop
	input.subject.type == "access_token"
}

# For itself: what the model grants to it.
issue := {
	"allow": true,
	"sub": input.client,
	"scope": input.request.scope,
	"covers": [{"scope": scope, "entitlement": "reports"} | some scope in input.request.scope],
	"lifetime_s": 60,
} if {
	input.client == worker
	input.subject.type == "self_signed"
	not input.grant.id
}

# For whom the grant is.
issue := {"allow": true, "scope": input.request.scope, "tctx": {"invoice": input.request.details.invoice}} if {
	input.client == worker
	input.grant.id
}

# A policy with a mistake.
subject := "" if {
	input.request.details.invoice == "broken"
} else := input.subject.claims.sub
)"));
    return folder;
  }

  const int port_ = free_port();
  Agent* service_ = nullptr;
  bool published_ = false;
};

}  // namespace notp
