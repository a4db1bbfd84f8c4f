// A registry with a token lane, a source that pushes to it, and the example's policy about tokens.
#pragma once

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "common/http/client.hpp"
#include "common/jose/signing_key.hpp"
#include "common/jose/token.hpp"
#include "common/storage/files.hpp"
#include "protocol/feed/token_id.hpp"
#include "tests/support/process/stack.hpp"
#include "tests/support/wire/test_pki.hpp"

namespace notp {

inline const std::string kInvoices = "100000000000/invoices";
inline const std::string kInvoicesDecision = "invoices/decision";
inline const std::string kLaneIssuer = "https://login.core-platform.internal";
inline constexpr std::string_view kLaneName = "tokens";

inline int64_t seconds_now() { return read_clock().wall_ms / 1000; }

// Unless changed: everything about ana, for the audience "invoices", for ten minutes.
struct TestToken {
  std::string sub = "ana";
  std::string scope = "invoices.read invoices.write";
  std::string sid;
  int64_t iat_s = seconds_now();
  int64_t exp_s = seconds_now() + 600;

  json::object claims() const {
    json::object claims{{"iss", kLaneIssuer}, {"sub", sub}, {"client", "till"}};
    claims["aud"] = json::array{"invoices"};
    claims["scope"] = scope;
    claims["iat"] = iat_s;
    claims["exp"] = exp_s;
    if (!sid.empty()) claims["sid"] = sid;
    return claims;
  }
};

// The root that everybody pins has the key "lane", for a registry that is configured with it.
inline void set_lane_key(Stack& stack) {
  const auto first = stack.root_file(), next = stack.file("root-with-lane.envelope");
  const auto run = [&](std::vector<std::string> arguments) {
    const CliResult result = stack.notp({}, std::move(arguments));
    REQUIRE_MESSAGE(result.status == 0, result.error);
  };
  run({"keygen", "--out", stack.file("lane")});
  run({"root", "set-lane-key", first, "--key", stack.file("lane.pub"), "--out", next});
  run({"root", "sign", next, "--key", stack.file("root-key.key"), "--previous", first, "--yes"});
  std::filesystem::rename(next, first);
}

class LaneSite {
 public:
  // Further properties of the lane; they replace those of lane().
  explicit LaneSite(json::object more = {}) : lane_more_(std::move(more)) {
    set_lane_key(stack);
    stack.grant("admin", "revoke");
    source_ = stack.issue("gateway", stack.authority(), stack.leaf("source", "gateway"));
    pki::LeafOptions leaf = stack.leaf("registry", "main");
    leaf.addresses = {"127.0.0.1"};
    stack.issue("main", stack.authority(), leaf);
    client_ = std::make_unique<http::Client>(
        must(http::Client::open({.tls = {.authorities = stack.authority_file(),
                                         .certificate = source_ + ".crt",
                                         .private_key = source_ + ".key"},
                                 .proxy = {.url = "none"},
                                 .environment = {}})));
  }

  json::object lane() const {
    json::object lane{{"name", kLaneName}, {"life_max_s", 43'200}, {"source_rate", 100'000}};
    lane["attributes"] = json::array{"iss", "sub", "client", "scope", "aud", "exp", "iat", "sid"};
    lane["grants"] = json::array{json::object{{"nodes", json::array{"node/*"}}}};
    lane["sources"] = json::array{json::object{{"name", "gateway"}, {"kind", "http"}}};
    for (const auto& [name, value] : lane_more_) lane[name] = value;
    return lane;
  }

  // Starts the registry with the lane, and publishes the policy the first time.
  void start_registry() {
    stack.registry_more["lanes"] =
        json::object{{"key", stack.file("lane.key").string()},
                     {"listen",
                      {{"address", fmt::format("127.0.0.1:{}", port_)},
                       {"certificate", stack.file("pki/main.crt").string()},
                       {"key", stack.file("pki/main.key").string()},
                       {"client_ca", stack.authority_file().string()}}},
                     {"lanes", json::array{lane()}}};
    stack.write_registry_config();
    stack.start_registry();
    if (published_) return;
    REQUIRE(stack.published(write_policy(), kInvoices) == 1);
    published_ = true;
  }

