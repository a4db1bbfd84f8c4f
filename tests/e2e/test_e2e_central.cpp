// A central PDP: policy enforcement points (PEPs) on other hosts ask one agent over mutual TLS
// concurrently, and none slows another.
#include <doctest/doctest.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <memory>

#include "tests/support/process/reachable_agent.hpp"
#include "tests/support/wire/specification_document.hpp"
#include "tests/support/wire/tls_client.hpp"

namespace notp {
namespace {

constexpr int kPeps = 200;
constexpr int kFloodAtOnce = 2;  // as configured; and endless questions in progress

// Ends only at a deadline, or when the caller disconnects.
constexpr std::string_view kEndless =
    "package shop.endless\n\n"
    "many := numbers.range(1, 10000)\n\n"
    "holds if {\n"
    "\tsome a in many\n"
    "\tsome b in many\n"
    "\tsome c in many\n"
    "\t(a + b) + c == 0\n"
    "}\n";
constexpr int kEndlessDeadlineMs = 60'000;  // longer than the test runs

struct TlsAnswer {
  unsigned status = 0;  // 0: none
  std::string head;
  json::value document;

  explicit TlsAnswer(const std::string& text) : head(text.substr(0, text.find("\r\n\r\n"))) {
    constexpr size_t kStatusAt = 9;  // after "HTTP/1.1 "
    if (text.size() < kStatusAt + 3) return;
    std::from_chars(text.data() + kStatusAt, text.data() + kStatusAt + 3, status);
    if (auto parsed = parse_json(text.substr(head.size()))) document = *std::move(parsed);
  }
  std::string code() const { return text_at(document, "code"); }
};

std::string question(std::string_view path, std::string_view body, std::string_view more = {}) {
  return fmt::format(
      "POST /v1/data/{} HTTP/1.1\r\nHost: pdp.example\r\nContent-Type: application/json\r\n"
      "Content-Length: {}\r\n{}\r\n{}",
      path, body.size(), more, body);
}

// A PEP with its own certificate and one kept connection.
struct Pep {
  std::string stem;
  std::unique_ptr<TlsClient> connection;

  void connect(int port) {
    const transport::TlsFiles files{stem + ".crt", stem + ".key", {}, std::string(kStackDomain)};
    connection = std::make_unique<TlsClient>(static_cast<uint16_t>(port),
                                             TlsClient::Options{.identity = files});
    REQUIRE(connection->ok());
  }
};

struct Scene : ReachableAgent {
  std::vector<Pep> peps;

