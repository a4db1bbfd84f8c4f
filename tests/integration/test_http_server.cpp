// The HTTP server over real sockets: its answers, and its handling of open requests.
#include <sys/stat.h>
#include <unistd.h>

#include <future>

#include "common/json/json.hpp"
#include "common/storage/files.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/wire/http_host.hpp"

namespace notp {
namespace {

namespace asio = boost::asio;
using tcp = asio::ip::tcp;

asio::awaitable<http::Response> echo(const http::Request& request) {
  if (request.path == "/throw") throw std::runtime_error("broken handler");
  http::Response response = http::text_response(
      200, fmt::format("{} {} {} {}", request.method, request.path,
                       request.parameter("q").value_or("-"), request.body.size()));
  if (request.path == "/big") response.shared_body = std::make_shared<const Bytes>(8 << 20, 'x');
  if (request.path == "/packed") response.body.assign(100'000, 'y');
  response.may_compress = request.path == "/packed";
  if (request.path == "/none") response.status = 304;
  co_return response;
}

// A handler that waits until it is cancelled or released.
struct Waiting {
  http::Handler handler() {
    return [this](const http::Request& request) -> asio::awaitable<http::Response> {
      if (request.path != "/wait") co_return http::text_response(200, request.path);
      co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
      co_await asio::this_coro::throw_if_cancelled(false);
      asio::steady_timer timer(co_await asio::this_coro::executor,
                               asio::steady_timer::time_point::max());
      wake = [&timer] { asio::post(timer.get_executor(), [&timer] { timer.cancel(); }); };
      entered.set_value();
      co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
      const auto state = co_await asio::this_coro::cancellation_state;
      left.set_value(state.cancelled() != asio::cancellation_type::none);
      co_return http::text_response(200, "late");
    };
  }
  bool was_cancelled() {
    auto future = left.get_future();
    REQUIRE(future.wait_for(std::chrono::seconds(60)) == std::future_status::ready);
    return future.get();
  }

  std::function<void()> wake;
  std::promise<void> entered;
  std::promise<bool> left;
};

}  // namespace

TEST_CASE("requests are decoded and answered") {
  HttpHost host(echo);
  CHECK(host.call({.url = "/a%20b/c?q=1%2B1+%C3%A9&z"}).body == "GET /a b/c 1+1 é 0");
  CHECK(host.call({.method = "POST", .url = "/", .body = Bytes(100'000, 'b')}).body ==
        "POST / - 100000");
  CHECK(host.call({.url = "/big"}).body.size() == 8 << 20);
  CHECK(host.call({.method = "HEAD", .url = "/big"}).body.empty());
  CHECK(host.call({.url = "/none"}).status == 304);
  CHECK(host.call({.url = "/%zz"}).status == 400);
  const auto failed = host.call({.url = "/throw"});
  CHECK(failed.status == 500);
  CHECK(json::parse(failed.body).at("message") == "broken handler");
}

TEST_CASE("a connection carries many requests, also sent ahead") {
  HttpHost host(echo);
  RawClient raw(host);
  raw.send(
      "GET /1 HTTP/1.1\r\nHost: localhost\r\n\r\nGET /2 HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n");
  CHECK(raw.until("/1 - 0").starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(raw.until("/2 - 0").starts_with("HTTP/1.1 200 OK\r\n"));
  raw.send("POST /3 HTTP/1.1\r\nHost: [::1]\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
  CHECK(raw.until("\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n");
  raw.send("abc");
  CHECK(raw.until("/3 - 3").starts_with("HTTP/1.1 200 OK\r\n"));
  raw.send("GET /4 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  CHECK(raw.until("/4 - 0").contains("Connection: keep-alive\r\n"));
  raw.send("GET /5 HTTP/1.0\r\n\r\n");
  CHECK(raw.rest().ends_with("/5 - 0"));
}

TEST_CASE("what is too large or no HTTP is refused and the connection closed") {
  HttpHost host(echo, {.body_bytes_max = 1000, .gzip_body_bytes_max = 5000});
  const auto refused = [&](std::string_view text) {
    RawClient raw(host);
    raw.send(text);
    return raw.rest().substr(9, 3);
  };
  const std::string post = "POST / HTTP/1.1\r\nHost: localhost\r\n";
  CHECK(refused(post + "Content-Length: 1001\r\n\r\n") == "413");
  // A client that goes on sending can still read the reason.
  CHECK(refused(post + "Content-Length: 100000\r\n\r\n" + Bytes(100'000, 'x')) == "413");
  CHECK(refused(post + "Transfer-Encoding: chunked\r\n\r\n3e9\r\n" + Bytes(1001, 'x')) == "413");
  CHECK(refused("GET / HTTP/1.1\r\nX: " + Bytes(20'000, 'x')) == "431");
  CHECK(refused("\x16\x03\x01 hello\r\n\r\n") == "400");
  CHECK(refused(post + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n") == "400");
  CHECK(refused("GET / HTTP/1.1\r\nHost: rebound.example\r\nConnection: close\r\n\r\n") == "421");
  for (const std::string name :
       {"localhost:80@rebound.example", "localhost:", "localhost:8x", "localhost:123456", "[::1",
        "localhost rebound.example", "localhost\r\nHost: rebound.example",
        "localhost\r\nhost: localhost"})
    CHECK_MESSAGE(
        refused("GET / HTTP/1.1\r\nHost: " + name + "\r\nConnection: close\r\n\r\n") == "400",
        name);
  CHECK(refused("GET / HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\n"
                "Connection: close\r\n\r\n") == "403");
}

TEST_CASE("gzip goes both ways, and a bomb no way") {
  HttpHost host(echo, {.body_bytes_max = 2000, .gzip_body_bytes_max = 5000});
  const auto post = [&](Bytes body, std::string coding = "gzip") {
    return host.call({.method = "POST",
                      .url = "/",
                      .headers = {{"Content-Encoding", coding}},
                      .body = std::move(body)});
  };
  const auto packed = host.call({.url = "/packed", .headers = {{"Accept-Encoding", "gzip"}}});
  CHECK(http::find_header(packed.headers, "Content-Encoding") == "gzip");
  CHECK(http::find_header(packed.headers, "Vary") == "Accept-Encoding");
  CHECK(packed.body.size() < 1000);
  CHECK(post(packed.body).status == 413);  // unpacks to 100,000
  CHECK(host.call({.url = "/packed"}).body.size() == 100'000);
  CHECK(host.call({.url = "/packed", .headers = {{"Accept-Encoding", "gzip;q=0"}}}).body.size() ==
        100'000);
  CHECK(post("{}").status == 400);
  CHECK(post(packed.body.substr(0, 12)).status == 400);
  CHECK(post("{}", "br").status == 415);
  CHECK(post("{}", "identity").body == "POST / - 2");
  HttpHost roomy(echo);
  CHECK(roomy
            .call({.method = "POST",
                   .url = "/",
                   .headers = {{"Content-Encoding", "gzip"}},
                   .body = packed.body})
            .body == "POST / - 100000");
}

TEST_CASE("who is silent in the middle of something is closed") {
  const auto closed = [](http::ServerOptions options, std::string_view sent) {
    HttpHost host(echo, std::move(options));
    RawClient raw(host);
    raw.send(sent);
    return raw.rest();
  };
  CHECK(closed({.idle_ms = 20}, "").empty());
  CHECK(closed({.header_ms = 20}, "GET / HT").empty());
  CHECK(closed({.body_ms = 20},
               "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nabc")
            .empty());
  // The other deadlines do not apply to it.
  CHECK(closed({.idle_ms = 20}, "GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n").ends_with("/x - 0"));
}

TEST_CASE("plain HTTP stays on this machine unless told") {
  asio::io_context context;
  const auto listen = [&](http::TcpEndpoint endpoint) {
    return http::Server::listen(context.get_executor(), endpoint, {}, echo);
  };
  CHECK(listen({.address = "0.0.0.0"}).error().code == ErrorCode::kConfig);
  CHECK(listen({.address = "example"}).error().code == ErrorCode::kConfig);
  CHECK(listen({.address = "0.0.0.0", .beyond_loopback = true}));
  auto first = listen({});
  REQUIRE(first);
  CHECK((*first)->address() == fmt::format("127.0.0.1:{}", (*first)->port()));
  CHECK(listen({.port = (*first)->port()}).error().code == ErrorCode::kIo);
}

TEST_CASE("a server that has stopped leaves its executor nothing to do") {
  for (const bool asked : {false, true}) {
    CAPTURE(asked);
    asio::io_context context{1};
    auto server = http::Server::listen(context.get_executor(), http::TcpEndpoint{}, {}, echo);
    REQUIRE(server);
    asio::ip::tcp::socket client(context);
    std::string answer;
    if (asked) {
      client.connect({asio::ip::address_v4::loopback(), (*server)->port()});
      asio::write(client, asio::buffer(std::string("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")));
      asio::async_read_until(client, asio::dynamic_buffer(answer), "\r\n\r\n", [&](auto, size_t) {
        (*server)->stop(600'000);
        client.close();
      });
    } else {
      (*server)->stop(600'000);
    }
    context.run_for(std::chrono::seconds(60));
    CHECK(context.stopped());
    CHECK(answer.starts_with("HTTP/1.1 200") == asked);
  }
}

TEST_CASE("options are replaced under way") {
  HttpHost host(echo);
  const http::Call call{.method = "POST", .url = "/", .body = Bytes(2000, 'b')};
  CHECK(host.call(call).status == 200);
  const auto as_proxied = [&] {
    RawClient raw(host);
    raw.send("POST / HTTP/1.1\r\nHost: pdp.example\r\nContent-Length: 2000\r\n\r\n" + call.body);
    return raw.status();
  };
  CHECK(as_proxied() == "421");
  host.server->set_options({.hosts = {"pdp.example"}, .body_bytes_max = 1000});
  CHECK(as_proxied() == "413");
  CHECK(host.call(call).status == 413);
  host.server->set_options({.hosts = {"pdp.example"}});
  CHECK(as_proxied() == "200");
}

TEST_CASE("a client that goes away cancels its handler, also with a request sent ahead") {
  for (const std::string& ahead :
       {std::string(), std::string("GET /next HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        "POST /next HTTP/1.1\r\nHost: localhost\r\nContent-Length: 90000\r\n\r\n" +
            Bytes(90'000, 'x')}) {
    Waiting waiting;
    HttpHost host(waiting.handler());
    {
      RawClient raw(host);
      raw.send("GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n" + ahead);
      waiting.entered.get_future().wait();
    }
    CHECK(waiting.was_cancelled());
  }
}

TEST_CASE("a request sent ahead is not taken for the client's end") {
  Waiting waiting;
  HttpHost host(waiting.handler());
  RawClient raw(host);
  raw.send(
      "GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\nGET /next HTTP/1.1\r\nHost: localhost\r\n");
  waiting.entered.get_future().wait();
  raw.send("\r\n");
  CHECK(host.call({.url = "/other"}).body == "/other");
  waiting.wake();
  CHECK_FALSE(waiting.was_cancelled());
  CHECK(raw.until("late").starts_with("HTTP/1.1 200"));
  CHECK(raw.until("/next").starts_with("HTTP/1.1 200"));
}

TEST_CASE("stop answers what is under way and closes what is idle") {
  Waiting waiting;
  HttpHost host(waiting.handler());
  RawClient idle(host), busy(host);
  busy.send("GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n");
  waiting.entered.get_future().wait();
  host.server->stop(60'000);
  CHECK(idle.rest().empty());
  waiting.wake();
  const auto answer = busy.rest();
  CHECK(answer.ends_with("late"));
  CHECK(answer.contains("Connection: close"));
  boost::system::error_code error;
  tcp::socket late(idle.context);
  late.connect({asio::ip::address_v4::loopback(), host.server->port()}, error);
  CHECK(error);
}

TEST_CASE("a stop without grace cancels what runs") {
  Waiting waiting;
  HttpHost host(waiting.handler());
  RawClient busy(host);
  busy.send("GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n");
  waiting.entered.get_future().wait();
  host.server->stop(0);
  CHECK(waiting.was_cancelled());
  CHECK(busy.rest().empty());
}

TEST_CASE("a Unix socket: who may connect, who is there, and what is left behind") {
  TemporaryFolder folder;
  const http::UnixEndpoint endpoint{
      .path = folder.path() / "notp.sock", .mode = 0660, .group = std::to_string(getgid())};
  const auto who = [](const http::Request& request) -> asio::awaitable<http::Response> {
    const http::Peer& peer = request.peer;
    REQUIRE(peer.unix_peer);
    co_return http::text_response(
        200, fmt::format("{} {} {}", peer.address, peer.unix_peer->pid, peer.loopback));
  };
  {
    HttpHost host(who, {}, endpoint);
    CHECK(host.server->address() == endpoint.path.string());
    struct stat status{};
    REQUIRE(::stat(endpoint.path.c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0660);
    RawClient raw(host);
    raw.send("GET / HTTP/1.1\r\nHost: anything\r\n\r\n");
    CHECK(raw.until("true").ends_with(fmt::format("unix {} true", getpid())));
    asio::io_context context;
    const auto second = http::Server::listen(context.get_executor(), endpoint, {}, who);
    CHECK(second.error().code == ErrorCode::kIo);
    CHECK(second.error().message.contains("another server"));
    host.server->stop(0);
    CHECK(raw.rest().empty());
  }
  CHECK_FALSE(std::filesystem::exists(endpoint.path));
  {
    // As left by a killed process.
    asio::io_context context;
    asio::local::stream_protocol::acceptor dead(
        context, asio::local::stream_protocol::endpoint(endpoint.path.string()));
  }
  REQUIRE(std::filesystem::exists(endpoint.path));
  {
    HttpHost host(who, {}, endpoint);
    RawClient raw(host);
    raw.send("GET / HTTP/1.0\r\n\r\n");
    CHECK(raw.rest().ends_with("true"));
  }
  REQUIRE(write_file(endpoint.path, "precious"));
  asio::io_context context;
  CHECK(http::Server::listen(context.get_executor(), endpoint, {}, who).error().code ==
        ErrorCode::kConfig);
  CHECK(read_file(endpoint.path, 100) == "precious");
  for (const http::UnixEndpoint& bad :
       {http::UnixEndpoint{.path = "relative.sock"},
        http::UnixEndpoint{.path = folder.path() / std::string(200, 'x')},
        http::UnixEndpoint{.path = folder.path() / "x.sock", .group = "no-such-group-here"}})
    CHECK(http::Server::listen(context.get_executor(), bad, {}, who).error().code ==
          ErrorCode::kConfig);
}

TEST_CASE("the server counts") {
  const auto registry = std::make_shared<prometheus::Registry>();
  HttpHost host(echo, {.name = "api", .metrics = registry});
  CHECK(host.call({.url = "/"}).status == 200);
  CHECK(host.call({.url = "/throw"}).status == 500);
  double ok = 0, failed = 0;
  for (const auto& family : registry->Collect())
    for (const auto& metric : family.metric)
      if (family.name == "notp_http_requests_total")
        for (const auto& label : metric.label) {
          if (label.value == "2xx") ok = metric.counter.value;
          if (label.value == "5xx") failed = metric.counter.value;
        }
  CHECK(ok == 1);
  CHECK(failed == 1);
}

TEST_CASE("a call ends with its deadline, its limit, or nobody there") {
  Waiting waiting;
  HttpHost host([&](const http::Request& request) -> asio::awaitable<http::Response> {
    if (request.path == "/wait") co_return co_await waiting.handler()(request);
    co_return http::text_response(200, Bytes(2000, 'x'));
  });
  const auto code = [&](http::Call call) {
    if (call.url.starts_with('/'))
      call.url = fmt::format("http://127.0.0.1:{}{}", host.server->port(), call.url);
    return http::call_blocking(std::move(call)).error().code;
  };
  CHECK(code({.url = "/wait", .deadline_ms = 100}) == ErrorCode::kTimeout);
  CHECK(waiting.was_cancelled());
  CHECK(code({.url = "/", .answer_bytes_max = 1000}) == ErrorCode::kLimit);
  CHECK(code({.url = "https://127.0.0.1:1/"}) == ErrorCode::kUsage);
  CHECK(code({.url = "http://127.0.0.1:99999/"}) == ErrorCode::kUsage);
  CHECK(code({.url = "http://127.0.0.1:1/"}) == ErrorCode::kUnavailable);
}

}  // namespace notp
