// A registry with a token lane and a Transaction Token Service: an agent whose keys the registry
// publishes, whose issuance model decides, and that follows the lane.
#pragma once

#include "tests/support/process/lane_site.hpp"
#include "tests/support/process/txn_workload.hpp"

namespace notp {

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
  // request_details of a token with a grant for a workload; `more` members of it begin with a
  // comma.
  std::string delegate_to(std::string_view path, std::string_view more = "") const {
    return fmt::format(
        R"({{"invoice": "i-1", "delegate": {{"to": "spiffe://{}/{}", "scope": "invoice.pay", "not_after": {}{}}}}})",
        kStackDomain, path, seconds_now() + 600, more);
  }
  TokenRequest redeem(const Workload& worker, const std::string& grant,
                      const std::string& jti) const {
    TokenRequest asked = request(worker.self_signed(url(), jti));
    asked = with(std::move(asked), "subject_token_type",
                 "urn:ietf:params:oauth:token-type:self_signed");
    return with(std::move(asked), "request_details",
                fmt::format(R"({{"invoice": "i-1", "grant": "{}"}})", grant));
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
