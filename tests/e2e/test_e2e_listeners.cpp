// An agent's listeners and access: Unix socket, TLS with certificates and tokens, remote health
// checks, all changed without a restart.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <ranges>

#include "tests/support/process/reachable_agent.hpp"

namespace notp {
namespace {

const std::string& kQuestion = kShopQuestion;

using Scene = ReachableAgent;

unsigned mode_of(const std::filesystem::path& file) {
  struct stat status{};
  return ::stat(file.c_str(), &status) == 0 ? status.st_mode & 0777 : 0;
}

TEST_CASE("a container asks through a socket file") {
  Scene scene;
  const auto socket = scene.stack.file("pdp.sock");
  scene.start({{"listen_unix", {{"path", socket.string()}, {"mode", "0660"}}}});
  CHECK(mode_of(socket) == 0660);
  const auto ask = [&] {
    return curl({"--unix-socket", socket, "-d", kQuestion, "http://pdp/v1/data/shop/allow"});
  };
  CHECK(at(ask().document(), "result") == json::value(true));

  // A killed agent leaves its socket file behind, and replaces it.
  scene.agent->kill();
  CHECK(ask().status == 0);
  scene.agent->start();
  REQUIRE(wait_until([&] { return ask().status == 200; }));
  CHECK(scene.agent->stop() == 0);
  CHECK_FALSE(std::filesystem::exists(socket));
}

TEST_CASE("a central PDP: each caller by its certificate, each refusal by its code, logged once") {
  Scene scene;
  scene.start({{"listen_tls", scene.tls()},
               {"peps", json::array{{{"identity", "spiffe://core-platform.internal/ns/shop/*"},
                                     {"paths", json::array{"shop/allow"}}},
                                    {{"identity", "spiffe://core-platform.internal/ops"},
                                     {"paths", json::array{"*"}}}}}});
  const std::string web = scene.client("web", "ns/shop/sa/web");
  const std::string bank = scene.client("bank", "ns/bank/sa/web");
  const std::string ops = scene.client("ops", "ops");
  const std::string old = scene.client("old", "ns/shop/sa/old", /*has_ended=*/true);
  const auto stranger_authority =
      must(pki::make_authority("stranger", pki::Validity::days(read_clock().wall_ms, 10)));
  pki::LeafOptions leaf = scene.stack.leaf("node", "stranger");
  leaf.uris = {"spiffe://core-platform.internal/ns/shop/sa/web"};
  const std::string stranger = scene.stack.issue("stranger", stranger_authority, leaf);

  const CurlAnswer good = scene.ask("/v1/data/shop/allow", web);
  REQUIRE_MESSAGE(good.status == 200, good.error << good.body);
  CHECK(at(good.document(), "result") == json::value(true));
  CHECK(scene.ask("/v1/data", ops).status == 200);

  struct Refused {
    std::string path, stem;
    unsigned status;
    std::string code;
  };
  const std::vector<Refused> refused = {
      {"/v1/data/shop/allow", "", 401, "certificate_missing"},
      {"/v1/data/shop/allow", old, 401, "certificate_expired"},
      {"/v1/data/shop/allow", stranger, 401, "certificate_untrusted"},
      {"/v1/data/shop/allow", bank, 403, "identity_denied"},
      {"/v1/data/shop/users", web, 403, "path_not_allowed"}};
  for (const Refused& one : refused)
    for (int i = 0; i < 3; ++i) {
      const CurlAnswer answer = scene.ask(one.path, one.stem);
      CHECK_MESSAGE(answer.status == one.status, one.code << answer.error << answer.body);
      CHECK(answer.code() == one.code);
      CHECK(answer.headers.contains("WWW-Authenticate") == (one.status == 401));
    }
  for (const Refused& one : refused)
    CHECK(scene.agent->count_events("request_refused", one.code) == 1);

  // A right covers one document: neither those around it, nor other ways to query it.
  for (const std::string path :
       {"/v1/data", "/v1/data/shop", "/v0/data/shop/users", "/v1/data/shop%2Fallow"})
    CHECK_MESSAGE(scene.ask(path, web).status == 403, path);
  CHECK(scene.ask("/v0/data/shop/allow", web).status == 200);
  CHECK(scene.ask("/", web).status == 403);  // the default decision is another path
  const auto get = [&](const std::string& path, const std::string& stem) {
    return scene.ask(path, stem, {"-G"}).status;
  };
  for (const std::string path : {"/v1/status", "/v1/policies", "/metrics"}) {
    CHECK_MESSAGE(get(path, web) == 403, path);
    CHECK_MESSAGE(get(path, "") == 401, path);
    CHECK_MESSAGE(get(path, ops) == 200, path);
  }
  CHECK(get("/health", "") == 200);
  CHECK_FALSE(scene.ask("/health/ready", "", {"-G"}).body.contains("ledgers"));
  CHECK(scene.ask("/health/ready", ops, {"-G"}).body.contains("ledgers"));
}

TEST_CASE("probes and Prometheus come from outside, and see nothing else") {
  Scene scene;
  scene.start({{"health_listen", fmt::format("0.0.0.0:{}", scene.health_port)}});
  const std::string url = fmt::format("http://127.0.0.1:{}", scene.health_port);
  CHECK(curl({url + "/health"}).body == "{}\n");
  CHECK(curl({url + "/health?bundle=true"}).status == 200);
  CHECK(curl({url + "/health/ready"}).status == 200);
  CHECK(curl({"-H", "Host: node-7.example", url + "/health"}).status == 200);
  const CurlAnswer metrics = curl({url + "/metrics"});
  CHECK(metrics.status == 200);
  CHECK(metrics.body.contains("\nnotp_agent_active_version{ledger=\"" + kShop + "\"} 1"));
  CHECK(metrics.body.contains("\nnotp_agent_http_connections{listener=\"health\"} 1"));
  for (const auto line : std::views::split(metrics.body, '\n'))
    CHECK_MESSAGE(
        (line.empty() || line.front() == '#' || std::string_view(line).starts_with("notp_agent_")),
        std::string_view(line));
  for (const std::string path : {"/v1/data/shop/allow", "/v1/status", "/v1/policies", "/"})
    CHECK_MESSAGE(curl({url + path}).status == 404, path);
}

TEST_CASE("the registry's probes and Prometheus come from outside, and see nothing else") {
  Stack stack;
  const int port = free_port();
  stack.registry_more["health_listen"] = fmt::format("0.0.0.0:{}", port);
  stack.write_registry_config();
  stack.start_registry();
  const std::string url = fmt::format("http://127.0.0.1:{}", port);
  for (const std::string path : {"/health", "/health/live", "/health/ready"}) {
    const CurlAnswer health = curl({"-H", "Host: registry-0.example", url + path});
    CHECK_MESSAGE(health.status == 200, path);
    CHECK(text_at(health.document(), "status") == "ok");
    CHECK(number_at(health.document(), "root_version") == 1);
  }
  const CurlAnswer metrics = curl({url + "/metrics", "--compressed"});
  CHECK(metrics.status == 200);
  CHECK(metrics.headers.contains("gzip"));
  CHECK(metrics.body.contains("\nnotp_root_version 1\n"));
  CHECK(metrics.body.contains("notp_http_requests_total{listener=\"health\",status=\"2xx\"} 3\n"));
  CHECK(curl({url + "/metrics", "--head"}).status == 200);

  for (const std::string path :
       {"/", "/v1/status", "/v1/data", "/v1/policies", "/health/deep", "/metrics/", "/healthz"})
    CHECK_MESSAGE(curl({url + path}).status == 404, path);
  for (const std::string method : {"POST", "PUT", "DELETE"})
    CHECK_MESSAGE(curl({"-X", method, url + "/metrics"}).status == 405, method);
  CHECK(curl({"-H", "Origin: http://evil.example", url + "/metrics"}).status == 403);
  CHECK(stack.stop_registry() == 0);
  CHECK(curl({url + "/health"}).status == 0);
}

TEST_CASE("a token is made, asked with, and withdrawn") {
  Scene scene;
  const std::string tokens = scene.stack.file("tokens"), out = scene.stack.file("till.token");
  const CliResult made = scene.notp_client({"token", "till", "--out", out, "--tokens", tokens});
  REQUIRE_MESSAGE(made.status == 0, made.output);
  const std::string token = read_text(out).substr(0, read_text(out).find('\n'));
  CHECK(mode_of(out) == 0600);
  CHECK(mode_of(tokens) == 0600);
  CHECK_FALSE(made.output.contains(token));
  CHECK_FALSE(read_text(tokens).contains(token));
  CHECK(scene.notp_client({"token", "till", "--out", out, "--tokens", tokens}).status == 4);

  scene.start({{"api_token", tokens},
               {"listen_tls", scene.tls()},
               {"peps", json::array{{{"token", "till"}, {"paths", json::array{"shop/*"}}}}}});
  const std::string url = scene.agent->url() + "/v1/data/shop/allow";
  must(write_file(scene.stack.file("header"), "Authorization: Bearer " + token + "\n"));
  const std::string header = "@" + scene.stack.file("header").string();
  const auto with_token = [&] { return curl({"-H", header, "-d", kQuestion, url}); };
  CHECK(with_token().status == 200);
  CHECK(scene.ask("/v1/data/shop/allow", "", {"-H", header}).status == 200);
  CHECK(curl({"-d", kQuestion, url}).code() == "unauthorized");
  CHECK(curl({"-H", "Authorization: Bearer wrong", "-d", kQuestion, url}).code() == "unauthorized");
  CHECK(curl({"-H", header, scene.agent->url() + "/v1/data"}).code() == "path_not_allowed");

  CHECK(scene.notp_client({"token", "till", "--remove", "--tokens", tokens}).status == 0);
  CHECK(wait_until([&] { return with_token().status == 401; }));
  CHECK(scene.notp_client({"token", "till", "--remove", "--tokens", tokens}).status == 8);
}

TEST_CASE("listeners and rights change without a restart; what is wrong changes nothing") {
  Scene scene;
  scene.start({});
  const std::string health = fmt::format("http://127.0.0.1:{}/health", scene.health_port);
  CHECK(curl({health}).status == 0);

  const json::object both{{"health_listen", fmt::format("0.0.0.0:{}", scene.health_port)},
                          {"listen_tls", scene.tls()},
                          {"hosts", json::array{"pdp.shop.example", "127.0.0.1"}}};
  scene.agent->reconfigure(both);
  CHECK(curl({health}).status == 200);
  const std::string web = scene.client("web", "ns/shop/sa/web");
  CHECK(scene.ask("/v1/data/shop/allow", web).status == 200);
  const auto behind_proxy = [&](const std::string& host) {
    return curl(
               {"-H", "Host: " + host, "-d", kQuestion, scene.agent->url() + "/v1/data/shop/allow"})
        .status;
  };
  CHECK(behind_proxy("pdp.shop.example") == 200);
  CHECK(behind_proxy("evil.example") == 421);
  CHECK(behind_proxy("localhost") == 200);
  CHECK(curl({"-H", "Host: node-7.example", health}).status == 200);

  json::object wrong = both;
  wrong["peps"] = json::array{{{"identity", "spiffe://other/a"}, {"paths", json::array{"a//b"}}}};
  scene.agent->reconfigure(wrong, "configuration_not_reloaded");
  bool names_both = false;
  for (const json::value& line : log_lines(scene.agent->log_file()))
    if (text_at(line, "event") == "configuration_not_reloaded")
      names_both = text_at(line, "message").contains("peps.0.identity") &&
                   text_at(line, "message").contains("peps.0.paths");
  CHECK(names_both);
  CHECK(scene.ask("/v1/data/shop/allow", web).status == 200);

  json::object narrow = both;
  narrow["peps"] = json::array{
      {{"identity", "spiffe://core-platform.internal/ops"}, {"paths", json::array{"*"}}}};
  scene.agent->reconfigure(narrow);
  CHECK(scene.ask("/v1/data/shop/allow", web).code() == "identity_denied");

  scene.agent->reconfigure({});
  CHECK(wait_until([&] { return curl({health}).status == 0; }));
  CHECK(scene.ask("/v1/data/shop/allow", web).status == 0);
  CHECK(scene.agent->decide("shop/allow", {{"user", "u-1"}}) == json::value(true));
}

TEST_CASE("an OPA without the agent's secret is refused, and everybody says what to do") {
  Scene scene;
  scene.agent = &scene.stack.start_agent(
      {.name = "edge-1", .ledgers = {kShop}, .pdp = "opa", .opa_port = free_port()});
  const std::string url = scene.agent->url();
  const auto secret_file = scene.stack.file("edge-1.data/opa-token");
  REQUIRE(wait_until([&] { return std::filesystem::exists(secret_file); }));
  CHECK(mode_of(secret_file) == 0600);
  std::string secret = read_text(secret_file);
  secret.pop_back();
  REQUIRE(wait_until(
      [&] { return number_at(scene.agent->ledger_status(kShop), "stored_version") == 1; }));

  const CliResult printed =
      scene.notp_client({"opa-config", "--config", scene.agent->config_file()});
  REQUIRE(printed.status == 0);
  CHECK_FALSE(printed.output.contains(secret));
  CHECK(printed.output.contains(secret_file.string()));

  for (const std::vector<std::string>& request : std::vector<std::vector<std::string>>{
           {url + "/bundles/notp"},
           {"-d", R"({"labels":{"id":"x"},"bundles":{"notp":{"active_revision":"any"}}})",
            url + "/status"},
           {"-d", "[]", url + "/logs"},
           {"-H", "Authorization: Bearer wrong", url + "/bundles/notp"}}) {
    const CurlAnswer answer = curl(request);
    CHECK(answer.status == 401);
    CHECK(answer.body.contains("notp-client opa-config"));
  }
  CHECK(text_at(scene.agent->status(), "opa_hint").contains("notp-client opa-config"));
  CHECK(curl({url + "/health/ready"}).body.contains("notp-client opa-config"));
  CHECK(wait_until([&] {
    return text_at(scene.stack.node_ledger(*scene.agent, kShop), "error.message")
        .contains("notp-client opa-config");
  }));
  CHECK(number_at(scene.agent->ledger_status(kShop), "active_version") == 0);

  must(write_file(scene.stack.file("header"), "Authorization: Bearer " + secret + "\n"));
  const std::string header = "@" + scene.stack.file("header").string();
  CHECK(curl({"-H", header, url + "/bundles/notp"}).status == 200);
  CHECK(curl({"-H", header, "-d", "[]", url + "/logs"}).status == 501);
  CHECK(text_at(scene.agent->status(), "opa_hint").empty());
}

}  // namespace
}  // namespace notp
