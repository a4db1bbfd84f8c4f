// How an unmodified OPA treats its decision log when no agent is there to help. Each case is a
// reason for something that the agent does (notp-client/opa_log/README.md); in an OPA that behaves
// otherwise it is red. test_opa_logs.cpp has those that the agent counts.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <boost/asio.hpp>
#include <csignal>
#include <mutex>
#include <random>

#include "common/json/json.hpp"
#include "common/storage/files.hpp"
#include "notp-client/opa_log/event_time.hpp"
#include "tests/support/process/opa_process.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/wire/http_host.hpp"
#include "tests/support/wire/test_pki.hpp"

namespace notp {
namespace {

namespace asio = boost::asio;

constexpr std::string_view kPolicy = R"rego(package app

ok := true

told := {"now": time.now_ns(), "sum": sum(numbers.range(1, 300000))}

drawn := count([n | some i in numbers.range(1, 400); n := rand.intn(sprintf("%d", [i]), 1000000)])

verified := io.jwt.decode_verify(input.jwt, {"secret": "h4sh-key"})

verified_alone := io.jwt.verify_hs256(input.jwt, "h4sh-key")

clash := 1 if input.a

clash := 2 if input.b
)rego";

// Digits of a number without a pattern: gzip does not make them shorter than about half.
std::string random_digits(size_t count, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::string text;
  while (text.size() < count) text += std::to_string(random());
  text.resize(count);
  return text;
}

// Takes uploads of decision logs.
class Collector {
 public:
  std::string url() const { return fmt::format("http://127.0.0.1:{}", host_.server->port()); }
  std::vector<json::value> events() const {
    const std::lock_guard lock(mutex_);
    return events_;
  }
  size_t uploads() const {
    const std::lock_guard lock(mutex_);
    return uploads_;
  }
  // The number "q" of each input, in the order of arrival.
  std::vector<int64_t> numbers() const {
    std::vector<int64_t> out;
    for (const json::value& event : events())
      out.push_back(event.at("input").at("q").to_number<int64_t>());
    return out;
  }
  std::atomic<unsigned> answer_status = 204;

 private:
  mutable std::mutex mutex_;
  std::vector<json::value> events_;
  size_t uploads_ = 0;
  HttpHost host_{[this](const http::Request& request) -> asio::awaitable<http::Response> {
    http::Response response;
    response.status = answer_status;
    response.body = "no JSON";
    const std::lock_guard lock(mutex_);
    ++uploads_;
    if (answer_status < 300) {
      const json::value events = must(parse_json(request.body));
      events_.insert(events_.end(), events.as_array().begin(), events.as_array().end());
    }
    co_return response;
  }};
};

struct StockSetup {
  bool writes_file = false;  // else it posts to the collector
  bool has_nd_cache = true;
  std::string reporting = {};  // members of `reporting`, beside the delays
  int delay_s = 1;             // between uploads
  std::string more = {};       // further lines of the configuration
  std::string log_rules = {};  // of package system.log
  std::string log_level = "error";
  std::vector<std::string> arguments = {};
};

class StockLogger {
 public:
  Collector collector;
  TemporaryFolder folder;

  explicit StockLogger(const StockSetup& setup = {}) {
    const std::string posts = fmt::format(
        "decision_logs:\n  service: c\n"
        "  reporting: {{min_delay_seconds: {0}, max_delay_seconds: {0}{1}}}\n",
        setup.delay_s, setup.reporting);
    const std::string writes = fmt::format(
        "decision_logs: {{plugin: file_logger}}\n"
        "plugins: {{file_logger: {{path: \"{}\", max_size_mb: 1}}}}\n",
        log_file().string());
    start(setup, fmt::format("services: {{c: {{url: \"{}\"}}}}\nnd_builtin_cache: {}\n{}{}",
                             collector.url(), setup.has_nd_cache,
                             setup.writes_file ? writes : posts, setup.more));
  }

  std::filesystem::path log_file() const { return folder.path() / "log" / "decisions.jsonl"; }

  void ask(const std::string& rule, int64_t number, const std::string& more = "") {
    const http::Response answer = call("POST", "/v1/data/app/" + rule,
                                       fmt::format(R"({{"input":{{"q":{}{}}}}})", number, more));
    CHECK_MESSAGE(answer.status == 200, answer.body);
  }
  http::Response call(const std::string& method, const std::string& path, const Bytes& body = {}) {
    const auto answer = http::call_blocking(
        {.method = method, .url = url_ + path, .body = body, .answer_bytes_max = 4 << 20});
    REQUIRE_MESSAGE(answer, answer.error().message);
    return *answer;
  }
  bool has_numbers(const std::vector<int64_t>& numbers) {
    return wait_until([&] { return collector.numbers() == numbers; });
  }
  // Sends SIGTERM; returns the exit status.
  int stop() {
    opa_->signal(SIGTERM);
    const auto status = opa_->wait();
    REQUIRE(status);
    return *status;
  }

