#include <doctest/doctest.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <future>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "common/spawn.hpp"
#include "notp-server/service/lane_limits.hpp"
#include "notp-server/service/work_lanes.hpp"
#include "protocol/wire/messages/request.hpp"

namespace notp {
namespace {

namespace asio = boost::asio;

// A job that does not end by itself.
struct Gate {
  std::promise<void> opened;
  std::shared_future<void> open = opened.get_future().share();
  std::atomic<size_t> inside{0};

  serve::FairLane::Job job() {
    return [this](Result<void> turn) {
      if (!turn) return;
      ++inside;
      open.wait();
    };
  }
};

struct Office {
  service::WorkPools pools{2, 2};
  service::WorkLanes lanes{pools, 2, 2};

  // Blocks until the job is started.
  static Result<void> ask(serve::FairLane& lane, const std::string& who) {
    std::promise<Result<void>> answer;
    auto answered = answer.get_future();
    lane.post(who, [&](Result<void> turn) { answer.set_value(std::move(turn)); });
    return answered.get();
  }
};

TEST_CASE("whatever fills the lanes of artifacts, questions and validations, orders go through") {
  Office office;
  Gate gate;
  service::WorkLanes& lanes = office.lanes;
  for (const char* who : {"node/a", "node/b"})
    for (size_t i = 0; i < limits::kArtifactsWaitingPerIdentityMax; ++i)
      lanes.artifacts.post(who, gate.job());
  for (const char* who : {"publisher/m", "publisher/n"})
    for (size_t i = 0; i < limits::kPublishesWaitingPerIdentityMax; ++i)
      lanes.validations.post(who, gate.job());
  while (gate.inside < 4) std::this_thread::yield();
  CHECK(lanes.waiting() > 0);
  for (const char* who : {"admin/eve", "node/a", "publisher/m"}) {
    CHECK(Office::ask(lanes.orders, who));
    CHECK(Office::ask(lanes.queries, who));
    CHECK(Office::ask(lanes.now_publishes, who));
  }
  for (int i = 0; i < 10; ++i) lanes.queries.post("admin/m", gate.job());
  CHECK(Office::ask(lanes.orders, "admin/m"));
  gate.opened.set_value();
  lanes.close();
  office.pools.join();
}

TEST_CASE("each question and order has its lane") {
  Office office;
  service::WorkLanes& lanes = office.lanes;
  const auto lane_of = [&](auto what) {
    return &lanes.lane_of(wire::kind_of(wire::Request{1, std::move(what)}));
  };
  CHECK(lane_of(wire::Withdraw{}) == &lanes.orders);
  CHECK(lane_of(wire::PublishRoot{}) == &lanes.orders);
  CHECK(lane_of(wire::DropPending{}) == &lanes.orders);
  CHECK(lane_of(wire::NewJoinToken{}) == &lanes.orders);
  CHECK(lane_of(wire::RenewCertificate{}) == &lanes.orders);
  CHECK(lane_of(wire::HistoryRequest{}) == &lanes.queries);
  CHECK(lane_of(wire::NodesRequest{}) == &lanes.queries);
  CHECK(lane_of(wire::DecisionsRequest{}) == &lanes.audits);
  CHECK(lane_of(wire::SegmentRequest{}) == &lanes.audits);
  CHECK(lane_of(wire::LedgersRequest{}) == &lanes.queries);
  CHECK(lane_of(wire::RootsRequest{}) == &lanes.queries);
  CHECK(lane_of(wire::PendingRequest{}) == &lanes.queries);
  CHECK(lane_of(wire::TrustRequest{}) == &lanes.queries);
  CHECK(lane_of(wire::Cosign{}) == &lanes.now_publishes);
}

TEST_CASE("one publisher validates one model at a time, and another one's is not behind it") {
  Office office;
  Gate gate;
  for (int i = 0; i < 5; ++i) office.lanes.validations.post("publisher/m", gate.job());
  while (gate.inside < 1) std::this_thread::yield();
  CHECK(Office::ask(office.lanes.validations, "publisher/a"));
  CHECK(Office::ask(office.lanes.validations, "publisher/a"));
  CHECK(gate.inside == 1);
  CHECK(office.lanes.validations.waiting() == 4);
  gate.opened.set_value();
  office.lanes.close();
  office.pools.join();
}

TEST_CASE("a lane that is closed refuses what waits and what comes, and ends what runs") {
  Office office;
  Gate gate;
  office.lanes.orders.post("a", gate.job());
  while (gate.inside < 1) std::this_thread::yield();
  std::vector<ErrorCode> codes;
  const auto note = [&](Result<void> turn) {
    codes.push_back(turn ? ErrorCode::kInternal : turn.error().code);
  };
  office.lanes.orders.post("a", note);
  office.lanes.close();
  office.lanes.orders.post("a", note);
  CHECK(codes == std::vector{ErrorCode::kCancelled, ErrorCode::kCancelled});
  gate.opened.set_value();
  office.pools.join();
  CHECK(gate.inside == 1);
}

TEST_CASE("offload in a lane brings results and exceptions home, and says what is full") {
  asio::io_context context{1};
  transport::OffloadPool pool(1);
  serve::FairLane lane(
      pool, "errands",
      {.running_max = 1, .running_per_key_max = 1, .waiting_max = 2, .waiting_per_key_max = 2});
  Gate gate;
  lane.post("m", gate.job());
  while (gate.inside < 1) std::this_thread::yield();
  std::vector<Result<int>> got;
  const auto one = [&](int number) -> asio::awaitable<void> {
    auto outcome = co_await serve::offload(lane, "m", [number]() -> Result<int> {
      if (number == 2) throw std::runtime_error("broken");
      return number;
    });
    got.push_back(std::move(outcome));
    if (got.size() == 1) gate.opened.set_value();
  };
  for (const int number : {1, 2, 3}) spawn(context.get_executor(), one(number));
  context.run();
  REQUIRE(got.size() == 3);
  CHECK(got[0].error().code == ErrorCode::kOverloaded);
  CHECK(got[1].value() == 1);
  CHECK(got[2].error().code == ErrorCode::kInternal);
  lane.close();
  pool.join();
}

}  // namespace
}  // namespace notp
