// Traces: one publish is one trace, from the command line over the registry to the nodes; and a
// collector that is dead or hostile costs nothing.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <map>
#include <set>

#include "common/telemetry/span_exporter.hpp"
#include "tests/support/process/command.hpp"
#include "tests/support/process/stack.hpp"
#include "tests/support/results.hpp"
#include "tests/support/wire/otlp_collector.hpp"
#include "tests/support/wire/test_pki.hpp"

namespace notp {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;
using Spans = std::vector<CollectedSpan>;

// The wall clock may be slewed while a span lasts by the steady one.
constexpr int64_t kToleranceNs = 5'000'000;

int64_t ms_since(Clock::time_point begin) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin).count();
}

// Variables of the programs that are started meanwhile.
class Variables {
 public:
  explicit Variables(std::map<std::string, std::string> variables)
      : variables_(std::move(variables)) {
    for (const auto& [name, value] : variables_) ::setenv(name.c_str(), value.c_str(), 1);
  }
  ~Variables() {
    for (const auto& [name, value] : variables_) ::unsetenv(name.c_str());
  }
  Variables(const Variables&) = delete;
  Variables& operator=(const Variables&) = delete;

 private:
  const std::map<std::string, std::string> variables_;
};

// A registry and two nodes: one with the embedded engine, one that feeds an OPA.
class Site {
 public:
  Stack stack;
  const int health_port = free_port();
  const std::filesystem::path model = stack.copy_example("payments");
  Opa opa{stack, free_port()};
  Agent* embedded = nullptr;
  Agent* fed = nullptr;

  Site() {
    stack.registry_more["health_listen"] = fmt::format("127.0.0.1:{}", health_port);
    stack.write_registry_config();
    stack.start_registry();
    embedded = &stack.start_agent({.name = "edge-1", .ledgers = {kPayments}});
    fed = &stack.start_agent(
        {.name = "edge-2", .ledgers = {kPayments}, .pdp = "opa", .opa_port = opa.port()});
    opa.start(*fed);
  }
  // Publishes the next release, and waits until both nodes decide with it.
  void publish(int64_t version, int64_t cents) {
    set_single_approval_max(model, cents);
    REQUIRE(stack.published(model, kPayments) == version);
    for (const Agent* agent : {embedded, fed})
      REQUIRE(stack.becomes_active(*agent, kPayments, version));
  }
  std::string metrics(const std::string& of) const {
    const std::string url =
        of == "registry" ? fmt::format("http://127.0.0.1:{}", health_port) : embedded->url();
    return must(http::call_blocking({.url = url + "/metrics"})).body;
  }
  int64_t metric(const std::string& of, const std::string& name) const {
    const std::string text = metrics(of);
    const size_t at = text.find("\n" + name + " ");
    return at == std::string::npos ? -1 : std::stoll(text.substr(at + name.size() + 2));
  }
};

// The spans of the publish of this version.
Spans trace_of(const Spans& all, const std::string& root, int64_t version) {
  const auto found = std::ranges::find_if(all, [&](const CollectedSpan& span) {
    return span.name == root && span.parent.empty() && span.attributes.contains("notp.version") &&
           span.attributes.at("notp.version") == std::to_string(version);
  });
  Spans out;
  if (found == all.end()) return out;
  std::ranges::copy_if(all, std::back_inserter(out),
                       [&](const CollectedSpan& span) { return span.trace == found->trace; });
  return out;
}

std::multiset<std::string> kinds_of(const Spans& trace) {
  std::multiset<std::string> out;
  for (const CollectedSpan& span : trace) out.insert(span.kind_text());
  return out;
}

const CollectedSpan& one_of(const Spans& trace, const std::string& service, const std::string& name,
                            int64_t pid = 0) {
  const auto found = std::ranges::find_if(trace, [&](const CollectedSpan& span) {
    return span.service == service && span.name == name && (pid == 0 || span.pid == pid);
  });
  REQUIRE_MESSAGE(found != trace.end(), service << " has no span " << name);
  return *found;
}