  void start_central(json::object more) {
    more["listen_tls"] = tls();
    start(std::move(more));
  }
  Pep pep(const std::string& stem, const std::string& path) {
    Pep made{client(stem, path), nullptr};
    made.connect(tls_port);
    return made;
  }
  void connect_all() {
    for (int i = 0; i < kPeps; ++i)
      peps.push_back(pep(fmt::format("pep-{}", i), fmt::format("ns/shop/sa/pep-{}", i)));
  }
  // Each asks a different question on its connection before any reads its answer. Returns the
  // number of correct answers.
  int count_right(int round) {
    for (int i = 0; i < kPeps; ++i)
      peps[static_cast<size_t>(i)].connection->send(
          question("shop/echo", fmt::format(R"({{"input":[{},{}]}})", round, i)));
    int right = 0;
    for (int i = 0; i < kPeps; ++i) {
      const TlsAnswer answer(peps[static_cast<size_t>(i)].connection->receive());
      const bool is_right =
          answer.status == 200 && at(answer.document, "result") == json::value{round, i};
      if (!is_right) MESSAGE("PEP " << i << ": " << answer.head << answer.code());
      right += is_right ? 1 : 0;
    }
    return right;
  }
};

json::object pep_entry(std::string_view key, std::string_view who,
                       std::initializer_list<std::string_view> paths) {
  return {{key, who}, {"paths", json::array(paths.begin(), paths.end())}};
}

TEST_CASE("200 PEPs keep a connection each, and ask at the same time") {
  Scene scene;
  scene.start_central(
      {{"peps", json::array{pep_entry("identity", "spiffe://core-platform.internal/ns/shop/*",
                                      {"shop/echo"})}}});
  scene.connect_all();
  for (int round = 0; round < 5; ++round) CHECK(scene.count_right(round) == kPeps);

  // The rights of each are checked, also on a connection that was allowed before.
  const TlsAnswer other(scene.peps[0].connection->ask(question("shop/allow", kShopQuestion)));
  CHECK(other.status == 403);
  CHECK(other.code() == "path_not_allowed");
  CHECK(scene.count_right(5) == kPeps);

  // Revoked rights end on open connections, too.
  scene.agent->reconfigure(
      {{"listen_tls", scene.tls()},
       {"peps",
        json::array{pep_entry("identity", "spiffe://core-platform.internal/ns/shop/sa/pep-1*",
                              {"shop/echo"})}}});
  CHECK(TlsAnswer(scene.peps[0].connection->ask(question("shop/echo", "{}"))).code() ==
        "identity_denied");
  CHECK(TlsAnswer(scene.peps[1].connection->ask(question("shop/echo", "{}"))).status == 200);
}

TEST_CASE("a certificate does not stand in for a wrong token, and each is logged once") {
  Scene scene;
  const std::string tokens = scene.stack.file("tokens"), out = scene.stack.file("till.token");
  REQUIRE(scene.notp_client({"token", "till", "--out", out, "--tokens", tokens}).status == 0);
  const std::string token = read_text(out).substr(0, read_text(out).find('\n'));
  scene.start_central(
      {{"api_token", tokens},
       {"peps",
        json::array{pep_entry("identity", "spiffe://core-platform.internal/ns/shop/*", {"shop/*"}),
                    pep_entry("token", "till", {"shop/allow"})}}});
  const std::string web = scene.client("web", "ns/shop/sa/web");
  const auto with = [&](const std::string& bearer, const std::string& stem, const char* path) {
    must(write_file(scene.stack.file("header"), "Authorization: Bearer " + bearer + "\n"));
    return scene.ask(fmt::format("/v1/data/{}", path), stem,
                     {"-H", "@" + scene.stack.file("header").string()});
  };
  CHECK(with(token, "", "shop/allow").status == 200);
  CHECK(scene.ask("/v1/data/shop/granted", web).status == 200);
  for (int i = 0; i < 3; ++i) {
    const CurlAnswer wrong = with("wrong", web, "shop/allow");
    CHECK(wrong.status == 401);
    CHECK(wrong.code() == "unauthorized");
    CHECK(wrong.headers.contains("WWW-Authenticate: Bearer"));
    // The token's rights count, not those of the certificate beside it.
    CHECK(with(token, web, "shop/granted").code() == "path_not_allowed");
  }
  CHECK(scene.agent->count_events("request_refused", "unauthorized") == 1);
  CHECK(scene.agent->count_events("request_refused", "path_not_allowed") == 1);
}

TEST_CASE("a PEP that floods is refused, and others are all answered meanwhile") {
  Scene scene;
  const auto model = scene.stack.file("shop-model");
  must(write_file(model / "shop/endless.rego", kEndless));
  REQUIRE(scene.stack.published(model, kShop) == 2);
  json::object flood = pep_entry("identity", "spiffe://core-platform.internal/flood", {"shop/*"});
  flood["at_once"] = kFloodAtOnce;
  scene.start_central(
      {{"peps",
        json::array{pep_entry("identity", "spiffe://core-platform.internal/ns/shop/*", {"shop/*"}),
                    std::move(flood)}},
       {"pdp",
        {{"kind", "embedded"},
         {"embedded",
          {{"deadlines",
            json::array{{{"path", "shop/endless"}, {"deadline_ms", kEndlessDeadlineMs}}}}}}}}});
  scene.connect_all();
  REQUIRE(scene.count_right(0) == kPeps);

  std::vector<Pep> flooder;
  flooder.push_back(scene.pep("flood", "flood"));
  for (int i = 0; i < kFloodAtOnce; ++i) {
    flooder.push_back({flooder[0].stem, nullptr});
    flooder.back().connect(scene.tls_port);
    flooder.back().connection->send(question("shop/endless/holds", "{}"));
  }
  // Not checked by asking: such a question would take the place of one of these.
  REQUIRE(wait_until([&] {
    return curl({scene.agent->url() + "/metrics"})
        .body.contains(
            fmt::format("notp_agent_engine_questions{{state=\"in_flight\"}} {}\n", kFloodAtOnce));
  }));
  const auto ask_again = [&] {
    return TlsAnswer(flooder[0].connection->ask(question("shop/allow", kShopQuestion)));
  };
  for (int round = 1; round <= 3; ++round) {
    for (int i = 0; i < 20; ++i) {
      const TlsAnswer refused = ask_again();
      CHECK(refused.status == 429);
      CHECK(refused.code() == "too_many_requests");
      CHECK(refused.head.contains("\r\nRetry-After: 1"));
    }
    CHECK(scene.count_right(round) == kPeps);
  }
  CHECK(scene.agent->count_events("request_refused", "too_many_requests") == 1);

  // It disconnects: its questions are cancelled, and it may ask again.
  flooder.resize(1);
  CHECK(wait_until([&] { return ask_again().status == 200; }));
  CHECK(scene.count_right(4) == kPeps);
}

// The commands in a section of the front page that begin with one of the words.
std::vector<std::string> page_commands(std::string_view section, std::string_view end,
                                       std::initializer_list<std::string_view> words) {
  const std::string page = samples::specification::source_text("README.md");
  const size_t from = page.find(section), to = page.find(end);
  REQUIRE(from < to);
  std::vector<std::string> out;
  for (const std::string& line : samples::specification::lines_of(page.substr(from, to - from)))
    if (line.starts_with("    ") && std::ranges::any_of(words, [&](std::string_view word) {
          return line.substr(4).starts_with(word);
        }))
      out.push_back(line.substr(4));
  return out;
}

std::string replaced(std::string text, std::string_view what, std::string_view by) {
  REQUIRE_MESSAGE(text.contains(what), what);
  for (size_t at = text.find(what); at != text.npos; at = text.find(what, at + by.size()))
    text.replace(at, what.size(), by);
  return text;
}

// A host with the files named by the example's configuration, in one folder.
struct ExampleHost {
  Stack stack;
  const std::filesystem::path folder = stack.file("host");
  const int tls_port = free_port(), health_port = free_port();

