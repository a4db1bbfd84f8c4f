// A registry that was restored gets back from its nodes what came after the backup: with real
// programs, lying nodes, and a registry that is killed at every step.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <chrono>
#include <csignal>
#include <thread>

#include "common/http/client.hpp"
#include "common/storage/files.hpp"
#include "protocol/wire/frame.hpp"
#include "tests/support/process/git.hpp"
#include "tests/support/process/root_signing.hpp"
#include "tests/support/wire/test_pki.hpp"
#include "tests/support/wire/tls_client.hpp"

namespace notp {
namespace {

namespace fs = std::filesystem;

// The most that a recovery may take.
constexpr double kRecoverySeconds = 120;

// What Git has of one release, apart from who stored it.
struct StoredRelease {
  std::string envelope;  // as the tag has it
  std::string tree;
  std::string root;  // of the content
  bool operator==(const StoredRelease&) const = default;
};

std::string between(const std::string& text, const std::string& from, const std::string& to) {
  const size_t begin = text.find(from), end = text.find(to);
  REQUIRE(begin != std::string::npos);
  REQUIRE(end != std::string::npos);
  return text.substr(begin + from.size(), end - begin - from.size());
}

struct Site {
  Stack stack{{.freshness_interval_s = 1}};
  const int health_port = free_port();
  const fs::path payments = stack.copy_example("payments");
  const fs::path gateway = stack.copy_example("api-gateway");
  const fs::path data = stack.file("registry.data"), backup = stack.file("backup");

  Site() {
    stack.grant("admin", "trust");
    stack.registry_more["health_listen"] = fmt::format("127.0.0.1:{}", health_port);
    stack.write_registry_config();
    stack.start_registry();
  }

  Agent& start_node(const std::string& name, int releases_kept = 8) {
    return stack.start_agent({.name = name,
                              .ledgers = {kPayments, kGateway},
                              .more = {{"releases_kept", releases_kept}}});
  }
  void publish_payments(int64_t version) {
    set_single_approval_max(payments, 100'000 + version);
    REQUIRE(stack.published(payments, kPayments) == version);
  }
  void publish_gateway(int64_t version) {
    fs::create_directories(gateway / "gateway/note");
    must(write_file(gateway / "gateway/note/data.json", fmt::format("{{\"n\": {}}}", version)));
    REQUIRE(stack.published(gateway, kGateway) == version);
  }
  void active(std::initializer_list<Agent*> agents, const std::string& ledger, int64_t version) {
    for (Agent* agent : agents) REQUIRE(stack.becomes_active(*agent, ledger, version));
  }

  // An edit of the root: one more key for freshness.
  RootSigning::Words later_key() {
    REQUIRE(stack.notp({}, {"keygen", "--out", stack.file("later")}).status == 0);
    return {"add-key", "--role", "freshness", "--key", stack.file("later.pub")};
  }

  void back_up() { server({"backup", backup}); }
  // The folder is lost, and comes from the backup.
  void restore() {
    fs::remove_all(data);
    server({"restore", backup});
  }
  void server(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(),
                     {stack.program("notp-server"), "--config", stack.file("registry.yaml")});
    Process process({.command = std::move(arguments),
                     .folder = stack.folder(),
                     .environment = {},
                     .output_file = stack.file("server.out"),
                     .error_file = stack.file("server.err")});
    REQUIRE_MESSAGE(process.wait() == 0, process.error());
  }

  std::map<std::string, StoredRelease> stored(const std::string& ledger, int64_t versions) const {
    std::map<std::string, StoredRelease> out;
    const fs::path repository = stack.repository(ledger);
    for (int64_t version = 1; version <= versions; ++version) {
      const std::string name = fmt::format("v{}", version);
      const std::string tag = git(repository, {"cat-file", "tag", name});
      const std::string commit = git(repository, {"cat-file", "commit", name + "^{commit}"});
      out[name] = {between(tag, "-----BEGIN NOTP ENVELOPE-----", "-----END NOTP ENVELOPE-----"),
                   git(repository, {"rev-parse", name + "^{tree}"}),
                   commit.substr(commit.find("Notp-Content-Root: "))};
    }
    return out;
  }

