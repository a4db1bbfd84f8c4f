// The usual way without NOTP: an OPA that polls a bundle with the policy and the provider's keys.
#pragma once

#include <fmt/format.h>

#include <atomic>

#include "common/storage/files.hpp"
#include "tests/support/process/command.hpp"
#include "tests/support/process/opa_process.hpp"
#include "tests/support/process/stack.hpp"
#include "tests/support/providers/openid_provider.hpp"
#include "tests/support/wire/http_host.hpp"
#include "tests/support/wire/test_pki.hpp"

namespace notp {

// Its bundle is made at each request, with the keys that the provider has at that time: nothing is
// lost between provider and bundle.
class PollingOpa {
 public:
  // `policy`: a folder with the policy below orders/. Waits until OPA has the bundle.
  PollingOpa(const Stack& stack, const OpenIdProvider& provider, std::filesystem::path policy,
             int64_t poll_s)
      : provider_(provider),
        policy_(std::move(policy)),
        bundle_(stack.file("polled-bundle")),
        port_(free_port()) {
    const auto config = stack.file("polling-opa.yaml");
    must(write_file(
        config, fmt::format("services: {{keys: {{url: 'http://127.0.0.1:{}'}}}}\n"
                            "bundles: {{keys: {{service: keys, resource: bundle.tar.gz, polling: "
                            "{{min_delay_seconds: {}, max_delay_seconds: {}}}}}}}\n",
                            host_.server->port(), poll_s, poll_s)));
    process_ = std::make_unique<Process>(
        opa_process(stack.folder(), port_, {"--config-file", config, "--log-level", "error"}));
    const bool is_ready = wait_until([&] {
      const auto answer = http::call_blocking({.url = url() + "/health?bundles"});
      return answer && answer->status == 200;
    });
    if (!is_ready) throw std::runtime_error("OPA does not load the bundle: " + process_->error());
  }

  std::string url() const { return fmt::format("http://127.0.0.1:{}", port_); }
  int port() const { return port_; }
  std::optional<json::value> decide(const std::string& path, const json::value& input) const {
    return ask_data(url(), path, input);
  }
  // How often it has asked for the bundle.
  int polls() const { return polls_; }

 private:
  boost::asio::awaitable<http::Response> serve() {
    http::Response response;
    const auto keys = bundle_ / "keys/login";
    must(make_folders(keys));
    must(write_file(bundle_ / ".manifest", R"({"roots": ["orders", "keys"]})"));
    must(write_file(keys / "data.json", json::serialize(provider_.key_set())));
    const auto archive = std::filesystem::path(bundle_.string() + ".tar.gz");
    const CommandResult packed = run_command(
        {"tar", "-czf", archive, "-C", bundle_, ".manifest", "keys", "-C", policy_, "orders"});
    if (packed.status != 0) response.status = 500;
    response.body = packed.status == 0 ? read_text(archive) : packed.output;
    response.content_type = "application/gzip";
    ++polls_;
    co_return response;
  }

  const OpenIdProvider& provider_;
  const std::filesystem::path policy_, bundle_;
  const int port_;
  std::atomic<int> polls_ = 0;
  HttpHost host_{[this](const http::Request&) { return serve(); }};
  std::unique_ptr<Process> process_;
};

}  // namespace notp
