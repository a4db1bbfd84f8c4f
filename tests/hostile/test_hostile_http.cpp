// Silent, slow or greedy clients, beside one that behaves.
#include <sys/resource.h>

#include <future>

#include "tests/support/wire/http_host.hpp"

namespace notp {
namespace {

namespace asio = boost::asio;

constexpr size_t kBigBytes = 16 << 20;  // more than the kernel's buffers hold
const std::string kSmall = "GET /small HTTP/1.1\r\nHost: localhost\r\n\r\n";
const std::string kBig = "GET /big HTTP/1.1\r\nHost: localhost\r\n\r\n";

asio::awaitable<http::Response> serve(const http::Request& request) {
  if (request.path == "/big") {
    http::Response response;
    response.body.assign(kBigBytes, 'x');
    co_return response;
  }
  co_return http::text_response(200, std::to_string(request.body.size()));
}

std::string upload(size_t bytes) {
  return fmt::format("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", bytes);
}

std::vector<std::unique_ptr<RawClient>> clients(const HttpHost& host, size_t count,
                                                std::string_view sent) {
  std::vector<std::unique_ptr<RawClient>> out;
  for (size_t i = 0; i < count; ++i) {
    out.push_back(std::make_unique<RawClient>(host));
    if (!sent.empty()) out.back()->try_send(sent);
  }
  return out;
}

// Counts how many of 20 new clients get an answer.
int answered(const HttpHost& host) {
  int count = 0;
  for (int i = 0; i < 20; ++i) {
    RawClient client(host);
    if (client.try_send(kSmall) && client.status() == "200") ++count;
  }
  return count;
}

template <typename Condition>
bool comes_true(Condition condition) {
  const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!condition() && std::chrono::steady_clock::now() < patience) std::this_thread::yield();
  return condition();
}

struct Shared {
  explicit Shared(http::AdmissionOptions options)
      : admission(std::make_shared<http::Admission>(options)) {}
  http::ServerOptions options() const {
    http::ServerOptions out;
    out.admission = admission;
    return out;
  }
  std::shared_ptr<http::Admission> admission;
};

}  // namespace

TEST_CASE("1,100 connections that say nothing, or half a header, take no place from others") {
  rlimit files{};
  REQUIRE(getrlimit(RLIMIT_NOFILE, &files) == 0);
  files.rlim_cur = files.rlim_max;
  REQUIRE(setrlimit(RLIMIT_NOFILE, &files) == 0);
  for (const std::string_view sent :
       {"", "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n"}) {
    HttpHost host(serve);
    const auto silent = clients(host, 1'100, sent);
    CHECK(answered(host) == 20);
  }
}

TEST_CASE("whose request is being answered keeps its place; who is idle for longest goes first") {
  const Shared shared({.connections_max = 3});
  std::promise<void> entered, release;
  auto released = release.get_future().share();
  asio::thread_pool pool(1);
  HttpHost host(
      [&](const http::Request& request) -> asio::awaitable<http::Response> {
        if (request.path == "/hold") {
          entered.set_value();
          co_await asio::co_spawn(
              pool,
              [&]() -> asio::awaitable<void> {
                released.wait();
                co_return;
              },
              asio::use_awaitable);
        }
        co_return http::text_response(200, "done");
      },
      shared.options());
  RawClient busy(host);
  busy.send("GET /hold HTTP/1.1\r\nHost: localhost\r\n\r\n");
  entered.get_future().wait();
  RawClient header(host);
  header.send("GET / HT");
  RawClient idle(host);
  idle.send(kSmall);
  CHECK(idle.status() == "200");
  CHECK(answered(host) == 20);
  CHECK(idle.rest().empty());
  release.set_value();
  CHECK(busy.status() == "200");
  CHECK(shared.admission->connections() <= 3);
  pool.join();
}

TEST_CASE("bodies that are not sent to their end are bounded, and small requests go on") {
  const Shared shared({.bytes_max = 4 << 20, .stalled_ms = 60'000});
  HttpHost host(serve, shared.options());
  const auto slow = clients(host, 16, upload(1'000'000) + Bytes(900'000, 'x'));
  int refused = 0, pending = 0;
  REQUIRE(comes_true([&] { return shared.admission->bytes_held() > (2 << 20); }));
  CHECK(shared.admission->bytes_held() <= (4 << 20));
  CHECK(answered(host) == 20);
  for (const auto& client : slow) {
    client->try_send(Bytes(100'000, 'x'));
    const std::string status = client->status();
    if (status == "503") ++refused;
    if (status == "200") ++pending;
  }
  CHECK(refused >= 12);
  CHECK(refused + pending == 16);
  CHECK(comes_true([&] { return shared.admission->bytes_held() == 0; }));
}

TEST_CASE("answers that nobody reads give way to those that are read") {
  const Shared shared({.bytes_max = 3 * kBigBytes, .stalled_ms = 0});
  HttpHost host(serve, shared.options());
  const auto greedy = clients(host, 24, kBig);
  for (int i = 0; i < 3; ++i) {
    const auto answer = host.call({.url = "/big", .answer_bytes_max = 2 * kBigBytes});
    CHECK(answer.status == 200);
    CHECK(answer.body.size() == kBigBytes);
    CHECK(shared.admission->bytes_held() <= 3 * kBigBytes);
  }
  CHECK(answered(host) == 20);
  CHECK(shared.admission->evicted_total() > 0);
}

TEST_CASE("with no stalled answer to drop a large one is refused, not the small ones") {
  const Shared shared({.bytes_max = kBigBytes, .stalled_ms = 60'000});
  HttpHost host(serve, shared.options());
  const auto greedy = clients(host, 1, kBig);
  REQUIRE(comes_true([&] { return shared.admission->bytes_held() == kBigBytes; }));
  const auto refused = host.call({.url = "/big", .answer_bytes_max = 2 * kBigBytes});
  CHECK(refused.status == 503);
  CHECK(http::find_header(refused.headers, "Retry-After") == "1");
  CHECK(answered(host) == 20);
}

TEST_CASE("a reader that does not read is closed after its time") {
  const Shared shared({});
  auto options = shared.options();
  options.write_ms = 50;
  HttpHost host(serve, options);
  const auto greedy = clients(host, 1, kBig);
  CHECK(greedy.front()->until("\r\n\r\n").starts_with("HTTP/1.1 200"));
  CHECK(comes_true([&] { return shared.admission->connections() == 0; }));
  CHECK(greedy.front()->rest().size() < kBigBytes);
}

TEST_CASE("requests by pieces of one byte, and what no reader may misread") {
  HttpHost host(serve);
  RawClient slow(host);
  for (const char c : upload(3) + "abc") slow.send(std::string_view(&c, 1));
  CHECK(slow.status() == "200");
  for (const std::string& smuggling :
       {std::string(
            "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 45\r\nTransfer-Encoding: "
            "chunked\r\n\r\n0\r\n\r\n"),
        std::string("POST / HTTP/1.1\r\nHost: localhost\nContent-Length: 45\r\n\r\n"),
        std::string("POST / HTTP/1.1\r\nHost: localhost\r\nX: y\r\n Content-Length: 45\r\n\r\n"),
        std::string("POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: xchunked\r\n\r\n")}) {
    RawClient raw(host);
    raw.send(smuggling + kSmall);
    const std::string answer = raw.rest();
    CHECK((answer.starts_with("HTTP/1.1 400") || answer.starts_with("HTTP/1.1 501")));
    CHECK(answer.find("HTTP/1.1 200") == std::string::npos);
  }
}

}  // namespace notp
