// The service's keys rotate while it issues: no node that is online meets a key that it lacks. With
// NOTP_TXN_ROTATION "<verifying agents>,<acknowledging agents>,<changes>" of other sizes.
#include <doctest/doctest.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <set>
#include <thread>

#include "common/mutex.hpp"
#include "tests/support/process/txn_site.hpp"

namespace notp {
namespace {

const std::string kGate = "100000000000/gate";

constexpr const char* kGatePolicy = R"(package gate

verified := data.system.notp.txn.verify(input.txn_token).txn

state := data.system.notp.txn.state(input.txn_token)
)";

struct Size {
  int verifiers = 2, followers = 3;
  size_t changes = 3;
};
Size size_of_run() {
  Size out;
  const char* const text = std::getenv("NOTP_TXN_ROTATION");
  if (text != nullptr)
    REQUIRE(std::sscanf(text, "%d,%d,%zu", &out.verifiers, &out.followers, &out.changes) == 3);
  return out;
}

json::object gate_manifest(const std::string& name, const std::string& root) {
  json::object manifest{
      {"metadata", {{"name", name}}},
      {"runtimes", {{"rego", {{"language", {{"name", "rego"}, {"version", "1"}}}}}}},
      {"partitions", {{"/", {{"runtime", "rego"}}}}}};
  manifest["roots"] = json::array{root};
  return manifest;
}

// Agents of one stack that verify, and others that only acknowledge.
struct Nodes {
  Nodes(Stack& stack, const std::string& keys, const Size& size) {
    must(make_folders(stack.file("gate/gate")));
    must(write_file(stack.file("gate/manifest.json"),
                    json::serialize(gate_manifest("gate", "gate"))));
    must(write_file(stack.file("gate/gate/gate.rego"), kGatePolicy));
    REQUIRE(stack.published(stack.file("gate"), kGate) == 1);
    for (int i = 0; i < size.verifiers; ++i)
      verifying.push_back(&stack.start_agent(
          {.name = fmt::format("verifier-{}", i),
           .ledgers = {kGate, keys},
           .more = {{"txn", json::object{{"verify", json::object{{"keys", "txn"}}}}}}}));
    for (int i = 0; i < size.followers; ++i) {
      const auto folder = stack.file(fmt::format("follower-{}", i));
      must(make_folders(folder));
      json::object pdp{{"path", (folder / "current").string()}};
      pdp["hook"] = json::array{"/bin/true"};
      stack.start_agent(
          {.name = fmt::format("follower-{}", i),
           .ledgers = {keys},
           .pdp = "folder",
           .more = {{"pdp", json::object{{"kind", "folder"}, {"folder", std::move(pdp)}}}}});
    }
    for (Agent* agent : verifying) REQUIRE(stack.becomes_active(*agent, kGate, 1));
  }
  std::vector<Agent*> verifying;
};

// Verifies each token at each agent at once, by a thread for each.
struct Checks {
  std::atomic<uint64_t> verified = 0, failed = 0;
  Mutex mutex;
  std::map<std::string, uint64_t> states NOTP_GUARDED_BY(mutex);  // of those that failed

