#include <doctest/doctest.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <future>
#include <optional>
#include <vector>

#include "common/spawn.hpp"
#include "notp-server/service/registry_releases.hpp"
#include "protocol/serve/artifact_source.hpp"
#include "tests/support/registry/git_ledgers.hpp"

namespace notp {
namespace {

namespace asio = boost::asio;

// A registry with two releases, and a lane with one thread and a short queue.
struct Bench {
  explicit Bench(size_t queue_max, size_t waiting_max = 4)
      : workers(1, queue_max),
        lane(workers, "artifacts", {.waiting_max = waiting_max, .waiting_per_key_max = 4}) {
    publish_files(*registry, texts(1));
    publish_files(*registry, texts(2));
  }

  ~Bench() {
    lane.close();
    workers.join();
  }

  // Requests all at once, from one thread, like a session's thread.
  std::vector<Result<serve::ArtifactPtr>> fetch(size_t count, const serve::WantedArtifact& wanted) {
    std::vector<Result<serve::ArtifactPtr>> out;
    const auto one = [](serve::ArtifactSource& from, serve::WantedArtifact what,
                        std::vector<Result<serve::ArtifactPtr>>& into) -> asio::awaitable<void> {
      into.push_back(co_await from.fetch("node/a", std::move(what)));
    };
    for (size_t i = 0; i < count; ++i) spawn(context.get_executor(), one(source, wanted, out));
    context.run();
    context.restart();
    return out;
  }

  TemporaryFolder data;
  std::unique_ptr<registry::GitRegistry> registry = open(data.path());
  serve::ArtifactCache cache;
  asio::io_context context{1};
  transport::OffloadPool workers;
  serve::FairLane lane;
  service::RegistryReleases releases{*registry};
  serve::ArtifactSource source{releases, cache, lane};
};

TEST_CASE("a thousand sessions wait for one artifact with one task of the lane") {
  constexpr size_t kSessions = 1'000;
  Bench bench(1);
  const auto got = bench.fetch(kSessions, {kLedger, 2, 1, {}});
  REQUIRE(got.size() == kSessions);
  for (const auto& artifact : got) {
    REQUIRE_MESSAGE(artifact.has_value(), artifact.error().message);
    CHECK(*artifact == *got.front());
  }
  const auto counters = bench.cache.counters();
  CHECK(counters.misses == 1);
  CHECK(counters.joined == 0);
  // Later requests found it in the cache.
  CHECK(bench.source.joined_total() + counters.hits == kSessions - 1);
}

TEST_CASE("what sessions will want first of a new head is there before they are told") {
  Bench bench(1);
  const serve::WantedArtifact update{kLedger, 2, 1, {}};
  CHECK(bench.source.cached(update) == nullptr);
  bench.source.prepare(kLedger);
  const serve::ArtifactPtr artifact = bench.source.cached(update);
  REQUIRE(artifact != nullptr);
  CHECK(artifact->id ==
        delta::artifact_id(bench.registry->info(kLedger, 1).value()->ref.release_hash,
                           bench.registry->info(kLedger, 2).value()->ref.release_hash));
  CHECK(bench.source.cached({kLedger, 2, 0, {}}) == nullptr);
  bench.source.prepare({kLedger.zone, "nobody"});
  CHECK(bench.cache.counters().misses == 1);
}

TEST_CASE("who wants what somebody else waits for has it in the own turn") {
  Bench bench(1, 8);
  std::vector<std::string> order;
  const auto one = [&](std::string who, serve::WantedArtifact what) -> asio::awaitable<void> {
    const auto got = co_await bench.source.fetch(who, std::move(what));
    order.push_back(who + (got ? "" : " refused"));
  };
  // The only thread is busy until all have asked.
  std::promise<void> asked;
  bench.lane.post("node/z", [&](Result<void>) { asked.get_future().wait(); });
  const auto ask = [&](const std::string& who, const serve::WantedArtifact& what) {
    spawn(bench.context.get_executor(), one(who, what));
    bench.context.poll();
  };
  for (const auto& [version, base] : {std::pair{1, 0}, {2, 0}, {1, 2}, {2, 1}})
    ask("node/greedy", {kLedger, static_cast<uint64_t>(version), static_cast<uint64_t>(base), {}});
  ask("node/a", {kLedger, 2, 1, {}});
  ask("node/greedy", {kLedger, 2, 1, {}});
  asked.set_value();
  bench.context.run();
  REQUIRE(order.size() == 6);
  // It was the greedy node's last request, made at the other node's turn.
  const auto place = std::ranges::find(order, "node/a");
  CHECK(place - order.begin() <= 2);
  CHECK(std::ranges::count(order, "node/greedy") == 5);
  CHECK(bench.cache.counters().misses == 4);
}

TEST_CASE("who asks for more artifacts than may wait is refused alone") {
  Bench bench(1);
  std::vector<std::string> refused;
  const auto one = [&](std::string who, serve::WantedArtifact what) -> asio::awaitable<void> {
    const auto got = co_await bench.source.fetch(who, std::move(what));
    if (!got) refused.push_back(who + " " + std::string(error_traits(got.error().code).name));
  };
  std::promise<void> asked;
  bench.lane.post("node/z", [&](Result<void>) { asked.get_future().wait(); });
  publish_files(*bench.registry, texts(3));
  for (uint64_t base = 0; base < 3; ++base)
    for (uint64_t version = 1; version <= 2; ++version)
      if (base != version)
        spawn(bench.context.get_executor(), one("node/greedy", {kLedger, version, base, {}}));
  bench.context.poll();
  spawn(bench.context.get_executor(), one("node/greedy", {kLedger, 3, 0, {}}));
  spawn(bench.context.get_executor(), one("node/greedy", {kLedger, 3, 1, {}}));
  spawn(bench.context.get_executor(), one("node/a", {kLedger, 3, 2, {}}));
  bench.context.poll();
  asked.set_value();
  bench.context.run();
  // Two were too many; one more gave way to the other node's.
  CHECK(refused == std::vector<std::string>(3, "node/greedy overloaded"));
}

TEST_CASE("everybody hears of a failure, and the next one tries again") {
  Bench none(0);
  for (int i = 0; i < 2; ++i)
    for (const auto& artifact : none.fetch(3, {kLedger, 2, 1, {}}))
      CHECK(artifact.error().code == ErrorCode::kOverloaded);
  Bench bench(1);
  for (const serve::WantedArtifact& lost :
       {serve::WantedArtifact{kLedger, 3, 1, {}}, serve::WantedArtifact{kLedger, 2, 7, {}}}) {
    CHECK(bench.source.cached(lost) == nullptr);
    for (const auto& artifact : bench.fetch(2, lost))
      CHECK(artifact.error().code == ErrorCode::kNotFound);
  }
  CHECK(bench.fetch(1, {kLedger, 2, 0, {}}).front().has_value());
}

}  // namespace
}  // namespace notp
