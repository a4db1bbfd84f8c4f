// Both daemons under a service manager, which is this test: what they tell it of their state, and
// the sockets that it keeps open for an agent that restarts.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <array>
#include <atomic>
#include <csignal>
#include <sstream>
#include <thread>

#include "tests/support/process/child_processes.hpp"
#include "tests/support/process/curl.hpp"
#include "tests/support/process/service_manager.hpp"
#include "tests/support/process/shop_model.hpp"

namespace notp {
namespace {

namespace fs = std::filesystem;

constexpr const char* kWatchdogUs = "400000";
constexpr milliseconds kQuiet{1'000};  // more than two of its periods
const json::value kInput = json::object{{"user", "u-1"}};

struct Passed {
  std::string name;  // FileDescriptorName=
  int fd;
};

// A registry with a model, and an agent that has stored it; both stopped on demand, and started as
// by a service manager.
class Scene {
 public:
  Stack stack;
  NotifySocket manager{(stack.folder() / "notify").string()};

  Agent& stored_agent(json::object more = {}) {
    stack.start_registry();
    REQUIRE(stack.published(write_shop_model(stack), kShop) == 1);
    Agent& agent =
        stack.start_agent({.name = "edge-1", .ledgers = {kShop}, .more = std::move(more)});
    REQUIRE(stack.becomes_active(agent, kShop, 1));
    REQUIRE(agent.stop() == 0);
    port = std::stoi(agent.url().substr(agent.url().rfind(':') + 1));
    return agent;
  }
  Process start_registry(std::string watchdog_us = kWatchdogUs) {
    return Process(
        {.command = {stack.program("notp-server"), "--config", stack.file("registry.yaml")},
         .folder = stack.folder(),
         .environment = {{"NOTIFY_SOCKET", manager.name()}, {"WATCHDOG_USEC", watchdog_us}},
         .output_file = stack.file("registry.log"),
         .error_file = stack.file("registry.log")});
  }
  // The sockets become its descriptors 3, 4, …, as the shell numbers them.
  Process start_agent(const Agent& agent, const std::vector<Passed>& sockets = {},
                      std::vector<std::pair<std::string, std::string>> environment = {}) {
    std::string script, names;
    for (size_t i = 0; i < sockets.size(); ++i) {
      ::fcntl(sockets[i].fd, F_SETFD, 0);
      script += fmt::format("exec {}<&{}; ", 3 + i, sockets[i].fd);
      names += (i == 0 ? "" : ":") + sockets[i].name;
    }
    if (!sockets.empty())
      script += fmt::format("export LISTEN_PID=$$ LISTEN_FDS={} LISTEN_FDNAMES={}; ",
                            sockets.size(), names);
    environment.insert(environment.end(),
                       {{"NOTIFY_SOCKET", manager.name()}, {"WATCHDOG_USEC", kWatchdogUs}});
    Process process({.command = {"bash", "-c", script + "exec \"$@\"", "-",
                                 stack.program("notp-client"), "--config", agent.config_file()},
                     .folder = stack.folder(),
                     .environment = std::move(environment),
                     .output_file = agent.log_file(),
                     .error_file = agent.log_file()});
    for (const Passed& socket : sockets) ::fcntl(socket.fd, F_SETFD, FD_CLOEXEC);
    return process;
  }
  int port = 0;  // of the agent
};

int stopped(Process& process) {
  process.signal(SIGTERM);
  const auto status = process.wait();
  REQUIRE(status.has_value());
  return *status;
}

// Signs of life come; a process that stands still gives none, and gives them again.
void check_watchdog(NotifySocket& manager, Process& process) {
  CHECK(manager.await("WATCHDOG=1") == "WATCHDOG=1");
  CHECK(manager.await("WATCHDOG=1") == "WATCHDOG=1");
  REQUIRE(stop_process(process.pid()));
  manager.drain();
  CHECK(manager.next(kQuiet).empty());
  process.signal(SIGCONT);
  CHECK(manager.await("WATCHDOG=1") == "WATCHDOG=1");
}

void check_reload(NotifySocket& manager, Process& process) {
  process.signal(SIGHUP);
  CHECK(manager.await("RELOADING=1\nMONOTONIC_USEC=").size() > 0);
  CHECK(manager.await("READY=1") == "READY=1");
}

TEST_CASE("a registry tells its service manager when it serves, reloads, hangs and ends") {
  Scene scene;
  const fs::path model = write_shop_model(scene.stack);
  Process registry = scene.start_registry();
  REQUIRE_MESSAGE(scene.manager.await("READY=1") == "READY=1", registry.error());
  // At once, without another attempt.
  const CliResult published = scene.stack.publish(model, kShop);
  CHECK_MESSAGE(published.status == 0, published.error);
  CHECK(wait_until([&] {
    return scene.manager.await("STATUS=") == "STATUS=serving 1 ledger to 0 peers, root v1";
  }));
  check_watchdog(scene.manager, registry);
  check_reload(scene.manager, registry);
  CHECK(stopped(registry) == 0);
  CHECK(scene.manager.await("STOPPING=1") == "STOPPING=1");
  CHECK(scene.manager.drain().empty());
}

TEST_CASE("a start that fails is never ready") {
  Scene scene;
  scene.stack.registry_more["root"] = scene.stack.file("no-such-root").string();
  scene.stack.write_registry_config();
  Process registry = scene.start_registry();
  CHECK(registry.wait().value_or(0) != 0);
  CHECK(scene.manager.await("READY=1", milliseconds(0)).empty());
}

TEST_CASE("an agent tells its service manager when it answers, reloads, hangs and ends") {
  Scene scene;
  Agent& agent = scene.stored_agent();
  Process process = scene.start_agent(agent);
  REQUIRE_MESSAGE(scene.manager.await("READY=1") == "READY=1", process.error());
  CHECK(curl({agent.url() + "/health/live"}).status == 200);
  const std::string serving = "STATUS=serving 1 of 1 ledgers, fresh; registry ";
  CHECK(wait_until([&] { return scene.manager.await(serving) == serving + "connected"; }));
  check_watchdog(scene.manager, process);
  check_reload(scene.manager, process);
  CHECK(scene.stack.stop_registry() == 0);
  CHECK(scene.manager.await(serving + "unreachable since 20").size() > 0);

  // The engine's worker is a child of the agent, and not the service.
  const auto workers = child_processes(std::to_string(process.pid()));
  REQUIRE_FALSE(workers.empty());
  for (const pid_t worker : workers) {
    const std::string variables = read_text(fmt::format("/proc/{}/environ", worker));
    CHECK(program_of(worker).ends_with("notp-pdp"));
    CHECK_FALSE(variables.contains("NOTIFY_SOCKET"));
    CHECK_FALSE(variables.contains("WATCHDOG_USEC"));
  }
  CHECK(stopped(process) == 0);
  CHECK(scene.manager.await("STOPPING=1") == "STOPPING=1");
}

TEST_CASE("a hook of the agent does not inherit what was for the agent") {
  Scene scene;
  const fs::path hook = scene.stack.file("hook"), seen = scene.stack.file("hook.environment");
  must(write_file(hook, fmt::format("#!/bin/sh\nenv > {0}.new && mv {0}.new {0}\n", seen.string()),
                  0755));
  Agent& agent = scene.stored_agent();
  fs::remove_all(scene.stack.file("edge-1.data"));
  must(make_folders(scene.stack.file("pdp")));
  const Descriptor socket = listening_socket(scene.port);
  json::value config = must(parse_json(read_text(agent.config_file())));
  config.as_object()["pdp"] = {
      {"kind", "folder"},
      {"folder",
       {{"path", scene.stack.file("pdp/current").string()}, {"hook", json::array{hook.string()}}}}};
  must(write_file(agent.config_file(), json::serialize(config)));
  Process process = scene.start_agent(agent, {{"listen", socket.get()}});
  REQUIRE_MESSAGE(wait_until([&] { return fs::exists(seen); }), process.error());
  const std::string variables = read_text(seen);
  CHECK(variables.contains("PATH="));
  for (const char* name :
       {"NOTIFY_SOCKET", "WATCHDOG_USEC", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"})
    CHECK_MESSAGE(!variables.contains(name), name);
  CHECK(stopped(process) == 0);
}

TEST_CASE("questions that are asked while an agent restarts are answered by the next one") {
  Scene scene;
  Agent& agent = scene.stored_agent();
  const Descriptor socket = listening_socket(scene.port);
  std::atomic<bool> is_over = false;
  std::atomic<size_t> answered = 0, lost = 0;
  std::vector<std::jthread> callers;
  for (int i = 0; i < 4; ++i)
    callers.emplace_back([&] {
      while (!is_over) {
        bool right = false;
        try {
          right = agent.decide("shop/allow", kInput) == json::value(true);
        } catch (const std::exception&) {
          right = false;
        }
        ++(right ? answered : lost);
      }
    });
  constexpr int kRestarts = 4;
  for (int i = 0; i < kRestarts; ++i) {
    // From before this process was started.
    const size_t before = answered;
    Process process = scene.start_agent(agent, {{"listen", socket.get()}});
    REQUIRE_MESSAGE(scene.manager.await("READY=1") == "READY=1", process.error());
    CHECK(wait_until([&] { return answered >= before + 20; }));
    CHECK(stopped(process) == 0);
    CHECK(scene.manager.await("STOPPING=1") == "STOPPING=1");
  }
  is_over = true;
  Process last = scene.start_agent(agent, {{"listen", socket.get()}});
  callers.clear();
  CHECK(lost == 0);
  MESSAGE("answered " << answered.load() << ", lost " << lost.load() << " over " << kRestarts
                      << " restarts");
  CHECK(stopped(last) == 0);
}

TEST_CASE("a Unix socket, the probes and the loopback port are passed together") {
  Scene scene;
  const fs::path path = scene.stack.file("pdp.sock");
  const int health_port = free_port();
  Agent& agent = scene.stored_agent({{"listen_unix", {{"path", path.string()}}},
                                     {"health_listen", fmt::format("127.0.0.1:{}", health_port)}});
  const Descriptor unix_socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  path.string().copy(name.sun_path, sizeof name.sun_path - 1);
  REQUIRE(::bind(unix_socket.get(), reinterpret_cast<sockaddr*>(&name), sizeof name) == 0);
  REQUIRE(::chmod(path.c_str(), 0660) == 0);
  REQUIRE(::listen(unix_socket.get(), 64) == 0);
  const Descriptor loopback = listening_socket(scene.port), health = listening_socket(health_port);
  Process process = scene.start_agent(agent, {{"listen_unix", unix_socket.get()},
                                              {"health_listen", health.get()},
                                              {"listen", loopback.get()}});
  REQUIRE_MESSAGE(scene.manager.await("READY=1") == "READY=1", process.error());
  const CurlAnswer answer = curl({"--unix-socket", path, "-d", R"({"input":{"user":"u-1"}})",
                                  "http://pdp/v1/data/shop/allow"});
  CHECK(at(answer.document(), "result") == json::value(true));
  CHECK(curl({fmt::format("http://127.0.0.1:{}/health/live", health_port)}).status == 200);
  CHECK(agent.decide("shop/allow", kInput) == json::value(true));

  // The service manager keeps its address, whatever a new configuration says.
  json::value config = must(parse_json(read_text(agent.config_file())));
  config.as_object().erase("listen_unix");
  must(write_file(agent.config_file(), json::serialize(config)));
  check_reload(scene.manager, process);
  CHECK(agent.count_events("listener_not_changed", "config") == 1);
  CHECK(curl({"--unix-socket", path, "http://pdp/health/live"}).status == 200);
  CHECK(stopped(process) == 0);
  CHECK(fs::exists(path));
}

TEST_CASE(
    "a socket that the configuration does not know ends the start, and both addresses are named") {
  Scene scene;
  Agent& agent = scene.stored_agent();
  const int other_port = free_port();
  const Descriptor other = listening_socket(other_port), right = listening_socket(scene.port);
  const auto refusal = [&](const std::vector<Passed>& sockets) {
    must(write_file(agent.log_file(), ""));
    Process process = scene.start_agent(agent, sockets);
    CHECK(process.wait() == 2);
    CHECK(scene.manager.drain().empty());
    return process.error();
  };
  const std::string elsewhere = refusal({{"listen", other.get()}});
  CHECK(elsewhere.contains(fmt::format("127.0.0.1:{}", other_port)));
  CHECK(elsewhere.contains(fmt::format("127.0.0.1:{}", scene.port)));
  CHECK(refusal({{"listen_tls", other.get()}}).contains("listen_tls"));
  const std::string unnamed = refusal({{"notp-client.socket", right.get()}});
  CHECK(unnamed.contains("notp-client.socket"));
  CHECK(unnamed.contains("FileDescriptorName=listen"));
  CHECK(refusal({{"listen", right.get()}, {"listen", other.get()}}).contains("two sockets"));
}

TEST_CASE("systemd's own tool activates an agent") {
  if (run_command({"systemd-socket-activate", "--version"}).status != 0) {
    MESSAGE("skipped: there is no systemd-socket-activate");
    return;
  }
  Scene scene;
  Agent& agent = scene.stored_agent();
  Process process({.command = {"systemd-socket-activate", "--fdname=listen", "-l",
                               fmt::format("127.0.0.1:{}", scene.port),
                               scene.stack.program("notp-client"), "--config", agent.config_file()},
                   .folder = scene.stack.folder(),
                   .environment = {},
                   .output_file = agent.log_file(),
                   .error_file = agent.log_file()});
  // It starts the agent with the first connection, which waits meanwhile.
  REQUIRE(wait_until([&] { return process.error().contains("Listening on"); }));
  CHECK(agent.decide("shop/allow", kInput) == json::value(true));
  CHECK(stopped(process) == 0);
}

TEST_CASE("lines for the journal begin with their priority, and no others do") {
  Scene scene;
  Agent& agent = scene.stored_agent();
  struct stat status{};
  for (const bool is_journal : {true, false}) {
    must(write_file(agent.log_file(), ""));
    REQUIRE(::stat(agent.log_file().c_str(), &status) == 0);
    Process process = scene.start_agent(
        agent, {},
        {{"JOURNAL_STREAM",
          fmt::format("{}:{}", status.st_dev, status.st_ino + (is_journal ? 0U : 1U))}});
    REQUIRE(scene.manager.await("READY=1") == "READY=1");
    CHECK(stopped(process) == 0);
    std::istringstream lines(process.error());
    size_t count = 0;
    for (std::string line; std::getline(lines, line); ++count)
      CHECK_MESSAGE(line.starts_with(is_journal ? "<6>{" : "{"), line);
    CHECK(count >= 3);
  }
  // A program that does not start has an error to report.
  must(write_file(agent.log_file(), ""));
  REQUIRE(::stat(agent.log_file().c_str(), &status) == 0);
  must(write_file(agent.config_file(), "{}"));
  Process failing = scene.start_agent(
      agent, {}, {{"JOURNAL_STREAM", fmt::format("{}:{}", status.st_dev, status.st_ino)}});
  CHECK(failing.wait() == 2);
  std::istringstream lines(failing.error());
  for (std::string line; std::getline(lines, line);) CHECK_MESSAGE(line.starts_with("<3>"), line);
}

TEST_CASE("a log that nobody reads holds up no decision, and says what is missing") {
  Scene scene;
  Agent& agent = scene.stored_agent({{"log", {{"level", "debug"}}}});
  const fs::path pipe = scene.stack.file("log.pipe");
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  const Descriptor reader(::open(pipe.c_str(), O_RDWR | O_CLOEXEC));
  Process process({.command = {"bash", "-c", "exec 2>\"$0\" \"$@\"", pipe,
                               scene.stack.program("notp-client"), "--config", agent.config_file()},
                   .folder = scene.stack.folder(),
                   .environment = {{"NOTIFY_SOCKET", scene.manager.name()}},
                   .output_file = agent.log_file(),
                   .error_file = agent.log_file()});
  REQUIRE(scene.manager.await("READY=1") == "READY=1");
  REQUIRE(wait_until([&] { return curl({agent.url() + "/health/ready"}).status == 200; }));
  constexpr int kDecisions = 6'000;  // a line each: more than may wait
  int right = 0;
  for (int i = 0; i < kDecisions; ++i)
    right += agent.decide("shop/allow", kInput) == json::value(true) ? 1 : 0;
  CHECK(right == kDecisions);
  const std::string counter = "\nnotp_agent_log_lines_dropped_total ";
  const std::string metrics = curl({agent.url() + "/metrics"}).body;
  const size_t at = metrics.find(counter);
  REQUIRE(at != std::string::npos);
  CHECK(std::stoull(metrics.substr(at + counter.size())) > 0);
  std::string text;
  std::array<char, 65536> buffer{};
  while (!text.contains("log_lines_dropped")) {
    const ssize_t count = ::read(reader.get(), buffer.data(), buffer.size());
    REQUIRE(count > 0);
    text.append(buffer.data(), static_cast<size_t>(count));
  }
  CHECK(text.starts_with("{"));
  CHECK(stopped(process) == 0);
}

}  // namespace
}  // namespace notp
