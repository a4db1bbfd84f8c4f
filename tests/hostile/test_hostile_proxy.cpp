// Proxies that answer badly, or not at all: each failure names the proxy, its status line and what
// to do, and costs neither memory nor the session behind a good proxy.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "common/http/proxy.hpp"
#include "tests/support/process/stack.hpp"
#include "tests/support/wire/fake_proxy.hpp"

namespace notp {
namespace {

constexpr int kUnreachable = 6;
const std::string kFarRegistry = "registry.shop.example:7443";

struct Row {
  const char* name;
  FakeProxy::Behaviour behaves;
  std::vector<std::string> says;
};

FakeProxy::Behaviour endless_header() {
  return [](FakeProxy::Socket& socket, const std::string&) {
    boost::system::error_code error;
    boost::asio::write(socket, boost::asio::buffer("HTTP/1.1 200 OK\r\n", 17), error);
    const std::string line = "X-Padding: " + std::string(1000, 'x') + "\r\n";
    for (size_t sent = 0; !error && sent < 64 * http::kProxyHeaderBytesMax; sent += line.size())
      boost::asio::write(socket, boost::asio::buffer(line), error);
  };
}

std::vector<Row> bad_proxies() {
  return {
      {"407 without schemes",
       FakeProxy::answers("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"),
       {"407 Proxy Authentication Required", "proxy_password_file"}},
      {"407 for Basic",
       FakeProxy::answers("HTTP/1.1 407 Auth\r\nProxy-Authenticate: Negotiate\r\n"
                          "Proxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n"),
       {"407 Auth", "proxy_password_file"}},
      {"407 for what we do not speak",
       FakeProxy::answers("HTTP/1.1 407 Auth\r\nProxy-Authenticate: NTLM\r\n\r\n"),
       {"407 Auth", "NTLM", "Basic alone"}},
      {"403",
       FakeProxy::answers("HTTP/1.0 403 Filtered\r\nContent-Length: 3\r\n\r\nno!"),
       {"403 Filtered", "has to let CONNECT"}},
      {"503",
       FakeProxy::closes_after("HTTP/1.1 503 Service Unavailable\r\n\r\n"),
       {"503 Service Unavailable", "cannot resolve or reach"}},
      {"a redirection",
       FakeProxy::answers("HTTP/1.1 302 Found\r\nLocation: http://portal/\r\n\r\n"),
       {"302 Found"}},
      {"a status line for a terminal",
       FakeProxy::answers("HTTP/1.1 500 \x1b[31mred\r\n\r\n"),
       {"answered"}},
      {"interim answers without end",
       FakeProxy::answers([] {
         std::string text;
         for (int i = 0; i < 100; ++i) text += "HTTP/1.1 100 Continue\r\n\r\n";
         return text;
       }()),
       {"interim"}},
      {"garbage", FakeProxy::answers("\x15\x03\x03\x02\x02\x46 what\r\n\r\n"), {"not HTTP"}},
      {"an SSH server", FakeProxy::answers("SSH-2.0-OpenSSH_9.2\r\n\r\n"), {"not HTTP"}},
      {"closes at once", FakeProxy::closes_after(""), {"without an answer"}},
      {"closes half-way",
       FakeProxy::closes_after("HTTP/1.1 200 Connec"),
       {"in the middle of its answer"}},
      {"an endless header", endless_header(), {"more than 16384 bytes"}},
      {"bytes behind the answer",
       FakeProxy::answers("HTTP/1.1 200 OK\r\n\r\n<html>hello</html>"),
       {"200 OK", "not the target's"}},
      {"says yes and is a web server",
       FakeProxy::closes_after("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n"),
       {"registry.shop.example:7443 (through the proxy"}},
  };
}

TEST_CASE("a proxy that does not lead there is named, with what it said and what to do") {
  Stack stack;
  for (const Row& row : bad_proxies()) {
    CAPTURE(row.name);
    const FakeProxy proxy(row.behaves);
    const CliResult result =
        stack.notp("alice", {"--registry", kFarRegistry, "--proxy", proxy.url(), "ledgers"});
    CHECK(result.status == kUnreachable);
    CHECK_MESSAGE(result.error_message().contains(proxy.url()), result.error);
    CHECK_MESSAGE(result.error_message().contains(kFarRegistry), result.error);
    for (const std::string& words : row.says)
      CHECK_MESSAGE(result.error_message().contains(words), result.error);
    CHECK_FALSE(result.error_message().contains('\x1b'));
    REQUIRE(proxy.requests().size() == 1);
    CHECK(proxy.requests()[0].starts_with("CONNECT registry.shop.example:7443 HTTP/1.1\r\n"));
    CHECK(proxy.requests()[0].contains("Host: registry.shop.example:7443\r\n"));
  }
}

TEST_CASE("a proxy that says nothing, and one that is not there") {
  Stack stack;
  const FakeProxy silent([](FakeProxy::Socket&, const std::string&) {});
  const CliResult waited =
      stack.notp("alice", {"--registry", kFarRegistry, "--proxy", silent.url(), "ledgers"});
  CHECK(waited.status == kUnreachable);
  CHECK(waited.error_code() == "timeout");
  CHECK_MESSAGE(waited.error_message().contains(silent.url()), waited.error);
  const std::string nowhere = fmt::format("http://127.0.0.1:{}", free_port());
  const CliResult refused =
      stack.notp("alice", {"--registry", kFarRegistry, "--proxy", nowhere, "ledgers"});
  CHECK(refused.status == kUnreachable);
  CHECK_MESSAGE(refused.error_message().contains("the proxy " + nowhere), refused.error);
}

// The wrong password itself is never printed.
TEST_CASE("a wrong password is named by its user alone") {
  Stack stack;
  const FakeProxy proxy(
      FakeProxy::answers("HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=\"x\"\r\n\r\n"));
  Process process({.command = {stack.program("notp"), "--config", stack.file("alice.cli.yaml"),
                               "--registry", kFarRegistry, "ledgers"},
                   .folder = stack.folder(),
                   .environment = {{"HOME", stack.file("home")},
                                   {"https_proxy", proxy.url("alice:s3cret")},
                                   {"no_proxy", "other.example"}},
                   .output_file = stack.file("out"),
                   .error_file = stack.file("err")});
  CHECK(process.wait() == kUnreachable);
  CHECK_MESSAGE(process.error().contains("password of the user 'alice'"), process.error());
  CHECK(process.error().contains("(https_proxy)"));
  CHECK_FALSE(process.error().contains("s3cret"));
  REQUIRE(proxy.requests().size() == 1);
  CHECK(proxy.requests()[0].contains("Proxy-Authorization: Basic " + to_base64("alice:s3cret")));
}

}  // namespace
}  // namespace notp
