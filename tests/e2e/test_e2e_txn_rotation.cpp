// The service's keys rotate while it issues: no node that is online meets a key that it lacks. With
// NOTP_TXN_ROTATION "<verifying agents>,<acknowledging agents>,<changes>,<tokens a second>" of
// other sizes.
#include <doctest/doctest.h>

#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <list>
#include <mutex>
#include <thread>

#include "tests/support/process/txn_keys.hpp"
#include "tests/support/process/txn_site.hpp"
#include "tests/support/results.hpp"
#include "tools/bench/http_load.hpp"

namespace notp {
namespace {

using std::chrono::steady_clock;

const std::string kGate = "100000000000/gate";

constexpr const char* kGatePolicy = R"(package gate

verified := data.system.notp.txn.verify(input.txn_token).txn

state := data.system.notp.txn.state(input.txn_token)
)";

struct Size {
  int verifiers = 2, followers = 3;
  size_t changes = 3;
  double rate = 50;  // requests for tokens a second
};
Size size_of_run() {
  Size out;
  const char* const text = std::getenv("NOTP_TXN_ROTATION");
  if (text != nullptr)
    REQUIRE(std::sscanf(text, "%d,%d,%zu,%lf", &out.verifiers, &out.followers, &out.changes,
                        &out.rate) == 4);
  return out;
}

// Agents of one stack that verify, and others that only acknowledge.
struct Nodes {
  Nodes(Stack& stack, const std::string& keys, const Size& size) {
    must(make_folders(stack.file("gate/gate")));
    must(
        write_file(stack.file("gate/manifest.json"), json::serialize(manifest_of("gate", "gate"))));
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

// What is known of the tokens of one key.
struct KeyUse {
  std::string newest;  // token
  steady_clock::time_point first_issued, last_issued;
  uint64_t issued = 0, verified = 0, failed = 0;
};

// The tokens that were issued, by the key that signed them, and what verifying agents say of them.
class Issued {
 public:
  void add(std::string token) {
    const auto now = steady_clock::now();
    std::string header = token.substr(0, token.find('.'));
    const std::lock_guard lock(mutex_);
    const auto [at, is_new] = keys_.try_emplace(std::move(header));
    if (is_new) {
      at->second.first_issued = now;
      order_.push_back(at->first);
    }
    KeyUse& key = at->second;
    ++key.issued;
    // One in a while is enough: each agent is asked at a bounded rate.
    if (is_new || now - key.last_issued > kRenew) {
      key.newest = std::move(token);
      key.last_issued = now;
    }
    if (is_new) changed_.notify_all();
  }
  size_t keys() const {
    const std::lock_guard lock(mutex_);
    return order_.size();
  }
  // The newest token of each key whose tokens live: that of the newest key first. Waits until there
  // is another key than the caller knows, `pause` at most.
  std::vector<std::pair<std::string, std::string>> alive(size_t known, milliseconds pause) const {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, pause, [&] { return order_.size() > known; });
    std::vector<std::pair<std::string, std::string>> out;
    for (auto at = order_.rbegin(); at != order_.rend(); ++at)
      if (const KeyUse& key = keys_.at(*at); steady_clock::now() - key.last_issued < kAlive)
        out.emplace_back(*at, key.newest);
    return out;
  }
  void judged(const std::string& key, bool is_good, const std::string& state) {
    const std::lock_guard lock(mutex_);
    ++(is_good ? keys_.at(key).verified : keys_.at(key).failed);
    if (!is_good) ++states_[state];
  }
  // In the order of their first use.
  std::vector<KeyUse> all() const {
    const std::lock_guard lock(mutex_);
    std::vector<KeyUse> out;
    for (const std::string& header : order_) out.push_back(keys_.at(header));
    return out;
  }
  uint64_t failed() const {
    uint64_t out = 0;
    for (const KeyUse& key : all()) out += key.failed;
    return out;
  }
  uint64_t verified() const {
    uint64_t out = 0;
    for (const KeyUse& key : all()) out += key.verified;
    return out;
  }
  std::string text() const {
    std::string out;
    const auto uses = all();
    for (const KeyUse& key : uses) {
      const std::chrono::duration<double> at = key.first_issued - uses.front().first_issued;
      out += fmt::format("\n  key from {:5.1f} s: {:6} issued, {:5} verified, {} failed",
                         at.count(), key.issued, key.verified, key.failed);
    }
    const std::lock_guard lock(mutex_);
    for (const auto& [state, count] : states_) out += fmt::format("\n  {} x {}", state, count);
    return out;
  }

 private:
  static constexpr milliseconds kRenew{50};
  // A token of this test lives for 60 s.
  static constexpr std::chrono::seconds kAlive{45};

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::map<std::string, KeyUse> keys_;  // by the header of their tokens
  std::vector<std::string> order_;
  std::map<std::string, uint64_t> states_;  // of those that failed
};

// Asks each agent about tokens of all keys: of a new key at once, then in turn.
class Verifying {
 public:
  Verifying(const std::vector<Agent*>& agents, Issued& issued) {
    for (const Agent* agent : agents)
      threads_.emplace_back(
          [agent, &issued](const std::stop_token& stop) { run(*agent, issued, stop); });
  }
  void stop() { threads_.clear(); }