  CliResult publish_as_bob() {
    return stack.notp("bob", {"publish", payments, "--ledger", kPayments, "--onto-head"});
  }
  // With status 1 it has a document, too.
  CliResult plan() {
    CliResult out = stack.notp("eve", {"registry", "recover", "--plan"});
    if (auto document = parse_json(out.output)) out.document = *std::move(document);
    return out;
  }
  // The row of a ledger in the plan; null when there is none.
  json::value planned(const std::string& ledger) {
    const CliResult result = plan();
    if (!at(result.document, "ledgers").is_array()) return {};
    for (const json::value& row : at(result.document, "ledgers").as_array())
      if (text_at(row, "ledger") == ledger) return row;
    return {};
  }
  // All nodes are heard, and at least this many hold the newest release of the ledger.
  bool is_held(const std::string& ledger, int64_t newest, int64_t holders, int64_t missing = 0) {
    return wait_until([&] {
      const json::value row = planned(ledger);
      return number_at(row, "newest_version") == newest && number_at(row, "holders") >= holders &&
             number_at(row, "missing") == missing && number_at(plan().document, "silent") == 0;
    });
  }
  CliResult recover(std::vector<std::string> more = {}) {
    std::vector<std::string> words{"registry", "recover", "--yes"};
    words.insert(words.end(), more.begin(), more.end());
    return stack.notp("eve", words);
  }
  int64_t metric(const std::string& name) const {
    const auto answer =
        must(http::call_blocking({.url = fmt::format("http://127.0.0.1:{}/metrics", health_port)}));
    const size_t at = answer.body.find("\n" + name);
    if (at == std::string::npos) return -1;
    return static_cast<int64_t>(std::stod(answer.body.substr(answer.body.find(' ', at + 1))));
  }
  json::value health() const {
    return must(parse_json(
        must(http::call_blocking({.url = fmt::format("http://127.0.0.1:{}/health", health_port)}))
            .body));
  }
  // No node has seen what must not happen; that the registry has lost releases, and that its tree
  // is not the one that was witnessed, it may say.
  void check_no_alarm(std::initializer_list<Agent*> agents) {
    const auto is_allowed = [](const json::value& alarm) {
      const std::string_view text(alarm.as_string());
      return text.contains("the registry lost releases") || text.contains("the registry's tree") ||
             text.contains("the registry has begun another tree");
    };
    for (const Agent* agent : agents) {
      CAPTURE(agent->name());
      const json::value status = agent->status();
      for (const json::value& alarm : at(status, "alarms").as_array())
        CHECK_MESSAGE(is_allowed(alarm), json::serialize(alarm));
    }
    for (const char* code : {"rollback", "equivocation", "vanished", "replay"})
      CHECK(stack.count_events("session_refused", code) == 0);
  }
};

double seconds_of(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

TEST_CASE("a registry that is restored from a backup of before gets all back from its nodes") {
  Site site;
  Stack& stack = site.stack;
  Agent& one = site.start_node("edge-1", 2);
  Agent& two = site.start_node("edge-2", 2);
  Agent& lagging = site.start_node("edge-3", 2);
  site.publish_payments(1);
  site.publish_gateway(1);
  site.active({&one, &two, &lagging}, kPayments, 1);
  site.active({&one, &two, &lagging}, kGateway, 1);
  site.back_up();

  site.publish_payments(2);
  site.publish_gateway(2);
  site.active({&one, &two, &lagging}, kPayments, 2);
  site.active({&one, &two, &lagging}, kGateway, 2);
  CHECK(lagging.stop() == 0);
  for (const int64_t version : {3, 4}) {
    site.publish_payments(version);
    site.publish_gateway(version);
    if (version == 3) {
      site.active({&one, &two}, kPayments, 3);
      REQUIRE(
          stack.notp("alice", {"withdraw", kPayments, "v3", "--reason", "it pays twice"}).status ==
          0);
      // Both have the statement that lists it.
      for (const Agent* agent : {&one, &two})
        REQUIRE(wait_until(
            [&] { return at(agent->ledger_status(kPayments), "withdrawn") == json::value(true); }));
    }
    site.active({&one, &two}, kPayments, version);
    site.active({&one, &two}, kGateway, version);
  }
  RootSigning signing(stack, "eve");
  signing.change({site.later_key()}, {"root-key"});
  for (const Agent* agent : {&one, &two})
    REQUIRE(wait_until([&] { return number_at(agent->status(), "root_version") == 2; }));
  const auto payments_before = site.stored(kPayments, 4);
  const auto gateway_before = site.stored(kGateway, 4);

  REQUIRE(stack.stop_registry() == 0);
  site.restore();
  stack.start_registry();
  lagging.start();

  // Without a recovery: nothing new, and no word that the old is the newest.
  REQUIRE(site.is_held(kPayments, 4, 2));
  REQUIRE(site.is_held(kGateway, 4, 2));
  const CliResult refused = site.publish_as_bob();
  CHECK(refused.status == 4);
  CHECK_MESSAGE(refused.error.contains("lacks v2 to v4 of 100000000000/payments"), refused.error);
  CHECK(refused.error.contains("node/edge-"));
  CHECK(refused.error.contains("notp registry recover"));
  const CliResult root = stack.notp("eve", {"root", "publish", signing.newest()});
  CHECK(root.status == 4);
  CHECK(site.metric("notp_freshness_signed_total") == 0);
  CHECK(site.metric("notp_registry_restored") == 1);
  CHECK(site.metric("notp_lost_releases") == 6);
  CHECK(text_at(site.health(), "status") == "lost");
  CHECK(one.has_active(kPayments, 4));
  CHECK(one.decide("payments/transfer/decision", {{"amount", 10}}));
  const CliResult plan = site.plan();
  CHECK(plan.status == 1);
  CHECK(number_at(plan.document, "root_version") == 1);
  CHECK(number_at(plan.document, "newest_root") == 2);

  CliResult recovered;
  const double seconds = seconds_of([&] { recovered = site.recover(); });
  MESSAGE("6 releases of 2 ledgers and one root recovered in " << seconds << " s");
  CHECK(seconds <= kRecoverySeconds);
  REQUIRE_MESSAGE(recovered.status == 0, recovered.output << recovered.error);
  CHECK(site.stored(kPayments, 4) == payments_before);
  CHECK(site.stored(kGateway, 4) == gateway_before);
  for (const std::string& ledger : {kPayments, kGateway})
    git(stack.repository(ledger), {"fsck", "--strict", "--full", "--no-dangling"});
  CHECK(site.metric("notp_recovered_releases_total") == 6);
  CHECK(site.metric("notp_registry_restored") == 0);
  CHECK(text_at(site.health(), "status") == "ok");
  CHECK(number_at(site.health(), "root_version") == 2);
  const CliResult history = stack.notp("bob", {"history", kPayments});
  REQUIRE_MESSAGE(history.status == 0, history.error);
  for (const json::value& row : at(history.document, "releases").as_array()) {
    const int64_t version = number_at(row, "version");
    CAPTURE(version);
    CHECK(text_at(row, "withdrawn").contains("before the restore") == (version == 3));
    CHECK(text_at(row, "publisher").contains(version == 1 ? "publisher/alice" : "admin/eve"));
  }

  site.publish_payments(5);
  site.active({&one, &two, &lagging}, kPayments, 5);
  site.active({&lagging}, kGateway, 4);
  REQUIRE(wait_until([&] { return text_at(one.ledger_status(kPayments), "state") == "fresh"; }));
  CHECK(wait_until([&] { return site.metric("notp_freshness_signed_total") > 0; }));
  site.check_no_alarm({&one, &two, &lagging});
  CHECK(site.recover().status == 0);  // nothing is left to do
}

TEST_CASE("a copy that was put back by hand is found out by the first node") {
  Site site;
  Stack& stack = site.stack;
  Agent& agent = site.start_node("edge-1");
  site.publish_payments(1);
  site.active({&agent}, kPayments, 1);
  REQUIRE(stack.stop_registry() == 0);
  const fs::path copy = stack.file("registry.copy");
  fs::copy(site.data, copy, fs::copy_options::recursive);
  stack.start_registry();
  for (const int64_t version : {2, 3}) {
    site.publish_payments(version);
    site.active({&agent}, kPayments, version);  // a node that is pushed v3 at once skips v2
  }
  const auto before = site.stored(kPayments, 3);
  REQUIRE(stack.stop_registry() == 0);
  fs::remove_all(site.data);
  fs::rename(copy, site.data);

  stack.start_registry();
  REQUIRE(wait_until([&] { return stack.count_events("ledger_lost") == 1; }));
  const CliResult refused = site.publish_as_bob();
  CHECK(refused.status == 4);
  CHECK_MESSAGE(refused.error.contains("lacks v2 to v3"), refused.error);
  CHECK(agent.has_active(kPayments, 3));
  REQUIRE(site.is_held(kPayments, 3, 1));
  const CliResult doctor = stack.notp("eve", {"doctor"});
  CHECK(doctor.status == 1);
  CHECK_MESSAGE(doctor.output.contains("releases_lost"), doctor.output);
  const CliResult recovered = site.recover();
  REQUIRE_MESSAGE(recovered.status == 0, recovered.output << recovered.error);
  CHECK(site.stored(kPayments, 3) == before);
  site.publish_payments(4);
  site.active({&agent}, kPayments, 4);
  site.check_no_alarm({&agent});
}

TEST_CASE(
    "releases that no node holds any more are given up on request, and the others come back") {
  Site site;
  Stack& stack = site.stack;
  Agent& agent = site.start_node("edge-1", 2);
  site.publish_payments(1);
  site.active({&agent}, kPayments, 1);
  site.back_up();
  for (const int64_t version : {2, 3, 4}) {
    site.publish_payments(version);
    site.active({&agent}, kPayments, version);
  }
  REQUIRE(stack.stop_registry() == 0);
  site.restore();
  stack.start_registry();
  REQUIRE(site.is_held(kPayments, 4, 1, /*missing=*/1));
  const CliResult refused = site.recover();
  CHECK(refused.status == 4);
  CHECK_MESSAGE(refused.error.contains("no connected node holds 100000000000/payments v2"),
                refused.error);
  const CliResult recovered = site.recover({"--accept-missing"});
  REQUIRE_MESSAGE(recovered.status == 0, recovered.output << recovered.error);
  const CliResult lost = stack.notp("bob", {"show", kPayments + "@v2"});
  CHECK(lost.status == 8);
  CHECK(stack.notp("bob", {"show", kPayments + "@v3"}).status == 0);
  git(stack.repository(kPayments), {"fsck", "--strict", "--full", "--no-dangling"});
  site.publish_payments(5);
  site.active({&agent}, kPayments, 5);
  REQUIRE(stack.stop_registry() == 0);
  stack.start_registry();
  CHECK(stack.count_events("ledger_damaged") == 0);
  site.publish_payments(6);
  site.active({&agent}, kPayments, 6);
  fs::remove_all(site.backup);
  site.back_up();  // which checks the whole history
  site.check_no_alarm({&agent});
}

// --- nodes that lie

// A node's certificate in the hands of somebody who says what he likes.
class HostileNode {
 public:
  HostileNode(Stack& stack, const std::string& name, std::vector<Bytes> releases)
      : releases_(std::move(releases)) {
    // The registry ends the sessions of some of them.
    std::signal(SIGPIPE, SIG_IGN);
    const std::string stem = stack.issue("node", name);
    client_ = std::make_unique<TlsClient>(
        static_cast<uint16_t>(stack.registry_port()),
        TlsClient::Options{.identity = transport::TlsFiles{.certificate = stem + ".crt",
                                                           .private_key = stem + ".key",
                                                           .authorities = {}},
                           .alpn = "\x06notp/1"});
    REQUIRE(client_->ok());
    const auto ledger = must(model::LedgerId::parse(kPayments));
    wire::Want want;
    want.ledger = ledger;
    want.base = wire::Base{999, sha256("nothing")};
    wire::Hello hello{.versions = {1}, .user_agent = "liar", .root_version = 1, .wants = {want}};
    client_->send(wire::encode_frame(hello));
    thread_ = std::thread([this, ledger] { run(ledger); });
  }
  ~HostileNode() {
    ::shutdown(SSL_get_fd(client_->ssl()), SHUT_RDWR);
    thread_.join();
  }
  int asked() const { return asked_; }

 private:
  void run(const model::LedgerId& ledger) {
    wire::FrameParser parser;
    for (Bytes more = client_->read_some(); !more.empty(); more = client_->read_some()) {
      parser.feed(more);
      for (auto next = parser.next(); next && *next; next = parser.next()) {
        if (std::holds_alternative<wire::HeldRequest>(**next)) {
          client_->send(wire::encode_frame(
              wire::Held{.ledger = ledger, .releases = releases_, .roots = {}, .freshness = {}}));
          ++asked_;
        }
        if (const auto* wanted = std::get_if<wire::ReturnRequest>(&**next))
          client_->send(wire::encode_frame(
              wire::Return{.request = wanted->request, .base = {}, .code = 1, .message = "no"}));
      }
    }
  }

  const std::vector<Bytes> releases_;
  std::unique_ptr<TlsClient> client_;
  std::thread thread_;
  std::atomic<int> asked_ = 0;
};

Bytes envelope_in(const Site& site, const std::string& ledger, const std::string& tag) {
  const std::string text = between(git(site.stack.repository(ledger), {"cat-file", "tag", tag}),
                                   "-----BEGIN NOTP ENVELOPE-----", "-----END NOTP ENVELOPE-----");
  std::string coded;
  for (const char c : text)
    if (c != '\n') coded += c;
  Bytes out(coded.size(), '\0');
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                   reinterpret_cast<const unsigned char*>(coded.data()),
                                   static_cast<int>(coded.size()));
  REQUIRE(size > 0);
  out.resize(static_cast<size_t>(size) - static_cast<size_t>(std::ranges::count(coded, '=')));
  return out;
}

TEST_CASE("what a lying node says changes nothing, and a signed fork stops its own ledger alone") {
  Site site;
  Stack& stack = site.stack;
  Agent& agent = site.start_node("edge-1");
  site.publish_payments(1);
  site.publish_gateway(1);
  site.active({&agent}, kPayments, 1);
  site.active({&agent}, kGateway, 1);
  const Bytes of_gateway = envelope_in(site, kGateway, "v1");
  Bytes forged = envelope_in(site, kPayments, "v1");
  forged[forged.size() / 2] ^= 1;
  {
    const HostileNode claims(stack, "liar-1", {});
    const HostileNode other(stack, "liar-2", {of_gateway});
    const HostileNode forger(stack, "liar-3", {forged, "noise"});
    REQUIRE(
        wait_until([&] { return claims.asked() > 0 && other.asked() > 0 && forger.asked() > 0; }));
    REQUIRE(wait_until([&] { return stack.count_events("held_refused") >= 2; }));
    CHECK(site.plan().status == 0);
    CHECK(stack.count_events("ledger_lost") == 0);
    site.publish_payments(2);
    site.active({&agent}, kPayments, 2);
    REQUIRE(
        wait_until([&] { return text_at(agent.ledger_status(kPayments), "state") == "fresh"; }));
  }

  // Another v3 than the registry's, by a publisher's key: of a registry with an older copy.
  REQUIRE(stack.stop_registry() == 0);
  fs::copy(site.data, stack.file("older"), fs::copy_options::recursive);
  stack.start_registry();
  site.publish_payments(3);
  const Bytes other_v3 = envelope_in(site, kPayments, "v3");
  REQUIRE(agent.stop() == 0);
  REQUIRE(stack.stop_registry() == 0);
  fs::remove_all(site.data);
  fs::rename(stack.file("older"), site.data);
  stack.start_registry();
  set_single_approval_max(site.payments, 77'000);
  REQUIRE(site.publish_as_bob().status == 0);  // v3 once more: no node was there to say so
  const HostileNode forks(stack, "liar-4", {other_v3});
  REQUIRE(wait_until([&] { return stack.count_events("ledger_forked") == 1; }));
  CHECK(text_at(site.planned(kPayments), "state") == "fork");
  set_single_approval_max(site.payments, 78'000);
  const CliResult refused = site.publish_as_bob();
  CHECK(refused.status == 4);
  CHECK_MESSAGE(refused.error.contains("two releases v3"), refused.error);
  site.publish_gateway(2);
}

// --- a registry that dies

TEST_CASE("a recovery that is killed at any step is run again, and nothing is there twice") {
  Site site;
  Stack& stack = site.stack;
  Agent& agent = site.start_node("edge-1");
  site.publish_payments(1);
  site.active({&agent}, kPayments, 1);
  site.back_up();
  for (const int64_t version : {2, 3}) {
    site.publish_payments(version);
    site.active({&agent}, kPayments, version);
  }
  REQUIRE(stack.notp("alice", {"withdraw", kPayments, "v3", "--reason", "wrong"}).status == 0);
  REQUIRE(wait_until(
      [&] { return at(agent.ledger_status(kPayments), "withdrawn") == json::value(true); }));
  site.publish_payments(4);
  site.active({&agent}, kPayments, 4);
  REQUIRE(wait_until([&] { return text_at(agent.ledger_status(kPayments), "state") == "fresh"; }));
  RootSigning signing(stack, "eve");
  signing.change({site.later_key()}, {"root-key"});
  REQUIRE(wait_until([&] { return number_at(agent.status(), "root_version") == 2; }));
  const auto before = site.stored(kPayments, 4);

  int kills = 0;
  for (const std::string point :
       {"recovery.after_mark", "recovery.after_roots", "registry.after_pack:2",
        "registry.after_tag", "registry.after_main", "recovery.after_release:3",
        "registry.withdraw_after_pack", "registry.withdraw_after_tag", "recovery.after_withdrawals",
        "recovery.before_end", "recovery.after_end"}) {
    CAPTURE(point);
    REQUIRE(stack.stop_registry() == 0);
    site.restore();
    stack.registry_environment = {{"NOTP_FAILPOINT", point}};
    stack.start_registry();
    stack.registry_environment.clear();
    REQUIRE(site.is_held(kPayments, 4, 1));
    CHECK(site.recover().status != 0);  // its registry has died
    stack.kill_registry();
    ++kills;
    stack.start_registry();
    const bool is_over = point == "recovery.after_end";
    CHECK(fs::exists(site.data / "restored.json") != is_over);
    if (!is_over) {
      set_single_approval_max(site.payments, 55'000);  // or nothing would change
      // By the registry, or by bob's machine, which has seen more at another point.
      const int status = site.publish_as_bob().status;
      CHECK_MESSAGE((status == 4 || status == 7), status);
      set_single_approval_max(site.payments, 100'004);
    }
    REQUIRE(wait_until([&] {
      const CliResult plan = site.plan();
      return number_at(plan.document, "silent") == 0 && number_at(plan.document, "nodes") == 1;
    }));
    const CliResult recovered = site.recover();
    REQUIRE_MESSAGE(recovered.status == 0, recovered.output << recovered.error);
    CHECK(site.stored(kPayments, 4) == before);
    CHECK(git(stack.repository(kPayments), {"rev-list", "--count", "main"}) == "4");
    CHECK(git(stack.repository(kPayments), {"tag", "-l"}) == "v1\nv2\nv3\nv4\nwithdrawn/v3");
    git(stack.repository(kPayments), {"fsck", "--strict", "--full", "--no-dangling"});
    CHECK(number_at(site.health(), "root_version") == 2);
    site.check_no_alarm({&agent});
  }
  MESSAGE("killed " << kills << " times");
  site.publish_payments(5);
  site.active({&agent}, kPayments, 5);
  site.check_no_alarm({&agent});
}

}  // namespace
}  // namespace notp
