// The exporter of spans against collectors that take them, and against those that are dead, slow or
// hostile: they must cost neither time nor memory.
#include <chrono>

#include "common/telemetry/span_exporter.hpp"
#include "tests/support/process/process.hpp"
#include "tests/support/wire/fake_proxy.hpp"
#include "tests/support/wire/otlp_collector.hpp"
#include "tests/support/wire/test_pki.hpp"

namespace notp {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

int64_t ms_since(Clock::time_point begin) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin).count();
}

SpanRecord span(int number) {
  SpanRecord out{.name = "span", .attributes = {}, .error = {}};
  out.trace.fill(1);
  out.span.fill(2);
  out.start_ns = out.end_ns = number;
  return out;
}

http::Response status(unsigned status, std::string retry_after = {}) {
  http::Response out;
  out.status = status;
  out.body = "{}";
  if (!retry_after.empty()) out.headers.emplace_back("Retry-After", std::move(retry_after));
  return out;
}

// Always the same.
OtlpCollector::Answer answering(unsigned code, const std::string& retry_after = {}) {
  return [=](size_t) -> asio::awaitable<http::Response> { co_return status(code, retry_after); };
}

asio::awaitable<http::Response> never(size_t) {
  asio::steady_timer timer(co_await asio::this_coro::executor, std::chrono::hours(1));
  co_await timer.async_wait(asio::use_awaitable);
  co_return status(200);
}

