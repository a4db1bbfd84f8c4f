// What a service manager sees of a process: messages, signs of life, passed sockets.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <cstdlib>
#include <future>
#include <thread>

#include "common/http/server.hpp"
#include "common/systemd/heartbeat.hpp"
#include "common/systemd/passed_sockets.hpp"
#include "tests/support/process/service_manager.hpp"
#include "tests/support/temporary_folder.hpp"

namespace notp::systemd {
namespace {

namespace asio = boost::asio;

// Variables of this process, as of a service; none is left behind.
class Variables {
 public:
  explicit Variables(std::initializer_list<std::pair<const char*, std::string>> values) {
    for (const auto& [name, value] : values) {
      names_.emplace_back(name);
      ::setenv(name, value.c_str(), 1);
    }
  }
  ~Variables() {
    for (const std::string& name : names_) ::unsetenv(name.c_str());
  }
  Variables(const Variables&) = delete;
  Variables& operator=(const Variables&) = delete;

 private:
  std::vector<std::string> names_;
};

TEST_CASE("states are told by path and by abstract name, and no child can tell them") {
  const TemporaryFolder folder;
  for (const std::string& name :
       {(folder.path() / "notify").string(), fmt::format("@notp-test-{}", ::getpid())}) {
    CAPTURE(name);
    NotifySocket manager(name);
    const Variables variables({{"NOTIFY_SOCKET", name}, {"WATCHDOG_USEC", "2000000"}});
    Notifier notifier = Notifier::take_from_environment();
    CHECK(std::getenv("NOTIFY_SOCKET") == nullptr);
    CHECK(std::getenv("WATCHDOG_USEC") == nullptr);
    REQUIRE(notifier.is_connected());
    CHECK(notifier.watchdog() == std::chrono::seconds(2));

    notifier.reloading();  // not while it starts
    notifier.reloaded();
    notifier.ready();
    notifier.ready();
    CHECK(manager.drain() == std::vector<std::string>{"READY=1"});
    notifier.reloading();
    const std::string reloading = manager.next();
    CHECK(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="));
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    const int64_t told_us = std::atoll(reloading.substr(reloading.rfind('=') + 1).c_str());
    CHECK(now.tv_sec - told_us / 1'000'000 <= 60);
    CHECK(now.tv_sec - told_us / 1'000'000 >= 0);
    notifier.reloaded();
    notifier.alive();
    notifier.stopping();
    CHECK(manager.drain() == std::vector<std::string>{"READY=1", "WATCHDOG=1", "STOPPING=1"});
  }
}

TEST_CASE("a status is one line, and is told when it changes") {
  NotifySocket manager(fmt::format("@notp-status-{}", ::getpid()));
  const Variables variables({{"NOTIFY_SOCKET", manager.name()}});
  Notifier notifier = Notifier::take_from_environment();
  notifier.status("serving 3 ledgers");
  notifier.status("serving 3 ledgers");
  notifier.status("serving\nREADY=1");
  notifier.alive();  // nobody watches
  CHECK(manager.drain() ==
        std::vector<std::string>{"STATUS=serving 3 ledgers", "STATUS=serving READY=1"});
  std::string umlauts;
  while (umlauts.size() < kStatusBytesMax) umlauts += "xü";
  notifier.status(umlauts + "ü");
  const std::string cut = manager.next();
  CHECK(cut.size() <= kStatusBytesMax + std::string("STATUS=").size());
  CHECK((cut.ends_with("x") || cut.ends_with("ü")));
}

TEST_CASE("without a service manager, or with one that has gone, nothing fails") {
  Notifier silent = Notifier::take_from_environment();
  CHECK_FALSE(silent.is_connected());
  silent.ready();
  silent.status("x");
  silent.stopping();
  for (const char* wrong : {"relative", "vsock:2:9", "/no/such/folder/notify"}) {
    const Variables variables({{"NOTIFY_SOCKET", wrong}});
    Notifier gone = Notifier::take_from_environment();
    gone.ready();
    gone.stopping();
  }
  const std::string name = fmt::format("@notp-other-{}", ::getpid());
  NotifySocket manager(name);
  for (const auto& [usec, pid, watches] : std::vector<std::tuple<std::string, std::string, bool>>{
           {"1000000", std::to_string(::getpid()), true},
           {"1000000", std::to_string(::getppid()), false},
           {"0", "", false},
           {"soon", "", false}}) {
    const Variables variables(
        {{"NOTIFY_SOCKET", name}, {"WATCHDOG_USEC", usec}, {"WATCHDOG_PID", pid}});
    CHECK(Notifier::take_from_environment().watchdog().has_value() == watches);
  }
}

TEST_CASE("a loop that hangs ends the signs of life, and its return brings them back") {
  NotifySocket manager(fmt::format("@notp-beat-{}", ::getpid()));
  const Variables variables({{"NOTIFY_SOCKET", manager.name()}, {"WATCHDOG_USEC", "40000"}});
  Notifier notifier = Notifier::take_from_environment();
  asio::io_context main, other;
  auto work = asio::make_work_guard(other);
  std::thread serving([&] { other.run(); });
  int value = 1;
  Heartbeat heartbeat(main.get_executor(), notifier, {{"other", other.get_executor()}},
                      [&] { return fmt::format("value {}", value); });
  heartbeat.start();
  const auto run_until = [&](const std::function<bool()>& done) {
    return wait_until([&] {
      main.run_for(std::chrono::milliseconds(1));
      return done();
    });
  };
  size_t beats = 0;
  const auto count = [&] {
    for (const std::string& one : manager.drain()) beats += one == "WATCHDOG=1" ? 1 : 0;
    return beats;
  };
  CHECK(run_until([&] { return count() >= 3; }));

  std::promise<void> hangs, goes_on;
  asio::post(other, [&] {
    hangs.set_value();
    goes_on.get_future().wait();
  });
  hangs.get_future().wait();
  main.run_for(std::chrono::milliseconds(5));  // an answer may still have been under way
  count();
  const size_t before = beats;
  main.run_for(std::chrono::milliseconds(200));
  CHECK(count() == before);
  goes_on.set_value();
  CHECK(run_until([&] { return count() >= before + 2; }));

  value = 2;
  heartbeat.changed();
  CHECK(run_until([&] { return manager.await("STATUS=", milliseconds(0)) == "STATUS=value 2"; }));
  heartbeat.stop();
  work.reset();
  serving.join();
  main.restart();
  main.run_for(std::chrono::seconds(60));
  CHECK(main.stopped());
}

// LISTEN_FDS begin at descriptor 3, which belongs to the test's runtime: a child is the service.
TEST_CASE("passed sockets go by their names") {
  PassedSockets sockets;
  CHECK(sockets.add("listen", listening_socket(free_port())));
  CHECK(sockets.add("listen_tls", listening_socket(free_port())));
  CHECK(sockets.add("listen", Descriptor()).error().message.contains("FileDescriptorName="));
  CHECK(sockets.take("listen").is_open());
  CHECK_FALSE(sockets.take("listen").is_open());
  CHECK_FALSE(sockets.take("health_listen").is_open());
  CHECK(sockets.names() == std::vector<std::string>{"listen_tls"});

  const std::string pid = std::to_string(::getpid());
  const auto taken = [](std::initializer_list<std::pair<const char*, std::string>> values) {
    const Variables variables(values);
    auto out = PassedSockets::take_from_environment();
    CHECK(std::getenv("LISTEN_FDS") == nullptr);
    CHECK(std::getenv("LISTEN_FDNAMES") == nullptr);
    return out;
  };
  CHECK(taken({}).value().names().empty());
  CHECK(taken({{"LISTEN_PID", std::to_string(::getppid())}, {"LISTEN_FDS", "1"}})
            .value()
            .names()
            .empty());
  CHECK(taken({{"LISTEN_PID", pid}, {"LISTEN_FDS", "0"}}).value().names().empty());
  CHECK(taken({{"LISTEN_PID", pid}, {"LISTEN_FDS", "many"}}).error().code == ErrorCode::kConfig);
  CHECK(taken({{"LISTEN_PID", pid}, {"LISTEN_FDS", "2"}, {"LISTEN_FDNAMES", "a"}}).error().code ==
        ErrorCode::kConfig);
}

asio::awaitable<http::Response> hello(const http::Request&) {
  co_return http::text_response(200, "hello");
}

Result<std::unique_ptr<http::Server>> adopt(asio::io_context& context, http::Endpoint endpoint,
                                            Descriptor socket) {
  return http::Server::adopt(context.get_executor(), std::move(endpoint), std::move(socket), {},
                             hello);
}

TEST_CASE("a passed socket must be the configured one") {
  const auto port = static_cast<uint16_t>(free_port());
  const auto refusal = [&](const http::Endpoint& endpoint, Descriptor socket) {
    asio::io_context context;
    const auto server = adopt(context, endpoint, std::move(socket));
    if (server) return std::string();
    CHECK(server.error().code == ErrorCode::kConfig);
    return server.error().message;
  };
  CHECK(refusal(http::TcpEndpoint{.port = port}, listening_socket(port)).empty());
  CHECK(refusal(http::TcpEndpoint{.port = 0}, listening_socket(port)).empty());
  const auto wrong_port =
      refusal(http::TcpEndpoint{.port = static_cast<uint16_t>(port + 1)}, listening_socket(port));
  CHECK(wrong_port.contains(fmt::format("127.0.0.1:{}", port)));
  CHECK(wrong_port.contains(fmt::format("127.0.0.1:{}", port + 1)));
  CHECK(wrong_port.contains("socket unit"));
  CHECK_FALSE(
      refusal(http::TcpEndpoint{.address = "::1", .port = port}, listening_socket(port)).empty());
  CHECK(refusal(http::UnixEndpoint{.path = "/run/notp/pdp.sock"}, listening_socket(port))
            .contains("/run/notp/pdp.sock"));
  CHECK(refusal(http::TcpEndpoint{.port = port},
                Descriptor(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)))
            .contains("ListenStream="));

  const TemporaryFolder folder;
  const auto path = folder.path() / "pdp.sock";
  asio::io_context context;
  asio::local::stream_protocol::acceptor unit(
      context, asio::local::stream_protocol::endpoint(path.string()));
  REQUIRE(::chmod(path.c_str(), 0666) == 0);
  const auto copy = [&] { return Descriptor(::dup(unit.native_handle())); };
  const auto wrong_mode = refusal(http::UnixEndpoint{.path = path, .mode = 0660}, copy());
  CHECK(wrong_mode.contains("0666"));
  CHECK(wrong_mode.contains("SocketMode="));
  CHECK(refusal(http::UnixEndpoint{.path = path, .mode = 0666, .group = "12345"}, copy())
            .contains("SocketGroup="));
  CHECK_FALSE(
      refusal(http::UnixEndpoint{.path = folder.path() / "other", .mode = 0666}, copy()).empty());
  CHECK(refusal(http::UnixEndpoint{.path = path, .mode = 0666}, copy()).empty());
  CHECK(std::filesystem::exists(path));  // the socket unit's, not this process's
}

// One after the other, as services that restart, with connections at every moment.
TEST_CASE("what connects while servers follow each other on one socket is answered") {
  const auto port = static_cast<uint16_t>(free_port());
  const Descriptor unit = listening_socket(port);
  std::atomic<bool> is_over = false;
  std::atomic<size_t> answered = 0, lost = 0;
  std::vector<std::thread> clients;
  for (int i = 0; i < 4; ++i)
    clients.emplace_back([&] {
      while (!is_over) {
        asio::io_context context;
        asio::ip::tcp::socket client(context);
        client.connect({asio::ip::address_v4::loopback(), port});
        asio::write(client, asio::buffer(std::string("GET / HTTP/1.1\r\nHost: localhost\r\n"
                                                     "Connection: close\r\n\r\n")));
        std::string answer;
        boost::system::error_code error;
        asio::read(client, asio::dynamic_buffer(answer), error);
        ++(answer.ends_with("hello") ? answered : lost);
      }
    });
  for (int generation = 0; generation < 20; ++generation) {
    const size_t before = answered;
    asio::io_context context;
    auto server = adopt(context, http::TcpEndpoint{.port = port}, Descriptor(::dup(unit.get())));
    REQUIRE(server);
    (*server)->begin();
    std::jthread serving([&] { context.run(); });
    CHECK(wait_until([&] { return answered > before + 10; }));
    std::promise<void> ended;
    (*server)->stop(60'000, [&] { ended.set_value(); });
    ended.get_future().wait();
    serving.join();  // the executor has nothing left to do
  }
  // The last questions wait in the queue for this one.
  is_over = true;
  asio::io_context context;
  auto server = adopt(context, http::TcpEndpoint{.port = port}, Descriptor(::dup(unit.get())));
  REQUIRE(server);
  (*server)->begin();
  std::jthread serving([&] { context.run(); });
  for (std::thread& client : clients) client.join();
  (*server)->stop(0);
  CHECK(lost == 0);
  MESSAGE("answered " << answered.load() << ", lost " << lost.load() << " over 20 restarts");
}

}  // namespace
}  // namespace notp::systemd