  ExampleHost() {
    stack.start_registry();
    REQUIRE(stack.published(stack.copy_example("payments"), kPayments) == 1);
    must(make_folders(folder));
    issue("node", "node/pdp-1");
    issue("pdp", "pdp");
    issue("web", "ns/payments/sa/web");
    must(write_file(folder / "ca.crt", read_text(stack.authority_file())));
    must(write_file(folder / "root.envelope", read_text(stack.root_file())));
  }
  // Issues NAME.crt and NAME.key for spiffe://<domain>/<path>.
  void issue(const std::string& name, const std::string& path) const {
    pki::LeafOptions leaf = stack.leaf("node", "pdp.core-platform.internal");
    leaf.uris = {fmt::format("spiffe://{}/{}", kStackDomain, path)};
    leaf.server_auth = true;
    const pki::Credential issued = must(pki::issue(stack.authority(), leaf));
    must(write_file(folder / (name + ".crt"), issued.certificate_pem));
    must(write_file(folder / (name + ".key"), issued.key_pem, 0600));
  }
  // The example's configuration, with this host's folder and free ports, and the page's socket.
  void write_config(bool has_tokens) const {
    std::string text =
        samples::specification::source_text("tools/examples/central-pdp/agent.yaml") +
        "listen_unix: {path: /run/notp/pdp.sock}\n";
    if (!has_tokens) {
      text = replaced(text, "api_token: /etc/notp/api-tokens\n", "");
      text = replaced(text, "  - {token: till, paths: [\"payments/transfer/decision\"]}\n", "");
    }
    text = replaced(text, "/etc/notp/", folder.string() + "/");
    text = replaced(text, "/var/lib/notp", (folder / "data").string());
    text = replaced(text, "/run/notp/", folder.string() + "/");
    text = replaced(text, "100000000001/payments", kPayments);
    text = replaced(text, "registry.core-platform.internal:7443", stack.registry_address());
    text = replaced(text, "0.0.0.0:8443", fmt::format("0.0.0.0:{}", tls_port));
    text = replaced(text, "0.0.0.0:8283", fmt::format("0.0.0.0:{}", health_port));
    must(write_file(folder / "agent.yaml", text));
  }
  // Maps the page's ports to this host's for curl.
  void write_curlrc(const std::string& loopback) const {
    must(write_file(folder / ".curlrc",
                    fmt::format("silent\nshow-error\nnoproxy = *\n"
                                "connect-to = \"127.0.0.1:8282:{}\"\n"
                                "connect-to = \"pdp.core-platform.internal:8443:127.0.0.1:{}\"\n",
                                loopback, tls_port)));
  }
  std::string run(std::string command) const {
    if (command.contains("/run/notp/"))
      command = replaced(std::move(command), "/run/notp/", folder.string() + "/");
    const CommandResult ran = run_command(
        {"bash", "-c", fmt::format("cd '{}' && {}", folder.string(), command)},
        {{"CURL_HOME", folder},
         {"PATH",
          fmt::format("{}:{}",
                      std::filesystem::path(stack.program("notp-client")).parent_path().string(),
                      std::getenv("PATH"))}});
    CHECK_MESSAGE(ran.status == 0, command << ran.output);
    return ran.output;
  }
};

TEST_CASE("the example's configuration runs, and the front page's commands ask it") {
  ExampleHost host;
  host.write_config(/*has_tokens=*/false);
  Agent& agent = host.stack.start_agent(
      {.name = "pdp-1", .ledgers = {kPayments}, .config = host.folder / "agent.yaml"});
  host.write_curlrc(agent.url().substr(agent.url().find("127.")));
  const std::string health = fmt::format("http://127.0.0.1:{}", host.health_port);
  const auto is_ready = [&] { return curl({health + "/health/ready"}).status == 200; };
  REQUIRE(wait_until(is_ready));
  const auto commands = page_commands("## Asking for a decision", "## Live trust data",
                                      {"curl", "printf", "notp-client t"});
  const auto ask = [&](const std::string& command) {
    const auto answer = parse_json(host.run(command));
    INFO(command);
    REQUIRE(answer);
    INFO(json::serialize(*answer));
    if (command.contains("/access/v1/"))
      CHECK(at(*answer, "decision") == json::value(false));
    else
      CHECK(at(*answer, "result.allow") == json::value(false));
  };
  size_t asked = 0;
  for (const std::string& command : commands)
    if (command.starts_with("curl")) {
      ask(command);
      ++asked;
    }
  CHECK(asked == 4);

  // The same with tokens.
  for (const std::string& command : commands)
    if (command.starts_with("notp-client")) CHECK_FALSE(host.run(command).empty());
  REQUIRE(agent.stop() == 0);
  host.write_config(/*has_tokens=*/true);
  agent.start();
  REQUIRE(wait_until(is_ready));
  for (const std::string& command : commands)
    if (command.starts_with("printf") || command.contains("--cert")) ask(command);
  CHECK(text_at(must(parse_json(host.run(commands.front()))), "code") == "unauthorized");
}

}  // namespace
}  // namespace notp