 private:
  static constexpr milliseconds kPause{200};

  static void run(const Agent& agent, Issued& issued, const std::stop_token& stop) {
    size_t known = 0;
    for (size_t turn = 0; !stop.stop_requested(); ++turn) {
      const auto alive = issued.alive(known, kPause);
      known = std::max(known, issued.keys());
      if (alive.empty()) continue;
      check(agent, issued, alive.front());
      if (alive.size() > 1) check(agent, issued, alive[1 + turn % (alive.size() - 1)]);
    }
  }
  static void check(const Agent& agent, Issued& issued,
                    const std::pair<std::string, std::string>& token) {
    const json::object input{{"txn_token", token.second}};
    const bool is_good = agent.decide("gate/verified", input).has_value();
    std::string state;
    if (!is_good) {
      const auto answer = agent.decide("gate/state", input);
      state = answer ? json::serialize(*answer) : "undefined";
    }
    issued.judged(token.first, is_good, state);
  }

  std::vector<std::jthread> threads_;
};

// Asks for tokens at a rate, over kept connections of one workload.
class IssueLoad {
 public:
  IssueLoad(const TxnSite& site, const Workload& who, const TokenRequest& request, double rate,
            Issued& issued)
      : thread_([&, rate](const std::stop_token& stop) {
          const std::string body = form_of(request);
          const auto port =
              static_cast<uint16_t>(std::stoi(site.url().substr(site.url().rfind(':') + 1)));
          bench::LoadPlan plan;
          plan.address.port = port;
          plan.connections = kConnections;
          plan.identities = {must(bench::LoadTls::make(who.stem() + ".crt", who.stem() + ".key",
                                                       site.stack.authority_file()))};
          plan.requests = {fmt::format(
              "POST /token HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n"
              "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{}",
              port, body.size(), body)};
          plan.judge = [&](size_t, const bench::HttpAnswer& answer) {
            const auto document =
                answer.status == 200 ? parse_json(answer.body) : fail(ErrorCode::kMessage, "");
            if (!document) return bench::Verdict::kWrong;
            issued.add(text_at(*document, "access_token"));
            return bench::Verdict::kRight;
          };
          plan.rate = rate;
          plan.seconds = kSecondsMax;
          plan.stop = stop;
          figures_ = bench::run_load(plan);
        }) {}
  bench::LoadFigures finish() {
    thread_.request_stop();
    thread_.join();
    return must(std::move(figures_));
  }

 private:
  static constexpr size_t kConnections = 16;
  static constexpr double kSecondsMax = 900;