  void check(const std::vector<Agent*>& agents, const std::string& token) {
    std::vector<std::jthread> threads;
    for (const Agent* agent : agents)
      threads.emplace_back([&, agent] {
        const json::object input{{"txn_token", token}};
        if (agent->decide("gate/verified", input)) {
          ++verified;
          return;
        }
        ++failed;
        const auto state = agent->decide("gate/state", input);
        const MutexLock lock(mutex);
        ++states[state ? json::serialize(*state) : "undefined"];
      });
  }
  std::string text() {
    const MutexLock lock(mutex);
    std::string out;
    for (const auto& [state, count] : states) out += fmt::format(" {} x {}", state, count);
    return out;
  }
};

TEST_CASE("keys rotate under issues, and every node that is online verifies each token at once") {
  const Size size = size_of_run();
  TxnSite site;
  site.service_more["keys"] = json::object{{"name", "txn"}, {"ledger", kTxnKeys}, {"rotate_s", 10}};
  site.service_more["limits"] = json::object{{"at_once", 64}, {"per_second", 100'000}};
  site.start();
  const Nodes nodes(site.stack, kTxnKeys, size);
  const Workload shop = site.workload(std::string(TxnSite::kShop));
  const TokenRequest request = site.request(site.lane.jwt());
  for (const Agent* agent : nodes.verifying)
    REQUIRE(wait_until([&] {
      return agent->decide("gate/verified", json::object{{"txn_token", shop.ask(request).token()}})
          .has_value();
    }));

  Checks checks;
  std::set<std::string> kids;
  uint64_t issued = 0;
  const TimeMs begin_ms = read_clock().boot_ms;
  const bool has_rotated = wait_until(
      [&] {
        const TokenAnswer answer = shop.ask(request);
        REQUIRE_MESSAGE(answer.status == 200, json::serialize(answer.body));
        ++issued;
        kids.insert(must(jose::read_token(answer.token())).kid);
        checks.check(nodes.verifying, answer.token());
        return kids.size() > size.changes;
      },
      std::chrono::minutes(10));
  const double seconds = static_cast<double>(read_clock().boot_ms - begin_ms) / 1000;
  MESSAGE(fmt::format("{} keys in {:.0f} s, {} tokens ({:.0f}/s), verified {}, failed {}{}",
                      kids.size(), seconds, issued, static_cast<double>(issued) / seconds,
                      checks.verified.load(), checks.failed.load(), checks.text()));
  CHECK(has_rotated);
  CHECK(checks.verified.load() == issued * nodes.verifying.size());
  CHECK(checks.failed.load() == 0);
  // They were used because nodes have them, not because the time was over.
  for (const json::value& line : log_lines(site.service().log_file()))
    if (text_at(line, "event") == "txn_key_in_use")
      CHECK(at(line, "all_have_it") == json::value(true));
}

TEST_CASE("an administrator lists and ends keys and grants from the command line, others do not") {
  TxnSite site;
  Agent& service = site.start();
  const auto ask = [&](const std::string& who, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "txn");
    arguments.insert(arguments.end(), {"--service", site.url()});
    return site.stack.notp(who, std::move(arguments));
  };
  const auto answered = [&](std::vector<std::string> arguments) {
    const CliResult result = ask("eve", std::move(arguments));
    REQUIRE_MESSAGE(result.status == 0, result.error);
    return must(parse_json(result.output));
  };
  const auto in_use = [&] {
    for (const json::value& key : at(answered({"keys", "list"}), "keys").as_array())
      if (text_at(key, "state") == "in_use") return text_at(key, "kid");
    return std::string();
  };
  const std::string kid = in_use();
  CHECK(kid == text_at(service.status(), "txn.kid"));
  CHECK(ask("alice", {"keys", "list"}).status == error_traits(ErrorCode::kDenied).exit);
  CHECK(ask("alice", {"keys", "revoke-key", kid}).status == error_traits(ErrorCode::kDenied).exit);
  CHECK(in_use() == kid);
  CHECK(ask("eve", {"keys", "revoke-key", "unknown"}).status ==
        error_traits(ErrorCode::kNotFound).exit);
  CHECK(text_at(answered({"keys", "revoke-key", kid}), "revoked") == kid);
  REQUIRE(wait_until([&] { return !in_use().empty(); }));
  CHECK(in_use() != kid);

  const Workload shop = site.workload(std::string(TxnSite::kShop));
  const TokenAnswer token = shop.ask(TxnSite::with(
      site.request(site.lane.jwt()), "request_details",
      fmt::format(
          R"({{"invoice": "i-1", "delegate": {{"to": "spiffe://{}/{}", "scope": "invoice.pay", "not_after": {}}}}})",
          kStackDomain, TxnSite::kWorker, seconds_now() + 600)));
  REQUIRE_MESSAGE(token.status == 200, json::serialize(token.body));
  const json::value grants = answered({"grants", "list", "--client", shop.identity()});
  REQUIRE(at(grants, "grants").as_array().size() == 1);
  CHECK(text_at(at(grants, "grants").as_array()[0], "id") == text_at(token.body, "grant"));
  CHECK(ask("eve", {"grants", "revoke"}).status == exit_code::kUsage);
  const std::string txn = text_at(token.claims(), "txn");
  CHECK(number_at(answered({"grants", "revoke", "--txn", txn}), "grants") == 1);
  CHECK(at(answered({"grants", "list"}), "grants").as_array().empty());
}

// The control: a service that publishes a key and signs with it at once.
TEST_CASE("a key that is used at once is not known everywhere, and the measurement sees that") {
  const Size size = size_of_run();
  Stack stack;
  stack.grant("admin", "publish");
  stack.write_registry_config();
  stack.start_registry();
  const std::string ledger = "100000000000/issuers", issuer = "https://tts.core-platform.internal";
  json::array keys;
  int64_t version = 0;
  const auto rotate = [&] {
    const auto key = must(jose::SigningKey::generate(jose::Algorithm::kEs256));
    const std::string kid = key.public_jwk().thumbprint();
    keys.push_back(key.public_jwk(kid).canonical());
    must(make_folders(stack.file("issuers/keys/txn")));
    must(write_file(stack.file("issuers/manifest.json"),
                    json::serialize(gate_manifest("issuers", "keys/txn"))));
    must(write_file(stack.file("issuers/keys/txn/data.json"),
                    json::serialize(json::object{{"issuer", issuer}, {"keys", keys}})));
    return std::pair(kid, key);
  };
  const auto token_of = [&](const std::pair<std::string, jose::SigningKey>& key) {
    const int64_t now_s = seconds_now();
    return must(jose::sign_token({{"typ", "txntoken+jwt"}, {"kid", key.first}},
                                 {{"iss", issuer},
                                  {"iat", now_s},
                                  {"exp", now_s + 60},
                                  {"aud", kStackDomain},
                                  {"txn", "t-1"},
                                  {"sub", "ana"},
                                  {"scope", "read"},
                                  {"req_wl", "spiffe://core-platform.internal/workload/shop"}},
                                 key.second));
  };
  const auto first = rotate();
  REQUIRE(stack.published(stack.file("issuers"), ledger) == ++version);
  const Nodes nodes(stack, ledger, size);
  for (Agent* agent : nodes.verifying) REQUIRE(stack.becomes_active(*agent, ledger, version));
  Checks checks;
  checks.check(nodes.verifying, token_of(first));
  REQUIRE(checks.failed.load() == 0);
  for (size_t change = 0; change < size.changes; ++change) {
    const auto next = rotate();
    checks.check(nodes.verifying, token_of(next));
    REQUIRE(stack.published(stack.file("issuers"), ledger) == ++version);
    for (Agent* agent : nodes.verifying) REQUIRE(stack.becomes_active(*agent, ledger, version));
    checks.check(nodes.verifying, token_of(next));
  }
  MESSAGE(fmt::format("{} changes, verified {}, failed {}{}", size.changes, checks.verified.load(),
                      checks.failed.load(), checks.text()));
  CHECK(checks.failed.load() == size.changes * nodes.verifying.size());
  CHECK(checks.text().contains("unknown_key"));
  CHECK(checks.verified.load() >= (size.changes + 1) * nodes.verifying.size());
}

}  // namespace
}  // namespace notp