 private:
  void start(const StockSetup& setup, const std::string& config) {
    const int port = free_port();
    url_ = fmt::format("http://127.0.0.1:{}", port);
    REQUIRE(make_folders(log_file().parent_path()));
    REQUIRE(write_file(folder.path() / "opa.yaml", config));
    REQUIRE(write_file(folder.path() / "app.rego", kPolicy));
    REQUIRE(write_file(folder.path() / "log.rego", "package system.log\n\n" + setup.log_rules));
    std::vector<std::string> options = {"--config-file", "opa.yaml", "--log-level",
                                        setup.log_level, "app.rego", "log.rego"};
    options.insert(options.end(), setup.arguments.begin(), setup.arguments.end());
    opa_.emplace(opa_process(folder.path(), port, options));
    REQUIRE(wait_until([&] {
      const auto answer = http::call_blocking({.url = url_ + "/health"});
      return answer && answer->status == 200;
    }));
  }

  std::string url_;
  std::optional<Process> opa_;
};

std::string padding(const std::string& text) { return fmt::format(R"(,"x":"{}")", text); }

}  // namespace

TEST_CASE("stock OPA: a buffer with a limit drops the oldest, and counts it only on request") {
  constexpr int64_t kQuestions = 60;
  StockSetup setup{.reporting = ", upload_size_limit_bytes: 1000, buffer_size_limit_bytes: 4000"};
  bool counts = false;
  SUBCASE("as it is by default") {}
  SUBCASE("with status.prometheus") {
    setup.more = "status: {prometheus: true}\n";
    counts = true;
  }
  StockLogger opa(setup);
  opa.collector.answer_status = 500;
  for (int64_t i = 0; i < kQuestions; ++i) opa.ask("ok", i, padding(random_digits(400, 7 + i)));
  opa.collector.answer_status = 204;
  CHECK(wait_until([&] {
    const auto arrived = opa.collector.numbers();
    return std::ranges::find(arrived, kQuestions - 1) != arrived.end();
  }));
  const auto arrived = opa.collector.numbers();
  CHECK(std::ranges::find(arrived, 0) == arrived.end());
  CHECK(std::ssize(arrived) < kQuestions / 2);
  const auto is_counted = [&] {
    return opa.call("GET", "/metrics").body.contains("decision_logs_dropped_buffer_size_limit");
  };
  CHECK((counts ? wait_until(is_counted) : !is_counted()));
}

TEST_CASE("stock OPA: SIGTERM while the collector is away loses what waits, with exit code 0") {
  StockLogger opa({.arguments = {"--shutdown-grace-period", "1"}});
  opa.collector.answer_status = 503;
  for (int64_t i = 0; i < 20; ++i) opa.ask("ok", i);
  CHECK(opa.stop() == 0);
  CHECK(opa.collector.uploads() > 0);
  CHECK(opa.collector.events().empty());
}