// One root, each other span below one that is there, and inside it in time. A push goes on when it
// has been announced.
void check_tree(const Spans& trace) {
  std::map<std::string, const CollectedSpan*> by_id;
  for (const CollectedSpan& span : trace)
    CHECK_MESSAGE(by_id.emplace(span.span, &span).second, "twice: " << span.kind_text());
  size_t roots = 0;
  for (const CollectedSpan& span : trace) {
    CHECK(span.trace.size() == 32);
    CHECK(span.span.size() == 16);
    CHECK(span.start_ns <= span.end_ns);
    if (span.parent.empty()) {
      ++roots;
      continue;
    }
    const auto parent = by_id.find(span.parent);
    REQUIRE_MESSAGE(parent != by_id.end(), span.kind_text() << " is an orphan");
    CHECK_MESSAGE(span.start_ns >= parent->second->start_ns - kToleranceNs,
                  span.kind_text() << " begins before " << parent->second->kind_text());
    if (span.name != "push")
      CHECK_MESSAGE(span.end_ns <= parent->second->end_ns + kToleranceNs,
                    span.kind_text() << " ends after " << parent->second->kind_text());
  }
  CHECK(roots == 1);
}

void check_order(const Spans& trace, const std::string& service,
                 const std::vector<std::string>& names, int64_t pid = 0) {
  for (size_t i = 1; i < names.size(); ++i)
    CHECK_MESSAGE(one_of(trace, service, names[i - 1], pid).end_ns <=
                      one_of(trace, service, names[i], pid).start_ns + kToleranceNs,
                  service << ": " << names[i] << " begins before " << names[i - 1] << " has ended");
}

// What traces may say, and about whom.
void check_attributes(const Spans& trace) {
  static const std::set<std::string> kKeys = {"notp.ledger", "notp.version", "notp.bytes",
                                              "notp.code",   "notp.node",    "notp.pdp"};
  for (const CollectedSpan& span : trace)
    for (const auto& [key, value] : span.attributes) {
      CHECK_MESSAGE(kKeys.contains(key), span.kind_text() << " has " << key);
      CHECK_MESSAGE((key != "notp.node" || span.service == "notp-client"), span.kind_text()
                                                                               << " names a node");
      for (const char* text : {"alice", "transfer", "a change", ".rego"})
        CHECK_FALSE_MESSAGE(value.contains(text), span.kind_text() << " says " << value);
    }
}

