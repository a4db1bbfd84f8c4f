// An agent with a registry and the shop's model, on all kinds of listeners, and its clients.
#pragma once

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "tests/support/process/curl.hpp"
#include "tests/support/process/shop_model.hpp"

namespace notp {

inline const std::string kShopQuestion = R"({"input":{"user":"u-1"}})";

// An agent on all kinds of listeners.
struct ReachableAgent {
  Stack stack;
  const int tls_port = free_port(), health_port = free_port();
  Agent* agent = nullptr;

  ReachableAgent() {
    stack.start_registry();
    REQUIRE(stack.published(write_shop_model(stack), kShop) == 1);
    pki::LeafOptions server = stack.leaf("registry", "pdp");
    server.uris = {"spiffe://core-platform.internal/pdp"};
    stack.issue("pdp", stack.authority(), server);
  }
  void start(json::object more) {
    agent = &stack.start_agent({.name = "edge-1", .ledgers = {kShop}, .more = std::move(more)});
    // Readiness is open to every client, even where other requests are restricted.
    REQUIRE(wait_until([&] { return curl({agent->url() + "/health/ready"}).status == 200; }));
  }
  json::object tls() const {
    const std::string stem = stack.file("pki/pdp");
    return {{"address", fmt::format("0.0.0.0:{}", tls_port)},
            {"certificate", stem + ".crt"},
            {"key", stem + ".key"},
            {"client_ca", stack.authority_file().string()}};
  }
  // A client's certificate for spiffe://<domain>/<path>.
  std::string client(const std::string& stem, const std::string& path, bool has_ended = false) {
    pki::LeafOptions leaf = stack.leaf("node", stem);
    leaf.uris = {fmt::format("spiffe://{}/{}", kStackDomain, path)};
    if (has_ended) leaf.validity.not_after_ms = read_clock().wall_ms - 60'000;
    return stack.issue(stem, stack.authority(), leaf);
  }
  // POST over TLS; `stem` names the client's files, empty: none.
  CurlAnswer ask(const std::string& path, const std::string& stem,
                 std::vector<std::string> more = {}) const {
    more.insert(more.end(),
                {"-k", "-d", kShopQuestion, fmt::format("https://127.0.0.1:{}{}", tls_port, path)});
    if (!stem.empty()) more.insert(more.end(), {"--cert", stem + ".crt", "--key", stem + ".key"});
    return curl(std::move(more));
  }
  CliResult notp_client(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), stack.program("notp-client"));
    const CommandResult ran = run_command(arguments);
    return {ran.status, ran.output, ran.output, {}};
  }
};

}  // namespace notp
