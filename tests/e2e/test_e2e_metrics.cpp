// What operators watch: a real Prometheus scrapes a busy registry and its agents, and every
// expression of the dashboards and rules has an answer.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <regex>
#include <set>

#include "tests/support/process/audit_site.hpp"
#include "tests/support/process/command.hpp"
#include "tests/support/process/lane_site.hpp"
#include "tests/support/process/prometheus.hpp"
#include "tests/support/process/shop_model.hpp"

namespace notp {
namespace {

namespace fs = std::filesystem;

fs::path packaging() { return fs::path(std::getenv("NOTP_SOURCE")) / "tools/packaging"; }

struct Dashboard {
  std::string file;
  json::value document;
};

std::vector<Dashboard> dashboards() {
  std::vector<Dashboard> out;
  for (const auto& entry : fs::directory_iterator(packaging() / "grafana"))
    out.push_back({entry.path().filename(), must(parse_json(read_text(entry.path())))});
  std::ranges::sort(out, {}, &Dashboard::file);
  return out;
}

// Expressions with Grafana's variables as it replaces them.
std::vector<std::string> expressions(const Dashboard& dashboard) {
  std::vector<std::string> out;
  for (const json::value& panel : at(dashboard.document, "panels").as_array()) {
    if (text_at(panel, "type") == "row") continue;
    for (const json::value& target : at(panel, "targets").as_array()) {
      std::string text = text_at(target, "expr");
      for (const auto& [variable, value] :
           {std::pair{"$__rate_interval", "10s"}, {"$ledger", ".*"}, {"$instance", ".*"}})
        for (size_t at = text.find(variable); at != text.npos; at = text.find(variable))
          text.replace(at, std::string_view(variable).size(), value);
      out.push_back(std::move(text));
    }
  }
  return out;
}

std::set<std::string> metric_names(const std::string& expression) {
  static const std::regex kName("[a-z_:0-9]*notp_[a-z_:0-9]*");
  std::set<std::string> out;
  for (std::sregex_iterator it(expression.begin(), expression.end(), kName), end; it != end; ++it)
    out.insert(it->str());
  return out;
}

struct Alert {
  std::string name;
  YAML::Node node;
};

std::vector<Alert> alerts() {
  std::vector<Alert> out;
  for (const YAML::Node& group : YAML::LoadFile(packaging() / "prometheus/rules.yml")["groups"])
    for (const YAML::Node& rule : group["rules"])
      if (rule["alert"]) out.push_back({rule["alert"].as<std::string>(), rule});
  return out;
}

// A registry with all that it can measure, one agent of either kind, and a model whose second
// release the embedded engine must refuse.
class Watched {
 public:
  Stack stack{{.freshness_interval_s = 1}};
  const int health_port = free_port(), mirror_port = free_port();
  Agent* edge = nullptr;
  Agent* fed = nullptr;
  Agent* tokens = nullptr;
  std::unique_ptr<Opa> opa;
  std::unique_ptr<Process> mirror;

