// A NATS server with JetStream, from Debian's nats-server, and a raw publisher.
#pragma once

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <csignal>

#include "common/http/client.hpp"
#include "common/json/json.hpp"
#include "tests/support/process/broker.hpp"
#include "tests/support/process/process.hpp"
#include "tests/support/wire/test_pki.hpp"

namespace notp {

class NatsServer final : public Broker {
 public:
  // Keeps its streams in a folder below `folder`.
  explicit NatsServer(std::filesystem::path folder) : folder_(std::move(folder)) { start(); }

  void start() override {
    process_ = std::make_unique<Process>(ProcessOptions{
        .command = {"nats-server", "-a", "127.0.0.1", "-p", fmt::to_string(port_), "-m",
                    fmt::to_string(monitor_), "-js", "-sd", store(), "-l", log()},
        .folder = folder_,
        .environment = {},
        .output_file = log(),
        .error_file = log()});
    const bool is_ready = wait_until([&] {
      const auto answer =
          http::call_blocking({.url = fmt::format("http://127.0.0.1:{}/healthz", monitor_)});
      return (answer && answer->status == 200) || !process_->is_running();
    });
    REQUIRE_MESSAGE((is_ready && process_->is_running()), read_text(log()));
  }
  void stop() override {
    process_->signal(SIGTERM);
    REQUIRE(process_->wait());
  }
  std::string url() const override { return fmt::format("nats://127.0.0.1:{}", port_); }
  std::filesystem::path store() const override { return folder_ / "nats"; }
  std::filesystem::path log() const { return folder_ / "nats.log"; }

  // A request over the protocol of clients; the reply comes to an inbox.
  void publish(const std::string& subject, const std::string& payload) const override {
    namespace asio = boost::asio;
    asio::io_context context;
    asio::ip::tcp::socket socket(context);
    socket.connect({asio::ip::make_address("127.0.0.1"), static_cast<uint16_t>(port_)});
    asio::write(socket, asio::buffer(fmt::format(
                            "CONNECT {{\"verbose\":false,\"pedantic\":false}}\r\nSUB inbox 1\r\n"
                            "PUB {} inbox {}\r\n{}\r\n",
                            subject, payload.size(), payload)));
    std::string received;
    for (;;) {
      const size_t size = asio::read_until(socket, asio::dynamic_buffer(received), "\r\n");
      const std::string line = received.substr(0, size);
      received.erase(0, size);
      if (line.starts_with('{')) return check(line);
      if (line.starts_with("-ERR")) throw std::runtime_error("nats-server: " + line);
    }
  }

 private:
  // That a stream has it.
  static void check(const std::string& reply) {
    const json::value document = must(parse_json(reply));
    if (!document.as_object().contains("seq")) throw std::runtime_error("nats-server: " + reply);
  }

  const std::filesystem::path folder_;
  const int port_ = free_port(), monitor_ = free_port();
  std::unique_ptr<Process> process_;
};

}  // namespace notp
