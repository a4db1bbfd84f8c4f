// Keys that tokens name and a key set lacks, on their way from the engine to the agent's core.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <boost/asio.hpp>

#include "notp-client/pdp/unknown_keys.hpp"
#include "protocol/wire/source_limits.hpp"

namespace notp::pdp {
namespace {

namespace asio = boost::asio;

const Bytes kPair = R"({"issuer":"https://a","kid":"k1"})";

size_t taken_from(const Bytes& list) {
  Bytes extras = R"({"unknown_keys":)" + list + "}";
  return take_unknown_keys(extras).size();
}

struct Site {
  asio::io_context context{1};
  std::vector<std::vector<wire::UnknownKey>> reports;
  std::shared_ptr<UnknownKeyQueue> queue = std::make_shared<UnknownKeyQueue>(
      context.get_executor(),
      [this](const std::vector<wire::UnknownKey>& keys) { reports.push_back(keys); });

  void run_until(size_t count) {
    context.restart();
    while (reports.size() < count) REQUIRE(context.run_one() == 1);
  }
};

}  // namespace

TEST_CASE("unknown keys are taken out of the extras, and nothing else changes") {
  Bytes extras = R"({"metrics":{"a": 1.0},"unknown_keys":[)" + kPair +
                 R"(],"log":{"mask":[{"op":"remove","path":"/input/unknown_keys"}]}})";
  const auto keys = take_unknown_keys(extras);
  REQUIRE(keys.size() == 1);
  CHECK(keys[0].issuer == "https://a");
  CHECK(keys[0].kid == "k1");
  CHECK(extras ==
        R"({"metrics":{"a": 1.0},"log":{"mask":[{"op":"remove","path":"/input/unknown_keys"}]}})");
  const Bytes before = extras;
  CHECK(take_unknown_keys(extras).empty());
  CHECK(extras == before);
  extras = R"({"unknown_keys":[)" + kPair + "]}";
  CHECK(take_unknown_keys(extras).size() == 1);
  CHECK(extras.empty());
  CHECK(take_unknown_keys(extras).empty());
}

TEST_CASE("of unknown keys only those are taken that a message may have") {
  CHECK(taken_from("[" + kPair + "," + kPair + "]") == 2);
  for (const Bytes& list :
       {Bytes("7"), Bytes("[7]"), Bytes("[{}]"), Bytes(R"([{"issuer":"i"}])"),
        Bytes(R"([{"issuer":"i","kid":""}])"), Bytes(R"([{"issuer":7,"kid":"k"}])"), Bytes("[{]"),
        fmt::format(R"([{{"issuer":"{}","kid":"k"}}])", Bytes(limits::kIssuerBytesMax + 1, 'i')),
        fmt::format(R"([{{"issuer":"i","kid":"{}"}}])", Bytes(limits::kKidBytesMax + 1, 'k'))}) {
    CAPTURE(list);
    CHECK(taken_from(list) == 0);
  }
}

TEST_CASE("unknown keys are passed on at once, then together: the newest of each issuer") {
  Site site;
  site.queue->add({{"https://a", "k1"}});
  site.run_until(1);
  REQUIRE(site.reports[0].size() == 1);
  site.queue->add({{"https://a", "k2"}, {"https://b", "k1"}});
  site.queue->add({{"https://a", "k3"}});
  site.run_until(2);
  REQUIRE(site.reports[1].size() == 2);
  CHECK(site.reports[1][0].kid == "k3");
  CHECK(site.reports[1][1].issuer == "https://b");
  // With nothing more to pass on the queue rests, and the next one goes at once again.
  site.context.restart();
  site.context.run();
  site.queue->add({{"https://a", "k4"}});
  site.run_until(3);
  CHECK(site.reports[2][0].kid == "k4");
}

TEST_CASE("a flood of issuers is dropped, and so is everything after the end") {
  Site site;
  for (size_t i = 0; i < 10 * limits::kUnknownKeysWaitingMax; ++i)
    site.queue->add({{fmt::format("https://{}", i), "k"}});
  site.queue->add({{"https://0", "newest"}});
  site.run_until(1);
  CHECK(site.reports[0].size() == limits::kUnknownKeysWaitingMax);
  CHECK(site.reports[0][0].kid == "newest");
  site.queue->add({{"https://a", "k1"}});
  site.queue->close();
  site.context.restart();
  site.context.run();
  site.queue->add({{"https://a", "k2"}});
  site.context.restart();
  site.context.run();
  CHECK(site.reports.size() == 1);
}

}  // namespace notp::pdp
