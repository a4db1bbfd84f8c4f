// Applications, proxies and probes made for OPA that query an agent instead: one with the embedded
// PDP, and one with an OPA beside it.
#include "tests/support/process/reachable_agent.hpp"
#include "tests/support/process/stock_opa.hpp"

namespace notp {
namespace {

namespace fs = std::filesystem;

const std::string kSerial = "604462909807314587353089";  // 80 bits

struct Scene {
  ReachableAgent reachable;
  Stack& stack = reachable.stack;
  const fs::path model = stack.file("shop-model"), socket = stack.file("pdp.sock");
  std::unique_ptr<StockOpa> stock;
  std::unique_ptr<Opa> opa = std::make_unique<Opa>(stack, free_port());
  Agent *embedded = nullptr, *fed = nullptr;
  const json::object both{{"authzen", {{"path", "shop/authzen"}}}};
  json::object more = both;  // of the first

  Scene() {
    must(write_file(model / "shop/labels/data.json",
                    R"({"app/tier": "front", "a b": 1, "ü": 2, "a%b": 3, "a+b": 4, "..": 5,
                        "p%2Fq": 6, "x/y/z": {"k/l": 7}})"));
    REQUIRE(stack.published(model, kShop) == 2);
    stock = std::make_unique<StockOpa>(stack, model);
    more["listen_unix"] = {{"path", socket.string()}};
    more["listen_tls"] = reachable.tls();
    // A plan of megabytes is decided even on a busy machine.
    more["pdp"] = {{"kind", "embedded"}, {"embedded", {{"deadline_ms", 60'000}}}};
    reachable.start(more);
    embedded = reachable.agent;
    fed = &stack.start_agent({.name = "edge-2",
                              .ledgers = {kShop},
                              .pdp = "opa",
                              .opa_port = opa->port(),
                              .more = both});
    opa->start(*fed);
    REQUIRE(stack.becomes_active(*embedded, kShop, 2));
    REQUIRE(stack.becomes_active(*fed, kShop, 2));
  }
  std::string file(const std::string& name, std::string_view content) const {
    must(write_file(stack.file(name), content));
    return "@" + stack.file(name).string();
  }
  // The output of `gzip` for the text.
  std::string packed(const std::string& name, std::string_view content) const {
    const std::string plain = file(name, content);
    REQUIRE(
        run_command({"sh", "-c", fmt::format("gzip -c {0} > {0}.gz", plain.substr(1))}).status ==
        0);
    return plain + ".gz";
  }
  void are_as_stock(const std::vector<CurlRequest>& requests) const {
    for (const CurlRequest& request : requests) {
      const CurlAnswer theirs = ask_by_curl(request, stock->url());
      REQUIRE(theirs.status != 0);
      for (const Agent* agent : {embedded, fed}) {
        CAPTURE(agent->name());
        const CurlAnswer ours = ask_by_curl(request, agent->url());
        const std::string what = request.front() + " " + request.back();
        CHECK_MESSAGE(ours.status == theirs.status, what << ": " << ours.body << theirs.body);
        // For a refusal the code is for programs, the message for people.
        if (theirs.status == 200)
          CHECK_MESSAGE(comparable(ours.body) == comparable(theirs.body), what);
        else
          CHECK_MESSAGE(ours.code() == theirs.code(), what << ": " << ours.body);
      }
    }
  }
};

// Shared by all tests.
Scene& scene() {
  static Scene scene;
  return scene;
}

TEST_CASE("an agent without a model is not healthy, as an OPA without one") {
  // Subscribes to a ledger without a release.
  const Agent& empty =
      scene().stack.start_agent({.name = "edge-3", .ledgers = {"100000000000/none"}});
  Opa opa(scene().stack, free_port());
  const Agent& feeds = scene().stack.start_agent(
      {.name = "edge-4", .ledgers = {"100000000000/none"}, .pdp = "opa", .opa_port = opa.port()});
  opa.start(feeds);
  for (const std::string path :
       {"/health?bundles", "/health?bundle=true", "/health?bundles=true"}) {
    CHECK_MESSAGE(curl({opa.url() + path}).status == 500, path);
    CHECK_MESSAGE(curl({empty.url() + path}).status == 503, path);
    CHECK_MESSAGE(curl({feeds.url() + path}).status == 503, path);
    CHECK_MESSAGE(curl({scene().embedded->url() + path}).status == 200, path);
    CHECK_MESSAGE(curl({scene().fed->url() + path}).status == 200, path);
    CHECK_MESSAGE(curl({scene().opa->url() + path}).status == 200, path);
  }
  CHECK(curl({empty.url() + "/health/live"}).status == 200);
  CHECK(curl({empty.url() + "/health/ready"}).status == 503);
  CHECK(curl({"-d", kShopQuestion, empty.url() + "/v1/data/shop/allow"}).status == 503);
}

TEST_CASE("names that a host has, and those that a page in a browser would use") {
  Agent& agent = *scene().embedded;
  json::object more = scene().more;
  more["hosts"] = json::array{"pdp.shop.example"};
  agent.reconfigure(more);
  const auto asked_as = [&](const std::string& host, std::vector<std::string> also = {}) {
    also.insert(also.end(),
                {"-H", "Host: " + host, "-d", kShopQuestion, agent.url() + "/v1/data/shop/allow"});
    return curl(std::move(also)).status;
  };
  for (const std::string host : {"pdp.shop.example", "PDP.Shop.Example", "pdp.shop.example:80",
                                 "localhost", "LOCALHOST:8282", "127.0.0.1", "[::1]:8282"})
    CHECK_MESSAGE(asked_as(host) == 200, host);
  for (const std::string host :
       {"evil.example", "xpdp.shop.example", "pdp.shop.example.evil.example", "shop.example",
        "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1"})
    CHECK_MESSAGE(asked_as(host) == 421, host);
  CHECK(asked_as("pdp.shop.example@evil.example") == 400);  // no name of a host
  CHECK(asked_as("localhost", {"-H", "Origin: http://evil.example"}) == 403);
  CHECK(asked_as("localhost", {"-H", "Sec-Fetch-Site: cross-site"}) == 403);
  // A socket file belongs to this host, whatever its name.
  CHECK(curl({"--unix-socket", scene().socket, "-d", kShopQuestion,
              "http://any.example/v1/data/shop/allow"})
            .status == 200);
  agent.reconfigure(scene().more);
  CHECK(asked_as("pdp.shop.example") == 421);
}

TEST_CASE("keys with signs of a URL in them are found, and no other is") {
  std::vector<CurlRequest> requests;
  for (const std::string key : {"app%2Ftier", "app%2ftier", "app/tier", "a%20b", "a+b", "a%2Bb",
                                "%C3%BC", "a%25b", "%2E%2E", "p%252Fq", "p%2Fq", "x%2Fy%2Fz/k%2Fl",
                                "x%2Fy%2Fz%2Fk%2Fl", "%2E", "none%2Fnone", "%61pp%2Ftier"})
    for (const std::string front : {"/v1/data/shop/labels/", "/v1/data/shop%2Flabels/"}) {
      requests.push_back({front + key, "--path-as-is"});
      requests.push_back({front + key, "--path-as-is", "-d", "{}"});
      requests.push_back({"/v0" + front.substr(3) + key, "--path-as-is", "-X", "POST"});
    }
  scene().are_as_stock(requests);
  for (const Agent* agent : {scene().embedded, scene().fed}) {
    const CurlAnswer no_text = curl({agent->url() + "/v1/data/shop/labels/%FF"});
    CHECK(no_text.status == 400);
    CHECK_MESSAGE(no_text.body.contains("not UTF-8"), no_text.body);
  }
  // OPA redirects from here to the name without the slash, which is a different one.
  const std::string slash = "/v1/data/shop/labels/a%20b%2F";
  CHECK_FALSE(curl({scene().embedded->url() + slash}).document().as_object().contains("result"));
  CHECK(curl({scene().fed->url() + slash}).status == 400);
}

TEST_CASE("bodies in YAML and packed ones are read as OPA reads them") {
  const std::string yaml =
      "input:\n  user: u-1\n  f: 1.50\n  day: 2024-01-30\n  none: ~\n  octal: 0o17\n  hex: 0x10\n"
      "  yes: yes\n  text: |\n    two\n    lines\n  &a list: [1, \"1\", true]\n";
  const std::string plain = scene().file("q.yaml", yaml), packed = scene().packed("q.yaml", yaml);
  const std::string json = R"({"input": {"user": "u-1", "f": 1.50}})";
  const std::string body = scene().packed("q.json", json);
  const std::string echo = "/v1/data/shop/echo", allow = "/v1/data/shop/allow";
  const std::string two = scene().file(
      "two.gz", read_text(body.substr(1)) + read_text(scene().packed("blank", " \n").substr(1)));
  const std::string cut = scene().file(
      "cut.gz", read_text(body.substr(1)).substr(0, read_text(body.substr(1)).size() - 9));
  std::vector<CurlRequest> requests;
  for (const std::string type : {"application/x-yaml", "application/yaml", "text/yaml",
                                 "text/yaml; charset=utf-8", "APPLICATION/X-YAML"}) {
    requests.push_back({echo, "-H", "Content-Type: " + type, "--data-binary", plain});
    requests.push_back({echo, "-H", "Content-Type: " + type, "-H", "Content-Encoding: gzip",
                        "--data-binary", packed});
    requests.push_back(
        {"/v0/data/shop/echo", "-H", "Content-Type: " + type, "--data-binary", plain});
  }
  const std::string typed = "Content-Type: application/x-yaml";
  for (const std::string& text : std::vector<std::string>{
           "input: &a {user: u-1}\nother: *a", "input: {a: 1, a: 2}", "input: [", "",
           "input:", "---\ninput: 1\n---\ninput: 2\n", "input: " + kSerial, "input: 1e400",
           "input: .inf", "\xEF\xBB\xBFinput: 1", "{\"input\": {\"user\": \"u-1\"}}", "- 1",
           "input: {1: a, true: b}", "input: !!binary aGk=", "input: {<<: {a: 1}}"})
    scene().are_as_stock({{echo, "-H", typed, "--data-binary", scene().file("t.yaml", text)}});
  for (const std::string coding : {"gzip", "x-gzip", "identity"})
    requests.push_back({allow, "-H", "Content-Encoding: " + coding, "--data-binary", body});
  for (const std::string& bad :
       {two, cut, scene().file("bad.gz", "not packed"), scene().file("e", "")})
    requests.push_back({allow, "-H", "Content-Encoding: gzip", "--data-binary", bad});
  requests.push_back({"/v0/data/shop/allow", "-H", "Content-Encoding: gzip", "--data-binary",
                      scene().packed("plain.json", R"({"user": "u-1"})")});
  requests.push_back(
      {echo, "-H", "Transfer-Encoding: chunked", "--data-binary", scene().file("chunked", json)});
  requests.push_back({echo, "-H", "Content-Type: text/plain", "-d", json});
  requests.push_back({echo, "-X", "GET", "-d", json});
  requests.push_back({echo, "-H", "Expect: 100-continue", "-d", json});
  scene().are_as_stock(requests);
}

TEST_CASE("JSON of others is read as OPA reads it") {
  const std::string deep = std::string(900, '[') + std::string(900, ']');
  using namespace std::string_literals;
  for (const std::string& input :
       std::vector<std::string>{kSerial,
                                "-" + kSerial,
                                "1.50",
                                "-0",
                                "-0.0",
                                "1E5",
                                "1e400",
                                "1e-400",
                                "0.1e1",
                                "00",
                                "1.",
                                ".5",
                                "+1",
                                "NaN",
                                "Infinity",
                                R"("\ud800")",
                                R"("\ud83d\ude00")",
                                R"("\u0000")",
                                "\"\xE9\"",
                                "\"a\tb\"",
                                R"({"a": 1, "a": 2})",
                                R"({"a": {"b": 1}, "A": 2})",
                                "[1,]",
                                "{\"a\":1,}",
                                "// no",
                                "'x'",
                                "true false",
                                "nul",
                                deep,
                                "\"\x7F\"",
                                R"("\/")",
                                R"("\x")",
                                "{\"\": 1}",
                                "123456789012345678901234567890.123456789012345678901234567890",
                                "[]",
                                "\" \"",
                                "\"<script>&\u2028\""}) {
    const std::string body = scene().file("odd.json", fmt::format(R"({{"input": {}}})", input));
    scene().are_as_stock({{"/v1/data/shop/echo", "--data-binary", body},
                          {"/v0/data/shop/echo", "--data-binary", scene().file("plain", input)}});
  }
  for (const std::string& body : {"\xFF\xFE{\0}\0"s, "null"s, "1"s, "\"x\""s, "{}{}"s, " "s,
                                  R"({"input": 1, "Input": 2})"s, R"({"unknown": 1})"s})
    scene().are_as_stock({{"/v1/data/shop/echo", "--data-binary", scene().file("odd.json", body)}});
}

TEST_CASE("the serial number of a certificate goes through every door as it is") {
  const std::string input = fmt::format(R"({{"user":"u-1","serial":{}}})", kSerial);
  const std::string question = scene().file("serial.json", fmt::format(R"({{"input":{}}})", input));
  const std::string caller = scene().reachable.client("web", "ns/shop/sa/web");
  const std::string tls = fmt::format("https://127.0.0.1:{}", scene().reachable.tls_port);
  const std::string authzen = scene().file(
      "authzen.json",
      fmt::format(R"({{"subject":{{"type":"user","id":"u-1","properties":{{"serial":{}}}}},
        "action":{{"name":"read"}},"resource":{{"type":"t","id":"1"}}}})",
                  kSerial));
  for (const Agent* agent : {scene().embedded, scene().fed}) {
    CAPTURE(agent->name());
    const std::string url = agent->url();
    std::vector<CurlRequest> ways = {
        {"--data-binary", question, url + "/v1/data/shop/echo"},
        {"--data-binary", scene().file("plain.json", input), url + "/v0/data/shop/echo"},
        {"-G", "--data-urlencode", "input=" + input, url + "/v1/data/shop/echo"},
        {"-H", "Content-Encoding: gzip", "--data-binary",
         scene().packed("serial", fmt::format(R"({{"input":{}}})", input)),
         url + "/v1/data/shop/echo"},
        {"-H", "Content-Type: application/json", "--data-binary", authzen,
         url + "/access/v1/evaluation"}};
    if (agent == scene().embedded) {
      ways.push_back({"--unix-socket", scene().socket, "--data-binary", question,
                      "http://pdp/v1/data/shop/echo"});
      ways.push_back({"-k", "--cert", caller + ".crt", "--key", caller + ".key", "--data-binary",
                      question, tls + "/v1/data/shop/echo"});
    }
    for (const CurlRequest& way : ways) {
      const CurlAnswer answer = curl(way);
      CHECK_MESSAGE(answer.status == 200, way.back() << " " << answer.error << answer.body);
      CHECK_MESSAGE(answer.body.contains(fmt::format("\"serial\":{}", kSerial)),
                    way.back() << answer.body);
    }
    CHECK(at(curl({"--data-binary", question, url + "/v1/data/shop/allow"}).document(), "result") ==
          json::value(true));
  }
}

TEST_CASE("a plan of some megabytes is decided where the limit lets it, and the refusal names it") {
  std::string plan = R"({"input": {"user": "u-1", "resource_changes": [)";
  for (int i = 0; i < 40'000; ++i)
    plan +=
        fmt::format(R"({}{{"address": "aws_s3_bucket.b{}", "change": {{"actions": ["create"]}}}})",
                    i == 0 ? "" : ",", i);
  plan += "]}}";
  REQUIRE(plan.size() > (2 << 20));
  const std::string large = scene().file("plan.json", plan), packed = scene().packed("plan", plan);
  const std::string question = "/v1/data/shop/allow";
  const auto is_refused = [](const CurlAnswer& answer, const char* key) {
    CHECK_MESSAGE(answer.status == 413, answer.error << answer.body);
    CHECK(answer.code() == "request_too_large");
    CHECK_MESSAGE(answer.body.contains(key), answer.body);
  };
  const auto is_decided = [](const CurlAnswer& answer) {
    CHECK_MESSAGE(answer.status == 200, answer.error << answer.body);
    CHECK(at(answer.document(), "result") == json::value(true));
  };
  for (Agent* agent : {scene().embedded, scene().fed}) {
    CAPTURE(agent->name());
    const auto ask = [&](const std::string& body, const char* coding = "identity") {
      return curl({"-H", fmt::format("Content-Encoding: {}", coding), "--data-binary", body,
                   agent->url() + question});
    };
    const json::object before = agent == scene().embedded ? scene().more : scene().both;
    const auto limit = [&](const json::object& limits) {
      json::object more = before;
      more["limits"] = limits;
      agent->reconfigure(more);
    };
    is_refused(ask(large), "1048576 bytes that are taken: raise limits.body_bytes");
    // The limit is for the unpacked size, not for the size on the wire.
    is_refused(ask(packed, "gzip"), "raise limits.gzip_body_bytes");
    limit({{"body_bytes", 8 << 20}});
    is_decided(ask(large));
    is_decided(ask(packed, "gzip"));
    limit({{"body_bytes", 8 << 20}, {"gzip_body_bytes", 1024}});
    is_refused(ask(packed, "gzip"), "1024 bytes that are taken: raise limits.gzip_body_bytes");
    is_decided(ask(large));
    agent->reconfigure(before);
  }
}

}  // namespace
}  // namespace notp