TEST_CASE("one publish is one trace of publisher, registry and nodes") {
  OtlpCollector collector;
  const auto variables = std::make_unique<Variables>(
      std::map<std::string, std::string>{{"OTEL_EXPORTER_OTLP_ENDPOINT", collector.url()}});
  Site site;
  site.publish(1, 40'000);
  site.publish(2, 41'000);
  const std::multiset<std::string> wanted = {"notp: notp publish",
                                             "notp: validate",
                                             "notp: sign",
                                             "notp: send",
                                             "notp-server: publish",
                                             "notp-server: validate",
                                             "notp-server: store",
                                             "notp-server: artifact",
                                             "notp-server: announce",
                                             "notp-server: push",
                                             "notp-server: push",
                                             "notp-client: receive",
                                             "notp-client: receive",
                                             "notp-client: store",
                                             "notp-client: store",
                                             "notp-client: activate",
                                             "notp-client: activate"};
  Spans trace;
  const bool is_whole = wait_until([&] {
    trace = trace_of(collector.spans(), "notp publish", 2);
    return trace.size() >= wanted.size();
  });
  REQUIRE_MESSAGE(is_whole, "only " << trace.size() << " spans");
  CHECK(kinds_of(trace) == wanted);
  check_tree(trace);
  check_attributes(trace);
  check_order(trace, "notp", {"validate", "sign", "send"});
  check_order(trace, "notp-server", {"validate", "store", "artifact", "announce"});
  std::map<std::string, std::set<int64_t>> processes;
  for (const CollectedSpan& span : trace) {
    processes[span.service].insert(span.pid);
    CHECK(span.error.empty());
  }
  CHECK(processes["notp"].size() == 1);
  CHECK(processes["notp-server"] == std::set<int64_t>{site.stack.registry_pid()});
  CHECK(processes["notp-client"] == std::set<int64_t>{site.embedded->pid(), site.fed->pid()});
  for (const Agent* agent : {site.embedded, site.fed}) {
    check_order(trace, "notp-client", {"receive", "store", "activate"}, agent->pid());
    const CollectedSpan& active = one_of(trace, "notp-client", "activate", agent->pid());
    CHECK(active.attributes.at("notp.node") == agent->identity());
    CHECK(active.attributes.at("notp.pdp") == (agent == site.fed ? "opa" : "embedded"));
  }
  const std::set<std::string> kinds = [&] {
    const auto all = kinds_of(trace);
    return std::set<std::string>(all.begin(), all.end());
  }();
  CHECK(trace_of(collector.spans(), "notp publish", 1).at(0).trace != trace[0].trace);
  record_result("one publish, one trace",
                fmt::format("{} spans, {} kinds, {} processes", trace.size(), kinds.size(), 4),
                "1 root, 0 orphans");
}

TEST_CASE(
    "a publish without a trace of its own begins one at the registry; a refused one says why") {
  OtlpCollector collector;
  auto variables = std::make_unique<Variables>(
      std::map<std::string, std::string>{{"OTEL_EXPORTER_OTLP_ENDPOINT", collector.url()}});
  Site site;
  variables.reset();  // of the programs that start from now on
  site.publish(1, 40'000);
  Spans trace;
  REQUIRE(wait_until([&] {
    trace = trace_of(collector.spans(), "publish", 1);
    return kinds_of(trace).count("notp-client: activate") == 2 &&
           kinds_of(trace).count("notp-server: push") == 2;
  }));
  check_tree(trace);
  check_attributes(trace);
  // The first release has none before it: its artifact is made for the first node that needs it.
  CHECK(kinds_of(trace).count("notp-server: artifact") >= 1);

  variables = std::make_unique<Variables>(
      std::map<std::string, std::string>{{"OTEL_EXPORTER_OTLP_ENDPOINT", collector.url()}});
  must(
      write_file(site.model / "payments/broken.rego", "package payments.broken\n\nx := nothing\n"));
  CHECK(site.stack.publish(site.model, kPayments).status != 0);
  REQUIRE(wait_until([&] {
    trace = trace_of(collector.spans(), "notp publish", 2);
    return trace.size() == 6;
  }));
  check_tree(trace);
  check_attributes(trace);
  for (const auto& [service, name] : {std::pair{"notp", "notp publish"},
                                      {"notp", "send"},
                                      {"notp-server", "publish"},
                                      {"notp-server", "validate"}}) {
    const CollectedSpan& failed = one_of(trace, service, name);
    CHECK(failed.error == "invalid_model");
    CHECK(failed.attributes.at("notp.code") == "invalid_model");
  }
  CHECK(one_of(trace, "notp", "sign").error.empty());
}

struct Timings {
  int64_t publish_ms = 0, registry_stop_ms = 0, agent_stop_ms = 0;
};

// Publishes twice with the variables, and ends the programs. `look` is called before their end.
Timings timings(std::map<std::string, std::string> variables,
                const std::function<void(Site&)>& look = {}) {
  const Variables set(std::move(variables));
  Site site;
  site.publish(1, 40'000);
  Timings out;
  set_single_approval_max(site.model, 41'000);
  auto begin = Clock::now();
  REQUIRE(site.stack.published(site.model, kPayments) == 2);
  out.publish_ms = ms_since(begin);
  for (const Agent* agent : {site.embedded, site.fed})
    REQUIRE(site.stack.becomes_active(*agent, kPayments, 2));
  if (look) look(site);
  begin = Clock::now();
  CHECK(site.embedded->stop() == 0);
  out.agent_stop_ms = ms_since(begin);
  begin = Clock::now();
  CHECK(site.stack.stop_registry() == 0);
  out.registry_stop_ms = ms_since(begin);
  return out;
}

TEST_CASE(
    "a collector that is down, silent or hostile delays no publish, no decision and no stop") {
  const Timings untraced = timings({});
  const auto check = [&](const std::string& what, const Timings& with) {
    // Machines of tests are busy: half of the longest wait is for that.
    const int64_t most_ms = kTraceFlushMs + 1'000;
    CHECK(with.publish_ms < untraced.publish_ms + most_ms);
    CHECK(with.agent_stop_ms < untraced.agent_stop_ms + most_ms);
    CHECK(with.registry_stop_ms < untraced.registry_stop_ms + most_ms);
    record_result(fmt::format("a collector that is {}: publish, stop of agent and registry", what),
                  fmt::format("{}, {}, {} ms; without traces {}, {}, {} ms", with.publish_ms,
                              with.agent_stop_ms, with.registry_stop_ms, untraced.publish_ms,
                              untraced.agent_stop_ms, untraced.registry_stop_ms),
                  "both nodes active, exit 0");
  };
  check("down",
        timings({{"OTEL_EXPORTER_OTLP_ENDPOINT", fmt::format("http://127.0.0.1:{}", free_port())}},
                [](Site& site) {
                  // Given up after the attempts to deliver them.
                  CHECK(wait_until([&] {
                    return site.metric("registry", "notp_traces_failed_total") > 0 &&
                           site.metric("agent", "notp_agent_traces_failed_total") > 0;
                  }));
                  CHECK(site.stack.count_events("traces_not_exported", "unavailable") == 1);
                  CHECK(site.embedded->count_events("traces_not_exported") == 1);
                  CHECK(site.metric("registry", "notp_traces_exported_total") == 0);
                }));
  OtlpCollector silent([](size_t) -> asio::awaitable<http::Response> {
    asio::steady_timer timer(co_await asio::this_coro::executor, std::chrono::hours(1));
    co_await timer.async_wait(asio::use_awaitable);
    co_return http::Response();
  });
  check("silent", timings({{"OTEL_EXPORTER_OTLP_ENDPOINT", silent.url()}}));
  CHECK(silent.requests() >= 3);
  OtlpCollector busy([](size_t) -> asio::awaitable<http::Response> {
    http::Response response;
    response.status = 503;
    response.headers.emplace_back("Retry-After", "86400");
    co_return response;
  });
  check("busy for a day", timings({{"OTEL_EXPORTER_OTLP_ENDPOINT", busy.url()}}));
  OtlpCollector refusing([](size_t) -> asio::awaitable<http::Response> {
    http::Response response;
    response.status = 400;
    response.body = Bytes(1 << 20, '{');
    co_return response;
  });
  check("refusing", timings({{"OTEL_EXPORTER_OTLP_ENDPOINT", refusing.url()}}, [](Site& site) {
          CHECK(wait_until(
              [&] { return site.metric("registry", "notp_traces_failed_total") >= 10; }));
        }));
}

TEST_CASE("variables that make no sense stop no program, and are reported") {
  const Variables set(
      {{"OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"}, {"OTEL_RESOURCE_ATTRIBUTES", "x"}});
  Site site;
  site.publish(1, 40'000);
  CHECK(site.stack.count_events("traces_misconfigured") == 2);
  CHECK(site.embedded->count_events("traces_misconfigured") == 2);
  CHECK(site.metric("registry", "notp_traces_exported_total") == 0);
}

// --- with a real collector: slow, because it is built first

TEST_CASE("an OpenTelemetry Collector takes the trace, and writes what it understood") {
  if (std::getenv("NOTP_REAL_COLLECTOR") == nullptr) return;
  const std::filesystem::path source = std::getenv("NOTP_SOURCE");
  CommandResult built = run_command({source / "tools/build-collector"});
  REQUIRE_MESSAGE(built.status == 0, built.output);
  built.output.pop_back();  // its last line is the path
  const std::string program = built.output.substr(built.output.rfind('\n') + 1);

  TemporaryFolder folder;
  const int port = free_port();
  const std::filesystem::path written = folder.path() / "traces.json";
  must(write_file(folder.path() / "collector.yaml",
                  fmt::format("receivers: {{otlp: {{protocols: {{http: {{endpoint: "
                              "'127.0.0.1:{}'}}}}}}}}\n"
                              "exporters: {{file: {{path: {}, flush_interval: 100ms}}}}\n"
                              "service:\n"
                              "  telemetry: {{metrics: {{level: none}}}}\n"
                              "  pipelines: {{traces: {{receivers: [otlp], exporters: [file]}}}}\n",
                              port, written.string())));
  Process collector({.command = {program, "--config", folder.path() / "collector.yaml"},
                     .folder = folder.path(),
                     .environment = {},
                     .output_file = folder.path() / "collector.log",
                     .error_file = folder.path() / "collector.log"});
  const std::string url = fmt::format("http://127.0.0.1:{}", port);
  REQUIRE_MESSAGE(wait_until([&] {
                    return http::call_blocking({.method = "POST",
                                                .url = url + "/v1/traces",
                                                .headers = {{"Content-Type", "application/json"}},
                                                .body = "{}"})
                        .has_value();
                  }),
                  read_text(folder.path() / "collector.log"));
  const Variables set({{"OTEL_EXPORTER_OTLP_ENDPOINT", url}});
  Site site;
  site.publish(1, 40'000);
  site.publish(2, 41'000);
  Spans trace;
  const auto collected = [&] {
    Spans out;
    for (const json::value& line : log_lines(written))
      std::ranges::move(spans_of(json::serialize(line)), std::back_inserter(out));
    return out;
  };
  REQUIRE(wait_until([&] {
    trace = trace_of(collected(), "notp publish", 2);
    return trace.size() >= 17;
  }));
  CHECK(trace.size() == 17);
  check_tree(trace);
  check_attributes(trace);
  CHECK(site.metric("registry", "notp_traces_failed_total") == 0);
  const auto all = kinds_of(trace);
  record_result("one publish in an OpenTelemetry Collector",
                fmt::format("{} spans, {} kinds", trace.size(),
                            std::set<std::string>(all.begin(), all.end()).size()),
                "1 root, 0 orphans, 0 refused");
}

}  // namespace
}  // namespace notp