TEST_CASE("stock OPA: an event that is too large takes later ones along that are not") {
  constexpr size_t kLarge = 200'000;
  const std::string compressible(kLarge + 1'000, 'a');
  StockLogger opa({.has_nd_cache = false, .delay_s = 3'600});
  opa.ask("ok", 1, padding(compressible));  // alone it is small when packed
  opa.ask("ok", 2, padding(random_digits(kLarge, 1)));
  for (int64_t i = 3; i < 8; ++i) opa.ask("ok", i, padding(compressible));
  opa.ask("ok", 8);
  CHECK(opa.stop() == 0);
  const std::vector<int64_t> arrived = opa.collector.numbers();
  const std::vector<int64_t> expected = {1, 8};
  CHECK_MESSAGE(arrived == expected, fmt::format("{}", fmt::join(arrived, " ")));
}

TEST_CASE("stock OPA: what functions returned is left out first of a large event, unsaid") {
  StockLogger opa({.reporting = ", upload_size_limit_bytes: 2000"});
  opa.ask("drawn", 1);
  REQUIRE(opa.has_numbers({1}));
  const json::value event = opa.collector.events().at(0);
  CHECK(event.at("result") == 400);
  CHECK_FALSE(event.as_object().contains("nd_builtin_cache"));
  CHECK_FALSE(event.as_object().contains("erased"));
}

TEST_CASE("stock OPA: a mask or a drop that cannot be evaluated loses the event") {
  StockSetup setup;
  SUBCASE("drop") {
    setup.log_rules = "drop := false if input.input.q < 3\n\ndrop := true if input.input.q > 1\n";
  }
  SUBCASE("mask") {
    setup.log_rules =
        "mask := {\"/input/a\"} if input.input.q > 1\n\nmask := set() if input.input.q < 3\n";
  }
  StockLogger opa(setup);
  opa.ask("ok", 2);  // the rule has two values
  opa.ask("ok", 0);
  CHECK(opa.has_numbers({0}));
}

TEST_CASE("stock OPA: a request's number counts every request, so its gaps prove nothing") {
  std::string log_level = "error";  // then there is none
  SUBCASE("quiet") {}
  SUBCASE("as by default") { log_level = "info"; }
  StockLogger opa({.log_level = log_level});
  opa.ask("ok", 1);
  opa.call("GET", "/v1/policies");
  opa.call("GET", "/health");
  opa.ask("ok", 2);
  REQUIRE(opa.has_numbers({1, 2}));
  const auto events = opa.collector.events();
  for (const json::value& event : events)
    REQUIRE(event.as_object().contains("req_id") == (log_level == "info"));
  if (log_level == "info")
    CHECK(events[1].at("req_id").as_int64() - events[0].at("req_id").as_int64() == 3);
}

TEST_CASE("stock OPA: an event's time is taken after the evaluation, not the one that it saw") {
  StockLogger opa;
  opa.ask("told", 1);
  REQUIRE(opa.has_numbers({1}));
  const json::value event = opa.collector.events().at(0);
  const int64_t seen_ns = event.at("result").at("now").as_int64();
  const int64_t evaluated_ns = event.at("metrics").at("timer_rego_query_eval_ns").as_int64();
  CHECK(evaluated_ns > 0);
  const auto logged_ns = opa_log::parse_time(event.at("timestamp").as_string());
  REQUIRE(logged_ns);
  CHECK(*logged_ns >= seen_ns + evaluated_ns / 2);
}

TEST_CASE("stock OPA: of a token's verification it logs the secret, or nothing") {
  StockLogger opa;
  const std::string jwt = R"(,"jwt":"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbmEifQ.c2lnbmF0dXJl")";
  opa.ask("verified", 1, jwt);
  opa.ask("verified_alone", 2, jwt);
  REQUIRE(opa.has_numbers({1, 2}));
  const auto events = opa.collector.events();
  const std::string cache = json::serialize(events[0].at("nd_builtin_cache"));
  CHECK_MESSAGE(cache.contains("io.jwt.decode_verify"), cache);
  CHECK_MESSAGE(cache.contains("h4sh-key"), cache);
  CHECK_FALSE(json::serialize(events[1]).contains("io.jwt"));
}

TEST_CASE("stock OPA: any status of 2xx acknowledges an upload") {
  StockLogger opa;
  opa.collector.answer_status = 299;
  opa.ask("ok", 1);
  REQUIRE(opa.has_numbers({1}));
  opa.ask("ok", 2);
  CHECK(opa.has_numbers({1, 2}));
}

TEST_CASE("stock OPA: in a file an error is a text, in an upload an object") {
  StockLogger posts, writes({.writes_file = true});
  for (StockLogger* opa : {&posts, &writes})
    CHECK(
        opa->call("POST", "/v1/data/app/clash", R"({"input":{"q":1,"a":true,"b":true}})").status ==
        500);
  REQUIRE(posts.has_numbers({1}));
  CHECK(posts.collector.events().at(0).at("error").is_object());
  const auto written = parse_json(read_text(writes.log_file()));
  REQUIRE(written);
  CHECK(written->at("error").is_string());
}

TEST_CASE("stock OPA: its file has three backups by default, and loses what is older") {
  StockLogger opa({.writes_file = true});
  const std::string large(300'000, 'a');
  for (int64_t i = 0; i < 30; ++i) opa.ask("ok", i, padding(large));
  // It deletes in the background.
  const auto files = [&] {
    std::vector<std::filesystem::path> out;
    for (const auto& entry : std::filesystem::directory_iterator(opa.log_file().parent_path()))
      out.push_back(entry.path());
    return out;
  };
  CHECK(wait_until([&] { return files().size() == 4; }));
  for (const auto& file : files()) CHECK_FALSE(read_text(file).contains(R"("q":0,)"));
}

}  // namespace notp
