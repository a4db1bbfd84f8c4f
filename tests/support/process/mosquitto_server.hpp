// An MQTT broker, from Debian's mosquitto, and a raw publisher: mosquitto_pub of its
// mosquitto-clients.
#pragma once

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <csignal>

#include "common/storage/files.hpp"
#include "tests/support/process/broker.hpp"
#include "tests/support/process/command.hpp"
#include "tests/support/process/process.hpp"
#include "tests/support/wire/test_pki.hpp"

namespace notp {

class MosquittoServer final : public Broker {
 public:
  // Keeps its messages in a folder below `folder`.
  explicit MosquittoServer(std::filesystem::path folder) : folder_(std::move(folder)) {
    must(make_folders(store()));
    // Root would become another user, who may not write there.
    must(write_file(config(), fmt::format("listener {} 127.0.0.1\nallow_anonymous true\nuser root\n"
                                          "persistence true\npersistence_location {}/\n",
                                          port_, store().string())));
    start();
  }

  void start() override {
    process_ = std::make_unique<Process>(ProcessOptions{.command = {kProgram, "-c", config()},
                                                        .folder = folder_,
                                                        .environment = {},
                                                        .output_file = log(),
                                                        .error_file = log()});
    const bool is_ready = wait_until([&] {
      return run_command(publisher("ready", "-n")).status == 0 || !process_->is_running();
    });
    REQUIRE_MESSAGE((is_ready && process_->is_running()), read_text(log()));
  }
  void stop() override {
    process_->signal(SIGTERM);
    REQUIRE(process_->wait() == 0);
  }
  std::string url() const override { return fmt::format("mqtt://127.0.0.1:{}", port_); }
  std::filesystem::path store() const override { return folder_ / "mosquitto"; }
  void publish(const std::string& queue, const std::string& payload) const override {
    std::string topic = queue;
    std::ranges::replace(topic, '.', '/');
    std::vector<std::string> command = publisher(topic, "-m");
    command.push_back(payload);
    const CommandResult published = run_command(command);
    REQUIRE_MESSAGE(published.status == 0, published.output);
  }

 private:
  static constexpr const char* kProgram = "/usr/sbin/mosquitto";

  std::vector<std::string> publisher(const std::string& topic, const std::string& what) const {
    return {"mosquitto_pub", "-h", "127.0.0.1", "-p", fmt::to_string(port_), "-q", "1", "-t",
            topic,           what};
  }
  std::filesystem::path config() const { return folder_ / "mosquitto.conf"; }
  std::filesystem::path log() const { return folder_ / "mosquitto.log"; }

  const std::filesystem::path folder_;
  const int port_ = free_port();
  std::unique_ptr<Process> process_;
};

}  // namespace notp
