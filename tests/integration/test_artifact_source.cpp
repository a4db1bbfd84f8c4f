#include <doctest/doctest.h>

#include <boost/asio/io_context.hpp>
#include <optional>
#include <vector>

#include "common/spawn.hpp"
#include "notp-server/service/artifact_source.hpp"
#include "tests/support/git_ledgers.hpp"

namespace notp {
namespace {

namespace asio = boost::asio;

// A registry with two releases, and a pool whose only thread has room for few tasks.
struct Bench {
  explicit Bench(size_t queue_max) : workers(1, queue_max) {
    publish(*registry, texts(1));
    publish(*registry, texts(2));
  }

  // All at once, from one thread, as a session's thread does.
  std::vector<Result<ArtifactPtr>> fetch(size_t count, const WantedArtifact& wanted) {
    std::vector<Result<ArtifactPtr>> out;
    const auto one = [](ArtifactSource& from, WantedArtifact what,
                        std::vector<Result<ArtifactPtr>>& into) -> asio::awaitable<void> {
      into.push_back(co_await from.fetch(std::move(what)));
    };
    for (size_t i = 0; i < count; ++i) spawn(context.get_executor(), one(source, wanted, out));
    context.run();
    context.restart();
    return out;
  }

  TemporaryFolder data;
  std::unique_ptr<GitRegistry> registry = open(data.path());
  ArtifactCache cache;
  asio::io_context context{1};
  OffloadPool workers;
  ArtifactSource source{*registry, cache, workers};
};

TEST_CASE("a thousand sessions wait for one artifact with one task of the pool") {
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
  // Who came after it was made found it in the cache.
  CHECK(bench.source.joined_total() + counters.hits == kSessions - 1);
}

TEST_CASE("what sessions will want first of a new head is there before they are told") {
  Bench bench(1);
  const WantedArtifact update{kLedger, 2, 1, {}};
  CHECK(bench.source.cached(update) == nullptr);
  bench.source.prepare(kLedger);
  const ArtifactPtr artifact = bench.source.cached(update);
  REQUIRE(artifact != nullptr);
  CHECK(artifact->id == artifact_id(bench.registry->info(kLedger, 1)->hash,
                                    bench.registry->info(kLedger, 2)->hash));
  CHECK(bench.source.cached({kLedger, 2, 0, {}}) == nullptr);
  bench.source.prepare({kLedger.zone, "nobody"});
  CHECK(bench.cache.counters().misses == 1);
}

TEST_CASE("everybody hears of a failure, and the next one tries again") {
  Bench none(0);
  for (int i = 0; i < 2; ++i)
    for (const auto& artifact : none.fetch(3, {kLedger, 2, 1, {}}))
      CHECK(artifact.error().code == ErrorCode::kOverloaded);
  Bench bench(1);
  for (const WantedArtifact& lost :
       {WantedArtifact{kLedger, 3, 1, {}}, WantedArtifact{kLedger, 2, 7, {}}}) {
    CHECK(bench.source.cached(lost) == nullptr);
    for (const auto& artifact : bench.fetch(2, lost))
      CHECK(artifact.error().code == ErrorCode::kNotFound);
  }
  CHECK(bench.fetch(1, {kLedger, 2, 0, {}}).front().has_value());
}

}  // namespace
}  // namespace notp
