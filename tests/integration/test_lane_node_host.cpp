// A node's lane on its threads, and a PDP that comes and goes.
#include <doctest/doctest.h>

#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <future>

#include "notp-client/lane/host/lane_host.hpp"
#include "tests/support/temporary_folder.hpp"

namespace notp {
namespace {

constexpr TimeMs kTrustedMs = 1'700'000'000'000;

struct Sink final : pdp::TokenSink {
  std::vector<bool> is_whole;  // of each update
  std::function<void(Result<void>)> done;
  std::function<void()> lost;

  void apply_tokens(lane::TableUpdate update, std::function<void(Result<void>)> finished) override {
    is_whole.push_back(update.feed.is_whole);
    done = std::move(finished);
  }
  void on_tokens_lost(std::function<void()> callback) override { lost = std::move(callback); }
};

}  // namespace

TEST_CASE("a PDP that is back before the update fails that it has missed gets the whole table") {
  const TemporaryFolder folder;
  auto store = lane::LaneStore::open({.folder = folder.path(),
                                      .trust_domain = "example.org",
                                      .lane = "tokens",
                                      .seal = std::nullopt,
                                      .now_ms = kTrustedMs});
  REQUIRE_MESSAGE(store, store.error().message);
  boost::asio::io_context agent;
  const auto work = boost::asio::make_work_guard(agent);
  Sink sink;
  lane::LaneHost host({.trust_domain = "example.org", .lane = "tokens"},
                      {.agent = agent.get_executor(),
                       .sink = sink,
                       .store = *std::move(store),
                       .alarm = [](const Error&) {}});
  REQUIRE(host.start(std::nullopt, kTrustedMs));
  const auto has_updates = [&](size_t count) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (sink.is_whole.size() < count && agent.run_one_until(until) > 0) {
    }
    return sink.is_whole.size() >= count;
  };
  REQUIRE(has_updates(1));
  CHECK(sink.is_whole[0]);
  sink.lost();
  sink.done(fail(ErrorCode::kUnavailable, "OPA has lost its tokens"));
  REQUIRE(has_updates(2));
  CHECK(sink.is_whole[1]);
  // One that is gone and not back gets nothing until it is.
  sink.done(fail(ErrorCode::kUnavailable, "OPA does not answer"));
  sink.lost();
  REQUIRE(has_updates(3));
  CHECK(sink.is_whole[2]);
  host.stop();
}

// Each caller waits on a context of its own, as requests do.
TEST_CASE("tokens that are asked for while a lane is stopped, or later, are answered") {
  const TemporaryFolder folder;
  auto store = lane::LaneStore::open({.folder = folder.path(),
                                      .trust_domain = "example.org",
                                      .lane = "tokens",
                                      .seal = std::nullopt,
                                      .now_ms = kTrustedMs});
  REQUIRE_MESSAGE(store, store.error().message);
  boost::asio::io_context agent;
  Sink sink;
  std::promise<void> connected;
  std::atomic<bool> is_told = false;
  lane::LaneHost host(
      {.trust_domain = "example.org", .lane = "tokens", .mode = lane::LaneMode::kAsk},
      {.agent = agent.get_executor(),
       .sink = sink,
       .store = *std::move(store),
       .alarm = [](const Error&) {},
       .on_status =
           [&](const lane::LaneStatus& status) {
             if (status.is_connected && !is_told.exchange(true)) connected.set_value();
           }});
  REQUIRE(host.start(std::nullopt, kTrustedMs));
  host.on_connected();
  connected.get_future().get();
  const auto asks = [&host](size_t count) {
    boost::asio::io_context context;
    size_t answered = 0;
    for (size_t i = 0; i < count; ++i)
      boost::asio::co_spawn(
          context, host.resolve({feed::token_id(std::to_string(i))}, "", std::chrono::hours(1)),
          [&](const std::exception_ptr& error) { answered += error ? 0 : 1; });
    context.run_for(std::chrono::seconds(20));
    return answered;
  };
  constexpr size_t kAsks = 2'000;
  std::vector<std::future<size_t>> callers;
  for (int i = 0; i < 4; ++i) callers.push_back(std::async(std::launch::async, asks, kAsks));
  host.stop();
  for (auto& caller : callers) CHECK(caller.get() == kAsks);
  CHECK(host.status()->is_connected);  // as the last one was
  CHECK(asks(3) == 3);
}

}  // namespace notp