  Watched() {
    stack.registry_more["health_listen"] = fmt::format("127.0.0.1:{}", health_port);
    stack.registry_more["sources"] = silent_source();
    stack.registry_more["deny_list"] = kDenyList;
    stack.registry_more["lanes"] = lanes();
    stack.grant("admin", "revoke");
    stack.registry_more["validation"] = must(parse_json(
        fmt::format(R"({{"allow": [{{"ledgers": ["{}"], "builtins": ["http.send"]}}]}})", kShop)));
    stack.grant("admin", "audit");
    stack.allow_joins();
    stack.write_registry_config();
    stack.start_registry();
    opa = std::make_unique<Opa>(stack, free_port());
    edge =
        &stack.start_agent({.name = "edge-1", .ledgers = {kShop}, .more = LaneSite::agent_lane()});
    fed = &stack.start_agent(
        {.name = "edge-2", .ledgers = {kShop}, .pdp = "opa", .opa_port = opa->port()});
    opa->start(*fed);
    start_token_service();
    start_mirror();
  }
  // One without a model: it issues nothing.
  void start_token_service() {
    const std::string issuer = fmt::format("https://127.0.0.1:{}", free_port());
    pki::LeafOptions leaf = stack.leaf("node", "listener");
    leaf.addresses = {"127.0.0.1"};
    leaf.server_auth = true;
    const std::string stem = stack.issue("listener", stack.authority(), leaf);
    const std::string keys = "100000000000/txn-keys";
    json::object service{{"listen",
                          {{"address", issuer.substr(issuer.rfind('/') + 1)},
                           {"certificate", stem + ".crt"},
                           {"key", stem + ".key"},
                           {"client_ca", stack.authority_file().string()}}},
                         {"issuer", issuer},
                         {"keys", {{"name", "txn"}, {"ledger", keys}}}};
    tokens = &stack.start_agent({.name = "edge-3",
                                 .ledgers = {"100000000000/issuance", keys},
                                 .more = {{"txn", json::object{{"service", std::move(service)}}}}});
  }
  // Of a repository that does not answer.
  void start_mirror() {
    stack.issue("publisher", "mirror");
    must(write_file(stack.file("mirror.json"),
                    json::serialize(json::object{
                        {"registry", stack.registry_address()},
                        {"root", stack.root_file().string()},
                        {"tls", json::object{{"certificate", "pki/mirror.crt"},
                                             {"key", "pki/mirror.key"},
                                             {"ca", stack.authority_file().string()}}},
                        {"state_dir", "mirror-state"},
                        {"health_listen", fmt::format("127.0.0.1:{}", mirror_port)},
                        {"mirrors", json::array{json::object{
                                        {"name", "library"},
                                        {"ledger", "100000000000/library"},
                                        {"repository",
                                         fmt::format("https://127.0.0.1:{}/none.git", free_port())},
                                        {"branch", "main"},
                                        {"verify", "none"}}}}})));
    mirror = std::make_unique<Process>(ProcessOptions{
        .command = {stack.program("notp"), "mirror", "run", "--config", stack.file("mirror.json")},
        .folder = stack.folder(),
        .environment = {},
        .output_file = stack.file("mirror.out"),
        .error_file = stack.file("mirror.log")});
  }
  // Of a provider that does not answer.
  json::object silent_source() {
    REQUIRE(stack.notp({}, {"keygen", "--out", stack.file("source")}).status == 0);
    return {{"key", stack.file("source.key").string()},
            {"issuers",
             json::array{json::object{{"name", "login"},
                                      {"issuer", fmt::format("http://127.0.0.1:{}", free_port())},
                                      {"ledger", "100000000000/login"},
                                      {"insecure_loopback", true}}}}};
  }
  // One lane, with a source that does not answer.
  json::object lanes() {
    set_lane_key(stack);
    json::object lane{{"name", kLaneName}};
    lane["attributes"] = json::array{"iss", "sub"};
    lane["grants"] = json::array{json::object{{"nodes", json::array{"node/*"}}}};
    lane["sources"] =
        json::array{json::object{{"name", "jans"},
                                 {"kind", "redis"},
                                 {"address", fmt::format("127.0.0.1:{}", free_port())},
                                 {"tls", false},
                                 {"insecure_loopback", true},
                                 {"ids", "sha256"}}};
    return {{"key", stack.file("lane.key").string()}, {"lanes", json::array{std::move(lane)}}};
  }
  static std::string host(const std::string& url) { return url.substr(url.find("//") + 2); }
  std::string registry_page() const {
    return fmt::format("http://127.0.0.1:{}/metrics", health_port);
  }
  std::vector<std::string> pages() const {
    return {registry_page(), edge->url() + "/metrics", fed->url() + "/metrics",
            tokens->url() + "/metrics", fmt::format("http://127.0.0.1:{}/metrics", mirror_port)};
  }