  Result<bench::LoadFigures> figures_ = fail(ErrorCode::kInternal, "not run");
  std::jthread thread_;  // last: it uses the rest
};

TEST_CASE("keys rotate under issues, and every node that is online verifies each token at once") {
  const Size size = size_of_run();
  TxnSite site;
  site.service_more["keys"] = json::object{{"name", "txn"}, {"ledger", kTxnKeys}, {"rotate_s", 10}};
  site.service_more["limits"] = json::object{{"at_once", 64}, {"per_second", 100'000}};
  site.start();
  const Nodes nodes(site.stack, kTxnKeys, size);
  const Workload shop = site.workload(std::string(TxnSite::kShop));
  const TokenRequest request = site.request(site.lane.jwt({.exp_s = seconds_now() + 3'600}));
  for (const Agent* agent : nodes.verifying)
    REQUIRE(wait_until([&] {
      return agent->decide("gate/verified", json::object{{"txn_token", shop.ask(request).token()}})
          .has_value();
    }));

  Issued issued;
  Verifying verifying(nodes.verifying, issued);
  IssueLoad load(site, shop, request, size.rate, issued);
  const bool has_rotated = wait_until(
      [&] {
        const auto uses = issued.all();
        // The newest one has been tried everywhere.
        return uses.size() > size.changes && uses.back().verified >= 2 * nodes.verifying.size();
      },
      std::chrono::minutes(12));
  verifying.stop();
  const bench::LoadFigures figures = load.finish();
  const double issue_rate = static_cast<double>(figures.answers) / figures.seconds;
  MESSAGE(fmt::format(
      "{} keys in {:.0f} s, {} tokens ({:.0f}/s of {:.0f}, p50 {:.1f} ms, p99 {:.1f} ms), {} not "
      "issued {}, verified {}, failed {}{}",
      issued.keys(), figures.seconds, figures.answers, issue_rate, size.rate, figures.latency.p50(),
      figures.latency.p99(), figures.failed, figures.first_failure, issued.verified(),
      issued.failed(), issued.text()));
  CHECK(has_rotated);
  CHECK(figures.failed == 0);
  CHECK(issued.failed() == 0);
  for (const KeyUse& key : issued.all()) CHECK(key.verified >= nodes.verifying.size());
  // They were used because nodes have them, not because the time was over.
  size_t changes = 0;
  for (const json::value& line : log_lines(site.service().log_file()))
    if (text_at(line, "event") == "txn_key_in_use") {
      CHECK(at(line, "all_have_it") == json::value(true));
      ++changes;
    }
  CHECK(changes >= size.changes);
  record_result(
      fmt::format("keys of a token service rotated every 10 s, {} agents that verify and {} that "
                  "acknowledge",
                  size.verifiers, size.followers),
      fmt::format("{} keys, {} tokens ({:.0f}/s of {:.0f} asked for, p99 {:.1f} ms)", issued.keys(),
                  figures.answers, issue_rate, size.rate, figures.latency.p99()),
      fmt::format("{} verified, {} failed", issued.verified(), issued.failed()));
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
  const TokenAnswer token = shop.ask(TxnSite::with(site.request(site.lane.jwt()), "request_details",
                                                   site.delegate_to(TxnSite::kWorker)));
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
  Size size = size_of_run();
  size.followers = std::min(size.followers, 3);  // nobody waits for them
  Stack stack;
  stack.grant("admin", "publish");
  stack.write_registry_config();
  stack.start_registry();
  KeyLedger ledger(stack);
  const Signer first;
  ledger.publish({&first});
  const Nodes nodes(stack, kIssuers, size);
  const auto become_active = [&] {
    for (Agent* agent : nodes.verifying)
      REQUIRE(stack.becomes_active(*agent, kIssuers, ledger.version()));
  };
  become_active();
  Issued issued;
  issued.add(first.token("t-1"));
  Verifying verifying(nodes.verifying, issued);
  const auto all_judge = [&](size_t key) {
    REQUIRE(wait_until([&] {
      const KeyUse use = issued.all().at(key);
      return use.verified + use.failed >= nodes.verifying.size();
    }));
  };
  all_judge(0);
  CHECK(issued.failed() == 0);
  std::list<Signer> signers;
  std::vector<const Signer*> all{&first};
  for (size_t change = 1; change <= size.changes; ++change) {
    all.push_back(&signers.emplace_back());
    issued.add(all.back()->token("t-1"));
    all_judge(change);
    const uint64_t failed = issued.all().at(change).failed;
    CHECK(failed >= nodes.verifying.size());
    ledger.publish(all);
    become_active();
    const uint64_t verified = issued.all().at(change).verified;
    REQUIRE(wait_until(
        [&] { return issued.all().at(change).verified >= verified + nodes.verifying.size(); }));
  }
  verifying.stop();
  MESSAGE(fmt::format("{} changes, verified {}, failed {}{}", size.changes, issued.verified(),
                      issued.failed(), issued.text()));
  CHECK(issued.failed() >= size.changes * nodes.verifying.size());
  CHECK(issued.text().contains("unknown_key"));
  record_result(
      fmt::format("the control: keys used as soon as they are made, {} agents that verify",
                  size.verifiers),
      fmt::format("{} keys", size.changes + 1),
      fmt::format("{} verified, {} failed", issued.verified(), issued.failed()));
}

}  // namespace
}  // namespace notp
