// An OPA beside an agent that follows a lane: started as `notp-client opa-config` says.
#pragma once

#include "common/http/client.hpp"
#include "tests/support/process/command.hpp"
#include "tests/support/process/opa_process.hpp"
#include "tests/support/process/stack.hpp"
#include "tests/support/wire/test_pki.hpp"

namespace notp {

class LaneOpa {
 public:
  explicit LaneOpa(const Stack& stack) : stack_(stack), port_(free_port()) {}

  // Without the flags that `opa-config` names, OPA lets anybody in.
  void start(const Agent& agent, bool is_protected = true) {
    const auto config = stack_.file("lane-opa.yaml");
    const CommandResult printed = run_command(
        {stack_.program("notp-client"), "opa-config", "--config", agent.config_file().string()});
    REQUIRE_MESSAGE(printed.status == 0, printed.output);
    must(write_file(config, printed.output));
    std::vector<std::string> flags{"--config-file", config.string(), "--log-level", "error"};
    if (is_protected)
      flags.insert(flags.end(), {"--authentication=token", "--authorization=basic"});
    process_ = std::make_unique<Process>(opa_process(stack_.folder(), port_, flags));
    REQUIRE(wait_until([&] {
      return http::call_blocking({.url = url() + "/health", .deadline_ms = 2'000}).has_value();
    }));
  }
  void kill() { process_.reset(); }
  pid_t pid() const { return process_->pid(); }
  int port() const { return port_; }
  std::string url() const { return fmt::format("http://127.0.0.1:{}", port_); }
  // nullopt also before this OPA has its policies: it refuses questions until then.
  std::optional<json::value> decide(const std::string& path, const json::value& input) const {
    try {
      return ask_data(url(), path, input);
    } catch (const std::exception&) {
      return std::nullopt;
    }
  }
  // GET /v1/data/<path>; with the agent's secret, data.tokens too.
  std::string data(const std::string& path, const std::string& secret) const {
    const http::Response answer = must(http::call_blocking(
        {.url = url() + "/v1/data/" + path, .headers = {{"Authorization", "Bearer " + secret}}}));
    REQUIRE_MESSAGE(answer.status == 200, path << ": " << answer.body);
    return answer.body;
  }
  // What it presents to the agent.
  std::string token() const {
    constexpr std::string_view kKey = "token_path: ";
    const std::string config = read_text(stack_.file("lane-opa.yaml"));
    const size_t begin = config.find(kKey) + kKey.size();
    std::string file = config.substr(begin, config.find('\n', begin) - begin);
    std::erase(file, '"');
    std::string token = read_text(file);
    while (token.ends_with('\n')) token.pop_back();
    return token;
  }

 private:
  const Stack& stack_;
  const int port_;
  std::unique_ptr<Process> process_;
};

}  // namespace notp