  static json::object agent_lane(json::object more = {}) {
    json::object lane{{"name", kLaneName}, {"mode", "push"}};
    for (auto& [name, value] : more) lane[name] = std::move(value);
    return {{"lane", std::move(lane)}};
  }
  // Starts an agent that follows the lane, unless `setup.more` says otherwise.
  Agent& start_agent(AgentSetup setup) {
    setup.ledgers = {kInvoices};
    if (!setup.more.contains("lane"))
      for (auto& [name, value] : agent_lane()) setup.more[name] = value;
    return stack.start_agent(std::move(setup));
  }

  // Sends events as JSON lines, as the source "gateway".
  http::Response post(const std::string& lines) const {
    return must(client_->call_blocking({.method = "POST",
                                        .url = url(),
                                        .headers = {{"Content-Type", "application/x-ndjson"}},
                                        .body = lines,
                                        .deadline_ms = 30'000}));
  }
  void send(const std::vector<json::object>& events) const {
    std::string lines;
    for (const json::object& event : events) lines += json::serialize(event) + "\n";
    const http::Response answer = post(lines);
    REQUIRE_MESSAGE(answer.status == 202, answer.body);
    REQUIRE_MESSAGE(at(must(parse_json(answer.body)), "refused").as_array().empty(), answer.body);
  }
  void add(const std::string& token, const TestToken& what = {}) const {
    send({add_event(token, what)});
  }
  void del(const std::string& token) const { send({del_event(token)}); }
  // What was issued to the subject up to now.
  void revoke_subject(const std::string& sub, int64_t not_before_s = seconds_now()) const {
    send({json::object{
        {"op", "revoke"}, {"iss", kLaneIssuer}, {"sub", sub}, {"before", not_before_s}}});
  }
  static json::object add_event(const std::string& token, const TestToken& what = {}) {
    json::object event{{"op", "add"}, {"token", token}};
    event["attributes"] = what.claims();
    return event;
  }
  static json::object del_event(const std::string& token) {
    return {{"op", "del"}, {"token", token}};
  }

  // A JWT of the issuer, as the policy verifies it.
  std::string jwt(const TestToken& what = {}, json::object more = {}) const {
    json::object claims = what.claims();
    claims["aud"] = "invoices";
    for (auto& [name, value] : more) claims[name] = std::move(value);
    return must(jose::sign_token({{"kid", "login-1"}, {"typ", "at+jwt"}}, claims, key_));
  }

  std::string url() const {
    return fmt::format("https://127.0.0.1:{}/lane/{}/events", port_, kLaneName);
  }
  int port() const { return port_; }
  const std::string& source() const { return source_; }  // stem of its certificate

  Stack stack;

 private:
  // The example, with a key of this site in place of the ledger of keys.
  std::filesystem::path write_policy() {
    const std::filesystem::path folder = stack.copy_example("tokens/invoices");
    must(make_folders(folder / "keys/login"));
    json::value manifest = must(parse_json(read_text(folder / "manifest.json")));
    manifest.at("roots").as_array().emplace_back("keys/login");
    must(write_file(folder / "manifest.json", json::serialize(manifest)));
    must(write_file(folder / "keys/login/data.json",
                    json::serialize(json::object{
                        {"issuer", kLaneIssuer},
                        {"keys", json::array{key_.public_jwk("login-1").canonical()}}})));
    return folder;
  }

  const json::object lane_more_;
  const int port_ = free_port();
  const jose::SigningKey key_ = must(jose::SigningKey::generate(jose::Algorithm::kEs256));
  std::string source_;
  std::unique_ptr<http::Client> client_;
  bool published_ = false;
};

// What the policy says of a token; an undefined decision counts as a denial.
template <typename Node>
bool lets_in(const Node& node, const std::string& token, std::string_view method = "GET") {
  const auto answer =
      node.decide(kInvoicesDecision, json::object{{"method", method}, {"token", token}});
  return answer && at(*answer, "allow") == json::value(true);
}
template <typename Node>
std::string lane_state(const Node& node) {
  const auto answer = node.decide(kInvoicesDecision, json::object{{"method", "GET"}});
  return answer ? text_at(*answer, "lane.state") : "";
}

}  // namespace notp
