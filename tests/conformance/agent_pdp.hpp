// The agent's own PDP with the real engine: activates releases and asks questions.
#pragma once

#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>
#include <filesystem>
#include <fstream>
#include <future>
#include <thread>

#include "notp-client/pdp/embedded_pdp.hpp"
#include "tests/support/agent/compositions.hpp"
#include "tests/support/agent/engine.hpp"
#include "tests/support/agent/report_queue.hpp"

namespace notp::conformance {

// A slow answer on a busy machine still counts.
inline constexpr int64_t kPatientMs = 120'000;

class AgentPdp {
 public:
  using Decisions = Result<std::vector<Result<pdp::Decision>>>;

  explicit AgentPdp(pdp::EmbeddedOptions options) {
    options.engine.worker = test_worker();
    options.engine.deadline_ms = kPatientMs;
    on_agent([&] {
      agent_thread_ = ::gettid();
      pdp_ = std::make_unique<pdp::EmbeddedPdp>(context_.get_executor(), context_.get_executor(),
                                                pool_, std::move(options));
      pdp_->start(reports_.sink());
    });
  }
  ~AgentPdp() {
    on_agent([&] { pdp_.reset(); });
    work_.reset();
    thread_.join();
    pool_.join();
  }

  // Waits until the PDP decides with the release.
  Result<void> activate(const TestComposition& release) {
    on_agent([&] { pdp_->activate(release.active_set, release.load); });
    while (const auto outcome = reports_.next(std::chrono::milliseconds(kPatientMs))) {
      if (outcome->active_set != release.active_set) continue;
      if (outcome->rejected) return std::unexpected(*outcome->rejected);
      return {};
    }
    return fail(ErrorCode::kTimeout, "the PDP reports nothing");
  }
  std::future<Decisions> begin(pdp::Question question) {
    return boost::asio::co_spawn(pool_, pdp_->evaluate(std::move(question)),
                                 boost::asio::use_future);
  }
  // The decision for one input.
  Result<pdp::Decision> decide(pdp::Question question) {
    auto decisions = begin(std::move(question)).get();
    if (!decisions) return std::unexpected(std::move(decisions).error());
    return std::move(decisions->front());
  }
  rego::EngineStatus status() const { return pdp_->engine_status(); }
  // The engine's processes, started by the agent's thread, oldest first.
  std::vector<pid_t> workers() const {
    std::ifstream list("/proc/self/task/" + std::to_string(agent_thread_) + "/children");
    std::vector<pid_t> all;
    for (pid_t child; list >> child;) all.push_back(child);
    return all;
  }

 private:
  void on_agent(const std::function<void()>& action) {
    std::promise<void> done;
    boost::asio::post(context_, [&] {
      action();
      done.set_value();
    });
    done.get_future().wait();
  }

  boost::asio::io_context context_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{
      context_.get_executor()};
  boost::asio::thread_pool pool_{2};
  std::thread thread_{[this] { context_.run(); }};
  ReportQueue reports_;
  pid_t agent_thread_ = 0;
  std::unique_ptr<pdp::EmbeddedPdp> pdp_;
};

// Returns the path of a file that the build made beside the tests: opa-cases.jsonl, opa-programs.
inline std::string oracle(const std::string& name) {
  return std::filesystem::path(test_worker()).parent_path() / ".." / "tests" / name;
}

}  // namespace notp::conformance