  // Two releases, of which one is rejected by one node; a publish that is refused; decisions that
  // are recorded, left out and shipped; a question about them.
  void keep_busy() {
    const fs::path model = write_shop_model(stack);
    must(write_file(model / "manifest.json", R"({
      "metadata": {"name": "shop"},
      "runtimes": {"rego": {"language": {"name": "rego", "version": "1.0"}}},
      "partitions": {"/": {"runtime": "rego"}},
      "decisions": {"drop": ["shop/echo"]}, "roots": ["shop"]})"));
    REQUIRE(stack.published(model, kShop) == 1);
    const CliResult revoked = stack.notp(
        "eve", {"tokens", "revoke", "--lane", kLaneName.data(), "--id", std::string(64, 'a')});
    REQUIRE_MESSAGE(revoked.status == 0, revoked.error);
    for (const Agent* agent : {edge, fed}) REQUIRE(stack.becomes_active(*agent, kShop, 1));
    for (int i = 0; i < 20; ++i) {
      CHECK(edge->decide("shop/allow", {{"user", "u-1"}}) == json::value(true));
      CHECK(opa->decide("shop/allow", {{"user", "u-1"}}) == json::value(true));
    }
    edge->decide("shop/echo", {{"user", "u-1"}});

    const std::string policy = read_text(model / "shop/policy.rego");
    must(write_file(model / "shop/policy.rego",
                    policy + "\nknown if http.send({\"method\": \"get\", \"url\": "
                             "input.url}).status_code == 200\n"));
    REQUIRE(stack.published(model, kShop) == 2);
    REQUIRE(stack.becomes_active(*fed, kShop, 2));
    REQUIRE(wait_until(
        [&] { return text_at(stack.node_ledger(*edge, kShop), "state") == "rejected"; }));
    must(write_file(model / "shop/policy.rego", policy + "\nbroken if nothing\n"));
    CHECK(stack.publish(model, kShop).status != 0);
    REQUIRE(wait_until([&] {
      const CliResult found = stack.notp("eve", {"decisions", "search"});
      return found.status == 0 && found.output.contains("shop/allow");
    }));
  }
};

std::string metrics_at(const std::string& url) {
  const auto answer = must(http::call_blocking({.url = url}));
  REQUIRE(answer.status == 200);
  return answer.body;
}

// Names by the rules; no series tells nodes, paths or people apart.
void check_page(const std::string& text, const std::string& prefix) {
  static const std::set<std::string> kLabels = {
      "ledger", "version", "state",   "reason", "listener", "status", "phase", "event",
      "kind",   "code",    "outcome", "le",     "source",   "mirror", "lane",  "subject"};
  static const std::regex kType("# TYPE (\\S+) (\\S+)"), kLabel("([a-z_]+)=\"([^\"]*)\"");
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (std::smatch type; std::regex_match(line, type, kType)) {
      CHECK_MESSAGE(type[1].str().starts_with(prefix), line);
      CHECK_MESSAGE((type[2] == "counter") == type[1].str().ends_with("_total"), line);
    }
    if (line.starts_with('#')) continue;
    for (std::sregex_iterator it(line.begin(), line.end(), kLabel), end; it != end; ++it) {
      CHECK_MESSAGE(kLabels.contains((*it)[1]), line);
      CHECK_MESSAGE(((*it)[1] == "ledger" || !it->str(2).contains('/')), line);
    }
    CHECK_FALSE_MESSAGE(line.contains("edge-"), line);
  }
}

TEST_CASE(
    "dashboards and rules: a real Prometheus beside a busy registry answers every expression") {
  Watched site;
  const Prometheus prometheus(site.stack,
                              {{"notp-registry", {fmt::format("127.0.0.1:{}", site.health_port)}},
                               {"notp-agent",
                                {Watched::host(site.edge->url()), Watched::host(site.fed->url()),
                                 Watched::host(site.tokens->url())}},
                               {"notp-mirror", {fmt::format("127.0.0.1:{}", site.mirror_port)}}},
                              packaging() / "prometheus/rules.yml");
  prometheus.check_value("sum(up)", 5);
  site.keep_busy();

  prometheus.check_value(R"(notp_nodes{state="rejected"})", 1);
  prometheus.check_value(R"(notp_nodes{state="active"})", 1);
  prometheus.check_value(fmt::format(R"(notp_release_active{{ledger="{}",version="2"}})", kShop),
                         1);
  prometheus.check_value(fmt::format(R"(notp_release_active{{ledger="{}",version="1"}})", kShop),
                         1);
  prometheus.check_value(fmt::format(R"(ledger:notp_release_active:behind{{ledger="{}"}})", kShop),
                         1);
  // v1 at both nodes, v2 at one.
  prometheus.check_value("notp_activation_seconds_count", 3);
  prometheus.check_value(R"(notp_mirror_state{state="failing"})", 1);
  prometheus.check_value(R"(notp_source_state{state="late"})", 1);
  prometheus.check_value(R"(notp_lane_source_state{state="ok"})", 0);
  prometheus.check_value(R"(notp_lane_rows{kind="deleted"})", 1);
  prometheus.check_value(R"(notp_lane_nodes{state="live"})", 1);
  prometheus.check_value("notp_agent_lane_state", 1);
  prometheus.check_value("notp_txn_can_issue", 0);
  prometheus.check_value("notp_publishes_total", 2);
  prometheus.check_value("notp_publishes_refused_total", 1);
  prometheus.check_value(R"(sum(notp_agent_decisions_dropped_total{reason="manifest"}))", 1);
  prometheus.check_value(R"(notp_freshness_age_seconds{state="connected"} < bool 60)", 1);

  std::set<std::string> used;
  for (const Dashboard& dashboard : dashboards())
    for (const std::string& expression : expressions(dashboard)) {
      Prometheus::Answer answer;
      const bool has_series = wait_until([&] {
        answer = prometheus.query(expression);
        return !answer.samples.empty() || !answer.error.empty();
      });
      CHECK_MESSAGE(has_series, dashboard.file << " has a panel without data: " << expression);
      CHECK_MESSAGE(answer.error.empty(), dashboard.file << ": " << answer.error << expression);
      used.merge(metric_names(expression));
    }
  json::array rules;
  const bool are_evaluated = wait_until([&] {
    rules = prometheus.rules();
    return std::ranges::all_of(
        rules, [](const json::value& rule) { return text_at(rule, "health") == "ok"; });
  });
  CHECK_MESSAGE(are_evaluated, json::serialize(rules));
  CHECK(rules.size() > alerts().size());
  for (const json::value& rule : rules) used.merge(metric_names(text_at(rule, "query")));

  std::set<std::string> known;
  for (const json::value& name : prometheus.names()) known.emplace(name.as_string());
  for (const std::string& name : used)
    CHECK_MESSAGE(known.contains(name), "no program has the metric " << name);

  for (const std::string& url : site.pages()) {
    const std::string text = metrics_at(url);
    check_page(text, url.contains(Watched::host(site.edge->url())) ||
                             url.contains(Watched::host(site.fed->url()))
                         ? "notp_agent_"
                         : "notp_");
    const fs::path page = site.stack.file("page");
    must(write_file(page, text));
    const CommandResult checked = run_command({"promtool", "check", "metrics"}, {}, page);
    CHECK_MESSAGE((checked.status == 0 && checked.output.empty()), url << checked.output);
  }
}

TEST_CASE("the rules are valid, and every alert fires when it should and only then") {
  const fs::path folder = packaging() / "prometheus";
  const CommandResult checked = run_command({"promtool", "check", "rules", folder / "rules.yml"});
  CHECK_MESSAGE(checked.status == 0, checked.output);
  const CommandResult tested =
      run_command({"promtool", "test", "rules", folder / "rules.test.yml"});
  CHECK_MESSAGE(tested.status == 0, tested.output);

  std::set<std::string> cases;
  for (const YAML::Node& one : YAML::LoadFile(folder / "rules.test.yml")["tests"])
    cases.insert(one["name"].as<std::string>());
  const std::string runbook = read_text(packaging() / "RUNBOOK.md");
  size_t sections = 0;
  for (size_t at = runbook.find("\n### "); at != runbook.npos; at = runbook.find("\n### ", at + 1))
    ++sections;
  CHECK(sections == alerts().size());
  for (const Alert& alert : alerts()) {
    CAPTURE(alert.name);
    CHECK(cases.contains(alert.name + " fires"));
    CHECK(cases.contains(alert.name + " stays quiet"));
    static const std::set<std::string> kSeverities = {"critical", "warning", "info"};
    CHECK(kSeverities.contains(alert.node["labels"]["severity"].as<std::string>()));
    const YAML::Node& texts = alert.node["annotations"];
    CHECK_FALSE(texts["summary"].as<std::string>().empty());
    CHECK_FALSE(texts["description"].as<std::string>().empty());
    std::string anchor = alert.name;
    std::ranges::transform(anchor, anchor.begin(), [](unsigned char c) { return std::tolower(c); });
    CHECK(texts["runbook_url"].as<std::string>().ends_with("/RUNBOOK.md#" + anchor));
    CHECK(runbook.contains("\n### " + alert.name + "\n"));
  }
}

TEST_CASE("the dashboards are documents that Grafana imports") {
  const auto all = dashboards();
  CHECK(all.size() == 3);
  std::set<std::string> uids;
  for (const Dashboard& dashboard : all) {
    CAPTURE(dashboard.file);
    const json::value& document = dashboard.document;
    const std::string uid = text_at(document, "uid");
    CHECK(uid + ".json" == dashboard.file);
    CHECK(uid.size() <= 40);
    CHECK(uids.insert(uid).second);
    CHECK(number_at(document, "schemaVersion") == 38);
    CHECK_FALSE(text_at(document, "title").empty());
    const json::array& variables = at(document, "templating.list").as_array();
    CHECK(text_at(variables.at(0), "name") == "datasource");
    CHECK(text_at(variables.at(0), "type") == "datasource");
    CHECK(text_at(variables.at(0), "query") == "prometheus");

    std::set<int64_t> ids;
    std::set<std::pair<int64_t, int64_t>> taken;
    for (const json::value& panel : at(document, "panels").as_array()) {
      const std::string title = text_at(panel, "title");
      CAPTURE(title);
      CHECK(ids.insert(number_at(panel, "id")).second);
      const json::value& place = at(panel, "gridPos");
      CHECK(number_at(place, "x") + number_at(place, "w") <= 24);
      for (int64_t x = 0; x < number_at(place, "w"); ++x)
        for (int64_t y = 0; y < number_at(place, "h"); ++y)
          CHECK(taken.emplace(number_at(place, "x") + x, number_at(place, "y") + y).second);
      if (text_at(panel, "type") == "row") continue;
      CHECK_FALSE(text_at(panel, "description").empty());
      CHECK_FALSE(text_at(panel, "fieldConfig.defaults.unit").empty());
      CHECK(text_at(panel, "datasource.uid") == "${datasource}");
      CHECK_FALSE(at(panel, "targets").as_array().empty());
      for (const json::value& target : at(panel, "targets").as_array())
        CHECK_FALSE(text_at(target, "expr").empty());
    }
  }
}

}  // namespace
}  // namespace notp