// An exporter with its counters, and what it reported.
class Exporting {
 public:
  explicit Exporting(const std::string& url, Environment more = {}) {
    more["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] = url;
    const TraceConfig config = TraceConfig::read(more, "test");
    REQUIRE(config.warnings.empty());
    exporter = must(SpanExporter::start(config, {}, SpanCounters(registry_, "notp_"),
                                        [reports = reports_](const Result<void>& report) {
                                          const MutexLock lock(reports->mutex);
                                          reports->texts.push_back(report ? "again"
                                                                          : report.error().message);
                                        }));
  }
  void add(int first, int count) const {
    for (int i = 0; i < count; ++i) exporter->add(span(first + i));
  }
  int64_t count(const std::string& name) const {
    for (const auto& family : registry_->Collect())
      if (family.name == "notp_traces_" + name + "_total")
        return static_cast<int64_t>(family.metric.at(0).counter.value);
    return -1;
  }
  std::vector<std::string> reports() const {
    const MutexLock lock(reports_->mutex);
    return reports_->texts;
  }

 private:
  struct Reports {
    Mutex mutex;
    std::vector<std::string> texts NOTP_GUARDED_BY(mutex);
  };
  const std::shared_ptr<prometheus::Registry> registry_ = std::make_shared<prometheus::Registry>();
  const std::shared_ptr<Reports> reports_ = std::make_shared<Reports>();

 public:
  std::unique_ptr<SpanExporter> exporter;
};

TEST_CASE("spans reach the collector in batches, with the configured headers") {
  OtlpCollector collector;
  const Exporting exporting(collector.url() + "/v1/traces",
                            {{"OTEL_EXPORTER_OTLP_HEADERS", "api-key=abc%20d"}});
  exporting.add(0, 1'200);
  REQUIRE(wait_until([&] { return exporting.count("exported") == 1'200; }));
  std::set<int64_t> numbers;
  for (const CollectedSpan& one : collector.spans()) numbers.insert(one.start_ns);
  CHECK(numbers.size() == 1'200);
  CHECK(collector.requests() >= 3);
  for (const http::Request& request : collector.received()) {
    CHECK(request.method == "POST");
    CHECK(request.path == "/v1/traces");
    CHECK(request.header("Content-Type") == "application/json");
    CHECK(request.header("api-key") == "abc d");
    CHECK(spans_of(request.body).size() <= kSpanBatchMax);
  }
  CHECK(exporting.count("failed") == 0);
  CHECK(exporting.count("dropped") == 0);
  CHECK(exporting.reports().empty());
}

TEST_CASE("the end of a program sends what waits at once") {
  OtlpCollector collector;
  const Exporting exporting(collector.url());
  exporting.add(0, 3);
  const auto begin = Clock::now();
  exporting.exporter->stop();
  CHECK(ms_since(begin) < kSpanBatchMs);
  CHECK(exporting.count("exported") == 3);
  exporting.add(3, 2);  // too late
  CHECK(exporting.count("dropped") == 2);
  exporting.exporter->stop();
}

TEST_CASE("a collector that never answers holds up no span and no end") {
  OtlpCollector collector(never);
  const Exporting exporting(collector.url());
  exporting.add(0, 1);
  REQUIRE(wait_until([&] { return collector.requests() == 1; }));
  auto begin = Clock::now();
  exporting.add(1, 5'000);
  CHECK(ms_since(begin) < 500);
  CHECK(exporting.count("dropped") == 5'000 - int64_t{kSpansWaitingMax});
  begin = Clock::now();
  exporting.exporter->stop();
  CHECK(ms_since(begin) < kTraceFlushMs + 400);
  CHECK(wait_until([&] { return exporting.count("dropped") == 5'001; }));
  CHECK(exporting.count("exported") + exporting.count("failed") == 0);
}

TEST_CASE("a collector that accepts and says nothing, of HTTP or else, costs its time limit") {
  FakeProxy silent([](FakeProxy::Socket&, const std::string&) {});
  const Exporting exporting(silent.url(), {{"OTEL_EXPORTER_OTLP_TIMEOUT", "100"}});
  exporting.add(0, 1);
  REQUIRE(wait_until([&] { return exporting.reports().size() == 1; }));
  CHECK(exporting.reports()[0].contains("100 ms"));
  exporting.exporter->stop();
  CHECK(exporting.count("failed") == 1);
}

TEST_CASE("a collector that is busy gets the spans again after the pause that it asked for") {
  OtlpCollector collector([](size_t before) -> asio::awaitable<http::Response> {
    co_return before == 0 ? status(503, "1") : status(200);
  });
  const Exporting exporting(collector.url());
  exporting.add(0, 2);
  REQUIRE(wait_until([&] { return collector.requests() == 1; }));
  const auto begin = Clock::now();
  REQUIRE(wait_until([&] { return exporting.count("exported") == 2; }));
  CHECK(ms_since(begin) > 700);
  CHECK(collector.requests() == 2);
  const auto both = collector.received();
  CHECK(both[0].body == both[1].body);
  REQUIRE(exporting.reports().size() == 2);
  CHECK(exporting.reports()[0].contains("503"));
  CHECK(exporting.reports()[1] == "again");
}

TEST_CASE("a collector that asks for a year does not hold up the end") {
  OtlpCollector collector(answering(503, "31536000"));
  const Exporting exporting(collector.url());
  exporting.add(0, 1);
  REQUIRE(wait_until([&] { return !exporting.reports().empty(); }));
  exporting.add(1, 1);
  const auto begin = Clock::now();
  exporting.exporter->stop();
  CHECK(ms_since(begin) < kTraceFlushMs);
  CHECK(exporting.count("failed") == 2);
}

TEST_CASE("answers that are no success: spans count as failed, and are not sent again") {
  for (const unsigned code : {400U, 401U, 404U, 500U, 302U}) {
    OtlpCollector collector(answering(code));
    const Exporting exporting(collector.url());
    exporting.add(0, 4);
    exporting.exporter->begin_stop();
    REQUIRE(wait_until([&] { return exporting.count("failed") == 4; }));
    CHECK(collector.requests() == 1);
    CHECK(exporting.reports().size() == 1);
  }
}

TEST_CASE("garbage") {
  for (const std::string& garbage : std::vector<std::string>{
           std::string("\x16\x03\x01 not HTTP\r\n\r\n"), std::string("HTTP/1.1 200 OK\r\n\r\n"),
           "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
           "HTTP/1.1 200 OK\r\nX: " + std::string(200'000, 'x') + "\r\n\r\n",
           "HTTP/1.1 200 OK\r\n\r\n" + std::string(1 << 20, '{'), std::string("HTTP/1.1 2")}) {
    FakeProxy hostile([&](FakeProxy::Socket& socket, const std::string&) {
      boost::system::error_code ignored;
      asio::write(socket, asio::buffer(garbage), ignored);
      ::shutdown(socket.native_handle(), SHUT_WR);
    });
    const Exporting exporting(hostile.url());
    exporting.add(0, 4);
    const auto begin = Clock::now();
    exporting.exporter->stop();
    CHECK(ms_since(begin) < kTraceFlushMs + 400);
    CHECK(wait_until([&] {
      return exporting.count("exported") + exporting.count("failed") + exporting.count("dropped") ==
             4;
    }));
    // Only a success with an empty body may be believed.
    CHECK((exporting.count("exported") == 0 || garbage == "HTTP/1.1 200 OK\r\n\r\n"));
  }
}

TEST_CASE(
    "a success whose body is nonsense is a success, and one that refuses some says how many") {
  OtlpCollector collector([](size_t before) -> asio::awaitable<http::Response> {
    http::Response response = status(200);
    response.body = before == 0 ? "<html>" : R"({"partialSuccess": {"rejectedSpans": "3"}})";
    co_return response;
  });
  const Exporting exporting(collector.url());
  exporting.add(0, 4);
  REQUIRE(wait_until([&] { return exporting.count("exported") == 4; }));
  exporting.add(4, 4);
  REQUIRE(wait_until([&] { return exporting.count("failed") == 3; }));
  CHECK(exporting.count("exported") == 5);
}

TEST_CASE("no program listens: the spans are tried again, and given up at the end") {
  const Exporting exporting(fmt::format("http://127.0.0.1:{}", free_port()));
  exporting.add(0, 1);
  REQUIRE(wait_until([&] { return exporting.reports().size() == 1; }));
  exporting.add(1, 1);
  const auto begin = Clock::now();
  exporting.exporter->stop();
  CHECK(ms_since(begin) < kTraceFlushMs);
  CHECK(exporting.count("failed") == 2);
}

TEST_CASE("an https collector must have a certificate of the configured authority") {
  TestPki pki, other;
  auto leaf = pki.leaf("registry", "collector");
  leaf.dns_names = {"localhost"};
  const transport::TlsFiles own = pki.issue(leaf);
  std::atomic<int> requests = 0;
  HttpHost host(
      [&](const http::Request&) -> asio::awaitable<http::Response> {
        ++requests;
        co_return status(200);
      },
      {},
      http::TlsEndpoint{.address = "127.0.0.1",
                        .certificate = own.certificate,
                        .private_key = own.private_key,
                        .client_authorities = pki.authorities()});
  const std::string url = fmt::format("https://localhost:{}/v1/traces", host.server->port());
  const Exporting trusting(url, {{"OTEL_EXPORTER_OTLP_CERTIFICATE", pki.authorities()}});
  trusting.add(0, 1);
  trusting.exporter->begin_stop();
  CHECK(wait_until([&] { return trusting.count("exported") == 1; }));
  const Exporting suspicious(url, {{"OTEL_EXPORTER_OTLP_CERTIFICATE", other.authorities()}});
  suspicious.add(0, 1);
  suspicious.exporter->begin_stop();
  CHECK(wait_until([&] { return suspicious.count("failed") == 1; }));
  CHECK(requests == 1);
}

TEST_CASE("a file of the configuration that cannot be read is an error of the start") {
  const TraceConfig config = TraceConfig::read({{"OTEL_EXPORTER_OTLP_ENDPOINT", "https://c"},
                                                {"OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere"}},
                                               "test");
  const auto started = SpanExporter::start(
      config, {}, SpanCounters(std::make_shared<prometheus::Registry>(), "notp_"), {});
  REQUIRE_FALSE(started);
  CHECK(started.error().message.contains("/nowhere"));
}

}  // namespace
}  // namespace notp
