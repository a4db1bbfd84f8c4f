// Handling of a request without a socket: reading, names, origins, codings, routes.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include "common/http/coding.hpp"
#include "common/http/guard.hpp"
#include "common/http/request_reader.hpp"
#include "common/http/response_head.hpp"
#include "common/http/router.hpp"
#include "common/http/url.hpp"
#include "common/json/json.hpp"
#include "common/percent.hpp"

namespace notp::http {
namespace {

struct Read {
  std::optional<Request> request;
  unsigned status = 0;  // of the refusal
  std::string left;     // after the request
};

// Feeds `text` in fragments of this size.
Read read(std::string text, size_t fragment = SIZE_MAX) {
  RequestReader reader({.header_bytes_max = 1000, .body_bytes_max = 100});
  Read out;
  std::string buffer;
  while (!reader.is_done()) {
    if (buffer.empty() && text.empty()) return out;
    auto used = buffer.empty() ? 0 : reader.feed(buffer);
    if (!used) {
      out.status = used.error().status;
      return out;
    }
    buffer.erase(0, *used);
    if (*used > 0) continue;
    if (text.empty()) return out;
    buffer += text.substr(0, fragment);
    text.erase(0, std::min(fragment, text.size()));
  }
  out.request = reader.take();
  out.left = buffer + text;
  return out;
}

unsigned refused(const std::string& text) {
  const unsigned whole = read(text).status, bytewise = read(text, 1).status;
  CHECK(whole == bytewise);
  return whole;
}

Bytes gzip_of(ByteView content) {
  Gzip gzip;
  while (!content.empty()) REQUIRE(gzip.step(content));
  return gzip.finish().value();
}

Result<Bytes> gunzip_of(ByteView packed, size_t bytes_max) {
  Gunzip gunzip(bytes_max);
  while (!packed.empty() || gunzip.is_full()) NOTP_TRY(gunzip.step(packed));
  NOTP_TRY(gunzip.finish());
  return gunzip.take();
}

Response route(const Router& router, std::string method, std::string raw_path) {
  Request request;
  request.method = std::move(method);
  request.raw_path = std::move(raw_path);
  request.path = percent_decode(request.raw_path).value();
  boost::asio::io_context context;
  Response out;
  boost::asio::co_spawn(context, router.answer(request),
                        [&](std::exception_ptr, Response response) { out = std::move(response); });
  context.run();
  return out;
}

}  // namespace

TEST_CASE("what is percent-encoded is decoded again, byte by byte") {
  CHECK(notp::percent_encode("a-Z.0_~/ %\xc3\xa9") == "a-Z.0_~%2F%20%25%C3%A9");
  CHECK(notp::percent_encode("..", "-_~") == "%2E%2E");
  CHECK(notp::percent_encode("a+b:c", "+") == "a+b%3Ac");
  std::string all;
  for (int byte = 1; byte < 256; ++byte) all.push_back(static_cast<char>(byte));
  CHECK(notp::percent_decode(notp::percent_encode(all)) == all);
  CHECK(notp::percent_encode("").empty());
}

TEST_CASE("requests are read whole and byte by byte alike") {
  for (const size_t fragment : {SIZE_MAX, size_t{1}, size_t{7}}) {
    auto got =
        read("POST /a%2Fb/c?q=1%2B1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcGET / HT",
             fragment);
    REQUIRE(got.request);
    CHECK(got.request->method == "POST");
    CHECK(got.request->path == "/a/b/c");
    CHECK(got.request->raw_path == "/a%2Fb/c");
    CHECK(got.request->parameter("q") == "1+1");
    CHECK(got.request->body == "abc");
    CHECK(got.left == "GET / HT");
    got = read(
        "PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
        "chunked\r\n\r\n2;x=y\r\nab\r\n1\r\nc\r\n0\r\n"
        "Authorization: Bearer forged\r\n\r\nrest",
        fragment);
    REQUIRE(got.request);
    CHECK(got.request->body == "abc");
    CHECK(got.request->header("Authorization").empty());
    CHECK(got.left == "rest");
  }
  CHECK(read("GET http://Example/p?q HTTP/1.1\r\nHost: other\r\n\r\n").request->header("host") ==
        "Example");
  CHECK(read("GET http://example?q HTTP/1.1\r\nHost: x\r\n\r\n").request->path == "/");
  CHECK(read("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n").request->path == "/");
  CHECK(read("GET / HTTP/1.0\r\n\r\n").request);
}

TEST_CASE("what two readers could understand differently is refused") {
  const auto with = [](std::string_view fields) {
    return refused(fmt::format("POST / HTTP/1.1\r\nHost: x\r\n{}\r\nabc", fields));
  };
  CHECK(with("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n") == 400);
  CHECK(with("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n") == 400);
  CHECK(with("Content-Length: 3\r\nContent-Length: 3\r\n") == 400);
  CHECK(with("Content-Length: 3\r\nContent-Length: 4\r\n") == 400);
  CHECK(with("Content-Length: 3, 3\r\n") == 400);
  CHECK(with("Content-Length: +3\r\n") == 400);
  CHECK(with("Content-Length: -1\r\n") == 400);
  CHECK(with("Content-Length : 3\r\n") == 400);
  CHECK(with("Content-Length: 99999999999999999999999\r\n") == 400);
  CHECK(with("Transfer-Encoding: gzip\r\n") == 501);
  CHECK(with("Transfer-Encoding: chunked, gzip\r\n") == 501);
  CHECK(with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n") == 400);
  CHECK(with("Transfer-Encoding: \vchunked\r\n") == 400);
  CHECK(with("X: a\r\n b\r\n") == 400);
  CHECK(with("X: a\r\n\tContent-Length: 3\r\n") == 400);
  CHECK(with("X: a\nContent-Length: 3\r\n") == 400);
  CHECK(with("X: a\rContent-Length: 3\r\n") == 400);
  CHECK(with("Host: y\r\n") == 400);
  CHECK(with("Expect: 200-ok\r\n") == 417);
  CHECK(refused("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n") == 501);
  CHECK(refused("GET / HTTP/1.1\n\n") == 400);
  CHECK(refused("GET / HTTP/1.1\r\n\r\n") == 400);  // no Host
  CHECK(refused("GET  / HTTP/1.1\r\nHost: x\r\n\r\n") == 400);
  CHECK(refused("GET / HTTP/2.0\r\nHost: x\r\n\r\n") != 0);
  CHECK(refused("GET relative HTTP/1.1\r\nHost: x\r\n\r\n") == 400);
  CHECK(refused("GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n") == 400);
  CHECK(refused("GET /a%00 HTTP/1.1\r\nHost: x\r\n\r\n") == 400);
  CHECK(refused("GET / HTTP/1.1\r\nHost: x\r\nX: " + std::string(1000, 'x')) == 431);
  CHECK(with("Content-Length: 101\r\n") == 413);
  CHECK(refused("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n" +
                std::string(101, 'x')) == 413);
  CHECK(refused("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n") == 400);
}

TEST_CASE("the segments of a path keep what is escaped in them") {
  Request request;
  request.raw_path = "/v1/data/a%2Fb//c%20d/";
  CHECK(request.segments_below("/v1/data") == std::vector<std::string>{"a/b", "c d"});
  request.raw_path = "/%761/data/x";
  CHECK(request.segments_below("/v1/data") == std::vector<std::string>{"x"});
  request.raw_path = "/v1/data";
  CHECK(request.segments_below("/v1/data").empty());
  request.query = "p=1&q=2&p=%33&p";
  CHECK(request.parameters("p") == std::vector<std::string>{"1", "3", ""});
  CHECK(request.parameter("q") == "2");
  CHECK_FALSE(request.parameter("r"));
}

TEST_CASE("names of hosts") {
  CHECK(host_name("LocalHost:8181") == "localhost");
  CHECK(host_name("localhost.") == "localhost");
  CHECK(host_name("[::1]:80") == "[::1]");
  CHECK(host_name("") == "");
  for (const char* broken : {"localhost:80@evil.example", "user@localhost", "[::1", "[x]:1", "a b",
                             "a:80x", "a:123456", "a/b", "[::1]x"})
    CHECK_FALSE(host_name(broken));
  CHECK(names_loopback("127.7.7.7"));
  CHECK(names_loopback("[::1]"));
  CHECK_FALSE(names_loopback("127.0.0.1.evil.example"));
  CHECK_FALSE(names_loopback("10.0.0.1"));
}

TEST_CASE("who asks for another host, and pages of other origins, are refused") {
  const auto status = [](Headers headers, const std::vector<std::string>& hosts = {},
                         bool loopback = true, Transport transport = Transport::kTcp) {
    Request request;
    request.headers = std::move(headers);
    request.peer.transport = transport;
    const auto refusal = refuse_stranger(request, hosts, loopback);
    return refusal ? refusal->status : 200;
  };
  CHECK(status({{"Host", "localhost:1"}}) == 200);
  CHECK(status({}) == 200);
  CHECK(status({{"Host", "rebound.example"}}) == 421);
  CHECK(status({{"Host", "a b"}}) == 400);
  CHECK(status({{"Host", "pdp.example"}}, {}, false) == 200);
  CHECK(status({{"Host", "PDP.example:8443"}}, {"pdp.example"}, false) == 200);
  CHECK(status({{"Host", "other.example"}}, {"pdp.example"}, false) == 421);
  CHECK(status({{"Host", "other.example"}}, {"pdp.example"}) == 421);
  CHECK(status({{"Host", "pdp.example"}}, {"pdp.example"}) == 200);
  // An additional name does not remove any.
  CHECK(status({{"Host", "localhost"}}, {"pdp.example"}) == 200);
  CHECK(status({{"Host", "localhost"}}, {"pdp.example"}, false) == 421);
  CHECK(status({{"Host", "any"}}, {"pdp.example"}, false, Transport::kUnix) == 200);

  CHECK(status({{"Host", "localhost:1"}, {"Origin", "http://localhost:1"}}) == 200);
  CHECK(status({{"Host", "localhost:1"}, {"Origin", "http://localhost:2"}}) == 403);
  CHECK(status({{"Host", "localhost:1"}, {"Origin", "https://localhost:1"}}) == 403);
  CHECK(status({{"Host", "a:1"}, {"Origin", "https://a:1"}}, {}, false, Transport::kTls) == 200);
  CHECK(status({{"Host", "localhost"}, {"Origin", "null"}}) == 403);
  CHECK(status({{"Host", "localhost"}, {"Origin", ""}}) == 403);
  CHECK(status({{"Host", "evil"}, {"Origin", "http://evil"}}) == 421);
  CHECK(status({{"Host", "localhost"}, {"Sec-Fetch-Site", "cross-site"}}) == 403);
  CHECK(status({{"Host", "localhost"}, {"Sec-Fetch-Site", "same-site"}}) == 403);
  CHECK(status({{"Host", "localhost"}, {"Sec-Fetch-Site", "same-origin"}}) == 200);
  CHECK(status({{"Host", "localhost"}, {"Sec-Fetch-Site", "none"}}) == 200);
}

TEST_CASE("Accept-Encoding") {
  for (const char* yes :
       {"gzip", "gzip, deflate, br", "deflate;q=0.5, gzip;q=0.8", "*", "GZIP;q=1.0", "x-gzip",
        "identity;q=0.5, gzip;q=0.5", "br;q=1,*;q=0.1", ",gzip ; q=0.2"})
    CHECK_MESSAGE(prefers_gzip(yes), std::string(yes));
  for (const char* no :
       {"", "identity", "gzip;q=0", "gzip;q=0.000, *;q=1", "identity, gzip;q=0.5", "deflate",
        "gzip;q=2", "gzip;q=1.001", "gzip;q=0.1234", "gzip;x=1", "*;q=0"})
    CHECK_MESSAGE(!prefers_gzip(no), std::string(no));
}

TEST_CASE("gzip goes both ways, within its limit") {
  const Bytes text(1'000'000, 'x');
  const Bytes packed = gzip_of(text);
  CHECK(packed.size() < 2'000);
  CHECK(gunzip_of(packed, text.size()) == text);
  CHECK(gunzip_of(packed, text.size() - 1).error().code == ErrorCode::kLimit);
  CHECK(gunzip_of(gzip_of("ab") + gzip_of("c"), 3) == "abc");
  CHECK(gunzip_of(gzip_of(""), 0) == "");
  CHECK(gunzip_of(ByteView(packed).substr(0, packed.size() - 1), text.size()).error().code ==
        ErrorCode::kMessage);
  CHECK(gunzip_of(packed + "tail", text.size()).error().code == ErrorCode::kMessage);
  CHECK(gunzip_of("{}", 100).error().code == ErrorCode::kMessage);
  CHECK(gunzip_of("", 100).error().code == ErrorCode::kMessage);
}

TEST_CASE("a head says what a response is, and nothing that breaks it") {
  Response response = text_response(200, "hello");
  response.headers = {{"X", "1"}, {"Broken", "a\r\nSet: b"}};
  CHECK(
      response_head(response, 5, true) ==
      "HTTP/1.1 200 OK\r\nX: 1\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 5\r\n"
      "Connection: keep-alive\r\n\r\n");
  response = {.status = 304};
  CHECK(response_head(response, 0, false) ==
        "HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n");
}

TEST_CASE("routes") {
  const auto says = [](std::string text) -> Handler {
    return [text](const Request&) -> boost::asio::awaitable<Response> {
      co_return text_response(200, text);
    };
  };
  Router router;
  router.add("GET POST", "/v1/data/*", says("data"))
      .add("GET", "/v1/data", says("all"))
      .add("PUT", "/v1/data/*", says("put"))
      .add("POST", "/", says("root"))
      .add("GET", "/v1/*", says("v1"));
  CHECK(route(router, "GET", "/v1/data").body == "all");
  CHECK(route(router, "GET", "/v1/data/").body == "data");
  CHECK(route(router, "POST", "/v1/data/a/b").body == "data");
  CHECK(route(router, "PUT", "/v1/data/a").body == "put");
  CHECK(route(router, "GET", "/v1/database").body == "v1");
  CHECK(route(router, "POST", "/").body == "root");
  CHECK(route(router, "HEAD", "/v1/data").body == "all");
  CHECK(route(router, "GET", "/%76%31/data").body == "all");
  CHECK(route(router, "GET", "/v1%2Fdata").status == 404);
  CHECK(route(router, "GET", "/v1/data/a%2Fb").body == "data");
  CHECK(route(router, "GET", "/v2").status == 404);
  const Response wrong = route(router, "DELETE", "/v1/data/a");
  CHECK(wrong.status == 405);
  CHECK(find_header(wrong.headers, "Allow") == "GET, HEAD, POST, PUT, OPTIONS");
  CHECK(json::parse(wrong.body).at("code") == "method_not_allowed");
  const Response options = route(router, "OPTIONS", "/");
  CHECK(options.status == 204);
  CHECK(find_header(options.headers, "Allow") == "POST, OPTIONS");
}

TEST_CASE("URLs that a client can call, and those that it cannot") {
  const auto parse = [](std::string_view text) { return Url::parse(text); };
  const auto plain = parse("http://127.0.0.1:8181/v1/data?pretty");
  REQUIRE(plain);
  CHECK_FALSE(plain->is_tls);
  CHECK(plain->at.text() == "127.0.0.1:8181");
  CHECK(plain->authority == "127.0.0.1:8181");
  CHECK(plain->target == "/v1/data?pretty");
  const auto bare = parse("https://keys.site.internal");
  REQUIRE(bare);
  CHECK(bare->is_tls);
  CHECK(bare->at.text() == "keys.site.internal:443");
  CHECK(bare->authority == "keys.site.internal");
  CHECK(bare->target == "/");
  CHECK(parse("http://[::1]")->at.text() == "[::1]:80");
  CHECK(parse("http://[::1]:81/")->at.text() == "[::1]:81");
  CHECK(parse("http://site?a=b/c")->target == "/?a=b/c");
  for (const char* bad :
       {"", "ftp://site/", "HTTP//site/", "http://", "http://:80/", "http://site:0/",
        "http://site:99999/", "http://site:x/", "http://a@site/", "http://site/#part",
        "http://site/a b", "http://site/\r\nX: y", "http://site/\xc3\xa9", "http://::1/"}) {
    CAPTURE(bad);
    const auto refused = parse(bad);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::kUsage);
  }
  CHECK_FALSE(parse("https://user:secret@site/").error().message.contains("secret"));
}

}  // namespace notp::http
