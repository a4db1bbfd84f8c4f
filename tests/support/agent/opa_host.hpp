// An agent's feed for OPA with the real program.
#pragma once

#include <doctest/doctest.h>

#include <boost/asio.hpp>
#include <cstdlib>
#include <future>
#include <thread>

#include "common/http/client.hpp"
#include "common/http/server.hpp"
#include "common/storage/files.hpp"
#include "notp-client/pdp/opa_config.hpp"
#include "notp-client/pdp/opa_pdp.hpp"
#include "tests/support/agent/compositions.hpp"
#include "tests/support/agent/engine.hpp"
#include "tests/support/agent/report_queue.hpp"
#include "tests/support/process/process.hpp"
#include "tests/support/temporary_folder.hpp"

namespace notp {

inline std::string opa_binary() {
  const char* path = std::getenv("NOTP_OPA");
  if (path == nullptr)
    FAIL("NOTP_OPA is not set: export NOTP_OPA=$(tools/build-opa), or run tools/test");
  return path;
}

// An agent's feed on loopback, and OPAs that use it.
struct OpaHost {
  explicit OpaHost(bool with_url, pdp::OpaOptions options = {})
      : url(with_url ? fmt::format("http://127.0.0.1:{}", opa_port) : "") {
    options.url = url;
    options.status_poll_ms = 200;
    on_agent([&] {
      pdp = std::make_unique<pdp::OpaPdp>(context.get_executor(), pool, test_checker(),
                                          std::move(options));
      pdp->start(reports.sink());
    });
    const auto route =
        [this](const http::Request& request) -> boost::asio::awaitable<http::Response> {
      if (request.path == "/status" && drop_statuses) co_return http::text_response(500, "lost");
      if (request.path == "/status") co_return co_await pdp->status_post(request);
      ++fetches;
      co_return co_await pdp->bundle_request(request);
    };
    auto listening = http::Server::listen(context.get_executor(), http::TcpEndpoint{}, {}, route);
    REQUIRE(listening);
    server = *std::move(listening);
    REQUIRE(write_file(folder.path() / "opa.yaml",
                       pdp::opa_config(fmt::format("http://127.0.0.1:{}", server->port()),
                                       (folder.path() / "opa-token").string())));
    REQUIRE(write_file(folder.path() / "opa-token", "a secret\n", 0600));
  }
  ~OpaHost() {
    opa.reset();
    // The last requests of an OPA that has ended may still be read, so the feed goes last.
    on_agent([&] { server.reset(); });
    work.reset();
    context.stop();
    thread.join();
    pdp.reset();
    pool.join();
  }
  void on_agent(std::function<void()> action) {
    std::promise<void> done;
    boost::asio::post(context, [&] {
      action();
      done.set_value();
    });
    done.get_future().wait();
  }
  void activate(const TestComposition& release) {
    on_agent([&] { pdp->activate(release.active_set, release.load); });
  }
  void start_opa(const std::vector<std::string>& more = {}) {
    opa.reset();
    std::vector<std::string> command{opa_binary(),
                                     "run",
                                     "--server",
                                     "--addr",
                                     fmt::format("127.0.0.1:{}", opa_port),
                                     "--config-file",
                                     (folder.path() / "opa.yaml").string(),
                                     "--log-level",
                                     "error"};
    command.insert(command.end(), more.begin(), more.end());
    opa.emplace(ProcessOptions{.command = std::move(command),
                               .folder = folder.path(),
                               .environment = {},
                               .output_file = folder.path() / "opa.out",
                               .error_file = folder.path() / "opa.err"});
    await_listening();
  }
  // OPA activates bundles, and reports it, before it listens.
  void await_listening() {
    CHECK(wait_until([&] {
      return http::call_blocking({.url = fmt::format("http://127.0.0.1:{}/health", opa_port)})
          .has_value();
    }));
  }
  pdp::PdpOutcome next() {
    auto outcome = reports.next();
    if (!outcome) FAIL("OPA gave no word; it wrote: " << opa->error());
    return *outcome;
  }
  std::string ask(std::string_view path, const Bytes& input = "{}") {
    const auto answer =
        http::call_blocking({.method = "POST",
                             .url = fmt::format("http://127.0.0.1:{}/v1/data/{}", opa_port, path),
                             .body = fmt::format("{{\"input\":{}}}", input)});
    REQUIRE_MESSAGE(answer, answer.error().message);
    return answer->body.substr(0, answer->body.find_last_not_of('\n') + 1);
  }

  const int opa_port = free_port();
  const std::string url;
  TemporaryFolder folder;
  boost::asio::io_context context{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{
      context.get_executor()};
  boost::asio::thread_pool pool{1};
  std::thread thread{[this] { context.run(); }};
  ReportQueue reports;
  std::unique_ptr<pdp::OpaPdp> pdp;
  std::unique_ptr<http::Server> server;
  std::optional<Process> opa;
  std::atomic<bool> drop_statuses = false;
  std::atomic<int> fetches = 0;
};

}  // namespace notp
