#include "tests/support/process/stack.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <set>

#include "common/http/client.hpp"
#include "common/limits.hpp"
#include "tests/support/process/log_catalogue.hpp"
#include "tests/support/wire/test_pki.hpp"

namespace notp {
namespace {

namespace fs = std::filesystem;

constexpr int kHttpOk = 200;
// A small ring: every agent of a test allocates one.
constexpr int64_t kRingBytes = 8 << 20;

std::string required_variable(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0')
    throw std::runtime_error(fmt::format("{} is not set; run the tests with tools/test", name));
  return value;
}

void write_json(const fs::path& file, const json::value& value) {
  must(write_file(file, pretty_json(value) + "\n"));
}

json::value parse_or_null(std::string_view text) {
  auto parsed = parse_json(text);
  return parsed ? *std::move(parsed) : json::value();
}

json::object tls_object(const std::string& stem, const fs::path& authority) {
  return {{"certificate", stem + ".crt"}, {"key", stem + ".key"}, {"ca", authority.string()}};
}

json::object right(std::string_view identity, std::initializer_list<std::string_view> actions) {
  return {{"identity", identity},
          {"ledgers", json::array{"*/*"}},
          {"actions", json::array(actions.begin(), actions.end())}};
}

// True if the HTTP server gives any answer.
bool answers(const std::string& url) {
  return http::call_blocking({.url = url, .deadline_ms = 2'000}).has_value();
}

void require_start(Process& process, const std::string& what, const std::function<bool()>& ready) {
  const bool started = wait_until([&] { return ready() || !process.is_running(); });
  if (!started || !process.is_running())
    throw std::runtime_error(fmt::format("{} does not start: {}", what, process.error()));
}

int stop(std::unique_ptr<Process>& process, const std::string& what) {
  process->signal(SIGTERM);
  const auto status = process->wait();
  if (!status) throw std::runtime_error(what + " does not end after SIGTERM");
  process.reset();
  return *status;
}

}  // namespace

const json::value& at(const json::value& value, std::string_view path) {
  static const json::value kNone;
  const json::value* found = &value;
  while (!path.empty()) {
    const size_t dot = std::min(path.find('.'), path.size());
    const json::object* object = found->if_object();
    found = object ? object->if_contains(path.substr(0, dot)) : nullptr;
    if (found == nullptr) return kNone;
    path.remove_prefix(std::min(dot + 1, path.size()));
  }
  return *found;
}

std::string text_at(const json::value& value, std::string_view path) {
  const json::value& found = at(value, path);
  return found.is_string() ? std::string(found.get_string()) : std::string();
}

int64_t number_at(const json::value& value, std::string_view path) {
  const json::value& found = at(value, path);
  return found.is_number() ? found.to_number<int64_t>() : -1;
}

std::vector<json::value> log_lines(const fs::path& file) {
  std::vector<json::value> lines;
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);)
    if (json::value parsed = parse_or_null(line); parsed.is_object())
      lines.push_back(std::move(parsed));
  return lines;
}

std::optional<json::value> ask_data(const std::string& url, const std::string& path,
                                    const json::value& input) {
  const auto answer =
      must(http::call_blocking({.method = "POST",
                                .url = fmt::format("{}/v1/data/{}", url, path),
                                .headers = {{"Content-Type", "application/json"}},
                                .body = json::serialize(json::object{{"input", input}}),
                                .deadline_ms = 20'000}));
  if (answer.status != kHttpOk)
    throw std::runtime_error(fmt::format("{} answered {}: {}", url, answer.status, answer.body));
  const json::value body = must(parse_json(answer.body));
  const json::value* result = body.as_object().if_contains("result");
  return result == nullptr ? std::nullopt : std::optional(*result);
}

void set_single_approval_max(const fs::path& payments, int64_t cents) {
  must(write_file(payments / "payments/limits/data.yaml",
                  fmt::format("single_approval_max: {}\n"
                              "roles: {{clerk: 500000, treasurer: 25000000}}\n",
                              cents)));
}

namespace {

size_t count_lines(const std::vector<json::value>& log, std::string_view event,
                   std::string_view code) {
  return static_cast<size_t>(std::ranges::count_if(log, [&](const json::value& line) {
    return text_at(line, "event") == event && (code.empty() || text_at(line, "code") == code);
  }));
}

}  // namespace

// --- Agent

Agent::Agent(Stack& stack, AgentSetup setup)
    : stack_(stack), setup_(std::move(setup)), port_(free_port()) {
  if (setup_.config.empty()) write_config();
}

std::string Agent::identity() const {
  return fmt::format("spiffe://{}/node/{}", kStackDomain, setup_.name);
}

std::string Agent::url() const { return fmt::format("http://127.0.0.1:{}", port_); }

fs::path Agent::config_file() const {
  return setup_.config.empty() ? stack_.file(setup_.name + ".yaml") : setup_.config;
}
fs::path Agent::log_file() const { return stack_.file(setup_.name + ".log"); }

void Agent::write_config() {
  if (certificate_.empty())
    certificate_ = setup_.certificate.empty() ? stack_.issue(setup_.name, stack_.authority(),
                                                             stack_.leaf("node", setup_.name))
                                              : setup_.certificate;
  json::object pdp{{"kind", setup_.pdp}};
  if (setup_.pdp == "opa")
    pdp["opa"] = {{"url", fmt::format("http://127.0.0.1:{}", setup_.opa_port)},
                  {"status_poll_ms", 200}};
  json::object config{
      {"trust_domain", kStackDomain},
      {"registry", setup_.registry.empty() ? stack_.registry_address() : setup_.registry},
      {"registry_identity", setup_.registry_identity},
      {"data_dir", stack_.file(setup_.name + ".data").string()},
      {"tls", tls_object(certificate_, stack_.authority_file())},
      {"root", stack_.root_file().string()},
      {"ledgers", json::array(setup_.ledgers.begin(), setup_.ledgers.end())},
      {"pdp", std::move(pdp)},
      {"listen", fmt::format("127.0.0.1:{}", port_)},
      {"backoff", {{"first_ms", 20}, {"max_ms", 500}}},
      {"decisions", {{"ring_bytes", kRingBytes}}}};
  for (const auto& [name, value] : setup_.more) config[name] = value;
  write_json(config_file(), config);
}

void Agent::use_ledgers(std::vector<std::string> ledgers) {
  setup_.ledgers = std::move(ledgers);
  write_config();
}

void Agent::reconfigure(json::object more, std::string_view event) {
  setup_.more = std::move(more);
  write_config();
  const size_t before = count_events(event);
  process_->signal(SIGHUP);
  if (!wait_until([&] { return count_events(event) > before; }))
    throw std::runtime_error(fmt::format("{} logs no {} after SIGHUP", setup_.name, event));
}

size_t Agent::count_events(std::string_view event, std::string_view code) const {
  return count_lines(log_lines(log_file()), event, code);
}

void Agent::start() {
  std::vector<std::pair<std::string, std::string>> environment = setup_.environment;
  if (!setup_.config.empty())
    environment.insert(environment.end(),
                       {{"NOTP_CLIENT_LISTEN", fmt::format("127.0.0.1:{}", port_)},
                        {"NOTP_CLIENT_BACKOFF_FIRST_MS", "20"},
                        {"NOTP_CLIENT_BACKOFF_MAX_MS", "500"}});
  process_ = std::make_unique<Process>(
      ProcessOptions{.command = {stack_.program("notp-client"), "--config", config_file()},
                     .folder = stack_.folder(),
                     .environment = std::move(environment),
                     .output_file = log_file(),
                     .error_file = log_file()});
  require_start(*process_, setup_.name, [this] { return answers(url() + "/health/live"); });
}

void Agent::kill() { process_.reset(); }
int Agent::stop() { return notp::stop(process_, setup_.name); }

json::value Agent::status() const {
  const auto answer = http::call_blocking({.url = url() + "/v1/status"});
  return answer && answer->status == kHttpOk ? parse_or_null(answer->body) : json::value();
}

json::value Agent::ledger_status(const std::string& ledger) const {
  const json::value whole = status();
  const json::value& rows = at(whole, "ledgers");
  if (!rows.is_array()) return {};
  for (const json::value& row : rows.get_array())
    if (text_at(row, "ledger") == ledger) return row;
  return {};
}

bool Agent::has_active(const std::string& ledger, int64_t version) const {
  return number_at(ledger_status(ledger), "active_version") == version;
}

// --- Opa

void Opa::start(const Agent& agent) {
  const Process printed = [&] {
    Process process(
        {.command = {stack_.program("notp-client"), "opa-config", "--config", agent.config_file()},
         .folder = stack_.folder(),
         .environment = {},
         .output_file = stack_.file(fmt::format("opa-{}.yaml", port_)),
         .error_file = stack_.file("opa-config.log")});
    if (process.wait() != 0) throw std::runtime_error("notp-client opa-config: " + process.error());
    return process;
  }();
  const fs::path config = stack_.file(fmt::format("opa-{}-config.yaml", port_));
  must(write_file(config, printed.output()));
  must(write_file(stack_.file(fmt::format("opa-{}.yaml", port_)), ""));
  process_ = std::make_unique<Process>(
      ProcessOptions{.command = {required_variable("NOTP_OPA"), "run", "--server", "--addr",
                                 fmt::format("127.0.0.1:{}", port_), "--config-file", config,
                                 "--skip-version-check", "--log-level", "error"},
                     .folder = stack_.folder(),
                     .environment = {},
                     .output_file = stack_.file("opa.log"),
                     .error_file = stack_.file("opa.log")});
  require_start(*process_, "opa", [this] { return answers(url() + "/health"); });
}

// --- Stack

Stack::Stack(StackOptions options) : options_(options), registry_port_(free_port()) {
  make_authority_and_root();
  issue("registry", "main");
  configure_cli("alice", issue("publisher", "alice"));
  configure_cli("bob", issue("publisher", "bob"));
  configure_cli("eve", issue("admin", "eve"));
  rights = {right("publisher/*", {"read", "publish"}), right("admin/*", {"read", "fleet"}),
            right("node/*", {"read"})};
  write_registry_config();
}

Stack::~Stack() {
  for (const auto& agent : agents_) agent->kill();
  kill_registry();
  if (!doctest::is_running_in_test) return;  // nothing could fail
  try {
    check_logs();
  } catch (const std::exception& error) {
    FAIL_CHECK("the logs cannot be compared with the catalogue of events: ", error.what());
  }
}

void Stack::check_logs() const {
  std::set<std::pair<fs::path, std::string_view>> logs{{registry_log_file(), "notp-server"}};
  for (const auto& agent : agents_) logs.emplace(agent->log_file(), "notp-client");
  for (const auto& [log, program] : logs)
    for (const std::string& fault : LogCatalogue::of_sources().faults(log, program))
      FAIL_CHECK(log.filename().string(), ": ", fault);
}

void Stack::make_authority_and_root() {
  const auto run = [this](std::vector<std::string> arguments) {
    const CliResult result = run_cli(std::move(arguments));
    if (result.status != 0) throw std::runtime_error("notp: " + result.error);
  };
  const std::string domain(kStackDomain);
  run({"--trust-domain", domain, "pki", "init", file("pki")});
  const auto keygen = [&](const std::string& stem, int count) {
    std::vector<std::string> names;
    for (int i = 1; i <= count; ++i) {
      names.push_back(file(i == 1 ? stem : fmt::format("{}-{}", stem, i)));
      run({"keygen", "--out", names.back()});
    }
    return names;
  };
  std::vector<std::string> init{"--trust-domain", domain, "root", "init", "--out", root_file()};
  for (const std::string& name : keygen("root-key", options_.root_keys))
    init.insert(init.end(), {"--root-key", name + ".key"});
  const std::vector<std::string> publishers = keygen("publisher", options_.publishers);
  init.insert(init.end(),
              {"--publisher", fmt::format("100000000000/*={}.pub:{}",
                                          fmt::join(publishers, ".pub,"), publishers.size())});
  keygen("freshness", 1);
  init.insert(init.end(), {"--freshness-key", file("freshness.pub")});
  run(std::move(init));
  authority_ = {read_text(authority_file()), read_text(file("pki/ca.key"))};
}

std::string Stack::issue(const std::string& role, const std::string& name) {
  const CliResult result = run_cli({"pki", "issue", file("pki"), "--" + role, name});
  if (result.status != 0) throw std::runtime_error("notp pki issue: " + result.error);
  return file("pki") / name;
}

std::string Stack::issue(const std::string& stem, const pki::Credential& issuer,
                         const pki::LeafOptions& options) {
  const pki::Credential issued = must(pki::issue(issuer, options));
  const std::string path = file("pki") / stem;
  must(write_file(path + ".crt", issued.certificate_pem));
  must(write_file(path + ".key", issued.key_pem, 0600));
  return path;
}

pki::LeafOptions Stack::leaf(const std::string& role, const std::string& name) const {
  pki::LeafOptions options;
  options.common_name = name;
  options.uris = {test_uri(role, name, kStackDomain)};
  options.validity = pki::Validity::days(read_clock().wall_ms, 10);
  options.server_auth = role == "registry";
  options.client_auth = role != "registry";
  return options;
}

void Stack::write_registry_config(const std::string& certificate_stem) {
  const std::string stem =
      certificate_stem.empty() ? (file("pki") / "main").string() : certificate_stem;
  json::object config{{"trust_domain", kStackDomain},
                      {"listen", registry_address()},
                      {"data_dir", file("registry.data").string()},
                      {"tls", tls_object(stem, authority_file())},
                      {"root", root_file().string()},
                      {"port_file", file("registry.port").string()},
                      {"freshness", {{"private_key", file("freshness.key").string()}}},
                      {"rights", rights}};
  if (options_.freshness_interval_s > 0)
    config["freshness"].as_object()["interval_s"] = options_.freshness_interval_s;
  for (const auto& [name, value] : registry_more) config[name] = value;
  write_json(file("registry.yaml"), config);
}

void Stack::grant(const std::string& role, std::string_view action) {
  rights.push_back(right(role + "/*", {action}));
}

void Stack::allow_joins() {
  registry_more["enroll"] = json::object{{"listen", "127.0.0.1:0"},
                                         {"authority_certificate", authority_file().string()},
                                         {"authority_key", file("pki/ca.key").string()}};
  grant("admin", "enroll");
}

void Stack::start_registry() {
  registry_.reset();  // which would still hold the lock of its data
  fs::remove(file("registry.port"));
  registry_ = std::make_unique<Process>(
      ProcessOptions{.command = {program("notp-server"), "--config", file("registry.yaml")},
                     .folder = folder(),
                     .environment = registry_environment,
                     .output_file = registry_log_file(),
                     .error_file = registry_log_file()});
  require_start(*registry_, "the registry", [this] { return fs::exists(file("registry.port")); });
}

void Stack::kill_registry() { registry_.reset(); }
int Stack::stop_registry() { return stop(registry_, "the registry"); }

void Stack::reload_registry() {
  const size_t before = count_events("rights_reloaded");
  registry_->signal(SIGHUP);
  if (!wait_until([&] { return count_events("rights_reloaded") > before; }))
    throw std::runtime_error("the registry does not reload on SIGHUP");
}

size_t Stack::count_events(std::string_view event, std::string_view code) const {
  return count_lines(registry_log(), event, code);
}

fs::path Stack::repository(const std::string& ledger) const {
  return file("registry.data") / "ledgers" / (ledger + ".git");
}

Agent& Stack::start_agent(AgentSetup setup) {
  agents_.push_back(std::make_unique<Agent>(*this, std::move(setup)));
  agents_.back()->start();
  return *agents_.back();
}

void Stack::configure_cli(const std::string& who, const std::string& certificate_stem,
                          const fs::path& authority, const fs::path& signing_key) {
  const fs::path key = signing_key.empty() ? file("publisher.key") : signing_key;
  write_json(file(who + ".cli.yaml"),
             json::object{{"registry", registry_address()},
                          {"root", root_file().string()},
                          {"signing_key", key.string()},
                          {"tls", tls_object(certificate_stem,
                                             authority.empty() ? authority_file() : authority)}});
}

Process Stack::start_notp(const std::string& who, std::vector<std::string> arguments,
                          const std::string& output_stem) {
  std::vector<std::string> command{program("notp"), "-o", "json"};
  if (!who.empty()) command.insert(command.end(), {"--config", file(who + ".cli.yaml")});
  command.insert(command.end(), arguments.begin(), arguments.end());
  return Process({.command = std::move(command),
                  .folder = folder(),
                  .environment = {{"HOME", who.empty() ? folder() : file(who + ".home")}},
                  .output_file = file(output_stem + ".out"),
                  .error_file = file(output_stem + ".err")});
}

CliResult Stack::notp(const std::string& who, std::vector<std::string> arguments) {
  const std::string stem = fmt::format("cli-{}", runs_++);
  Process process = start_notp(who, std::move(arguments), stem);
  // The longest wait of the publish itself, plus a margin.
  constexpr std::chrono::milliseconds kMost{limits::kPublishTimeoutMs + 30'000};
  const auto status = process.wait(kMost);
  if (!status) throw std::runtime_error("notp does not end");
  CliResult result{*status, process.output(), process.error(), {}};
  result.document = parse_or_null(result.status == 0 ? result.output : result.error);
  fs::remove(file(stem + ".out"));
  fs::remove(file(stem + ".err"));
  return result;
}

CliResult Stack::run_cli(std::vector<std::string> arguments) {
  return notp({}, std::move(arguments));
}

CliResult Stack::publish(const fs::path& model, const std::string& ledger,
                         const std::string& message) {
  return notp("alice", {"publish", model, "--ledger", ledger, "-m", message});
}

int64_t Stack::published(const fs::path& model, const std::string& ledger) {
  const CliResult result = publish(model, ledger);
  if (result.status != 0) throw std::runtime_error("notp publish: " + result.error);
  return number_at(result.document, "version");
}

json::array Stack::nodes() {
  const CliResult result = notp("eve", {"nodes"});
  if (result.status != 0) throw std::runtime_error("notp nodes: " + result.error);
  return result.document.at("nodes").as_array();
}

json::value Stack::node(const Agent& agent) {
  for (const json::value& node : nodes())
    if (text_at(node, "node") == agent.identity()) return node;
  return {};
}

json::value Stack::node_ledger(const Agent& agent, const std::string& ledger) {
  const json::value row = node(agent);
  if (row.is_object())
    for (const json::value& entry : at(row, "ledgers").as_array())
      if (text_at(entry, "ledger") == ledger) return entry;
  return {};
}

bool Stack::becomes_active(const Agent& agent, const std::string& ledger, int64_t version) {
  return wait_until([&] { return agent.has_active(ledger, version); }) && wait_until([&] {
           const json::value row = node_ledger(agent, ledger);
           return number_at(row, "active_version") == version && text_at(row, "state") == "active";
         });
}

bool Stack::is_at_head(const Agent& agent, const std::string& ledger) {
  const json::value row = node_ledger(agent, ledger);
  return text_at(row, "state") == "active" &&
         number_at(row, "active_version") == number_at(row, "head_version");
}

fs::path Stack::write_deny_list(const std::vector<std::string>& identities) {
  json::object entries;
  for (const std::string& identity : identities)
    entries[identity] = json::object{{"reason", "stolen"}};
  const fs::path folder = file("deny-list");
  must(make_folders(folder / "notp/denied"));
  must(write_file(folder / "manifest.json", R"({
    "metadata": {"name": "deny list"},
    "runtimes": {"rego": {"language": {"name": "rego", "version": "1.0"}}},
    "partitions": {"/": {"runtime": "rego"}},
    "roots": ["notp/denied"]})"));
  write_json(folder / "notp/denied/data.json", json::object{{"identities", std::move(entries)}});
  return folder;
}

fs::path Stack::copy_example(const std::string& model) {
  const fs::path target = file("models") / fmt::format("{}-{}", model, runs_++);
  fs::create_directories(target.parent_path());
  fs::copy(source() / "tools/examples" / model, target, fs::copy_options::recursive);
  return target;
}

void Stack::apply_example_change(const fs::path& model, const std::string& patch) {
  Process process(
      {.command = {"git", "apply", source() / "tools/examples/changes" / (patch + ".patch")},
       .folder = model,
       .environment = {{"GIT_CEILING_DIRECTORIES", folder()}},
       .output_file = file("patch.log"),
       .error_file = file("patch.log")});
  if (process.wait() != 0) throw std::runtime_error("git apply: " + process.error());
}

json::value Stack::example_question(const std::string& name) const {
  return must(parse_json(read_text(source() / "tools/examples/questions" / (name + ".json"))));
}

std::string Stack::program(const std::string& name) const {
  return fs::path(required_variable("NOTP_BIN")) / name;
}

fs::path Stack::source() const { return required_variable("NOTP_SOURCE"); }

}  // namespace notp
