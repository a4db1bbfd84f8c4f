// When events are fetched, and what is acknowledged: by time and answers alone.
#include <doctest/doctest.h>

#include <set>

#include "common/json/json.hpp"
#include "notp-server/lane_inputs/lane_input_limits.hpp"
#include "notp-server/lane_inputs/poll_core.hpp"

namespace notp::lane_inputs {
namespace {

using Outcome = PolledSet::Outcome;

constexpr TimeMs kInterval = 1'000;
constexpr TimeMs kLeastInterval = kInterval * (100 - kPollJitterPercent) / 100;

struct Poll {
  json::object begin() { return parse_json(core.begin(now_ms)).value().as_object(); }
  // From now to the next request.
  TimeMs wait() const { return core.next_deadline() - now_ms; }
  void answered(std::vector<PolledSet> sets) { core.answered(sets, now_ms); }
  bool is_interval() const { return wait() >= kLeastInterval && wait() <= kInterval; }

  SeededRandom random{1};
  TimeMs now_ms = 5'000;
  PollCore core{random, kInterval, now_ms};
};

PolledSet taken(std::string jti) { return {std::move(jti), Outcome::kTaken, {}, {}}; }

TEST_CASE("a transmitter that answers at once is asked once in an interval, with jitter") {
  Poll poll;
  CHECK(poll.wait() == 0);
  const json::object first = poll.begin();
  CHECK(first.at("returnImmediately") == false);
  CHECK(first.at("maxEvents") == kPollEventsMax);
  CHECK(!first.contains("ack"));
  CHECK(poll.core.next_deadline() == kNever);
  std::set<TimeMs> waits;
  for (int i = 0; i < 100; ++i) {
    poll.answered({});
    CHECK(poll.is_interval());
    waits.insert(poll.wait());
    poll.now_ms += poll.wait();
    poll.begin();
  }
  CHECK(waits.size() > 10);
}

TEST_CASE(
    "a transmitter that holds requests is asked again at once, and less when it holds too long") {
  Poll poll;
  poll.begin();
  poll.now_ms += 20'000;
  poll.answered({});
  CHECK(poll.wait() == 0);
  poll.begin();
  poll.now_ms += kPollCallMs;
  const Error timeout{ErrorCode::kTimeout, "", {}};
  CHECK(poll.core.failed(timeout, 0, poll.now_ms) == PollCore::Failure::kNo);
  CHECK(poll.wait() == 0);
  CHECK(poll.begin().at("returnImmediately") == true);
  // It does not answer that either.
  CHECK(poll.core.failed(timeout, 0, poll.now_ms) == PollCore::Failure::kYes);
  CHECK(poll.wait() > 0);
}

TEST_CASE("what is done with is acknowledged at once, until an answer shows that it arrived") {
  Poll poll;
  poll.begin();
  poll.answered({taken("a"), {"b", Outcome::kRefused, "invalid_key", "no such key"}});
  CHECK(poll.wait() == 0);
  for (int i = 0; i < 3; ++i) {
    const json::object body = poll.begin();
    CHECK(body.at("ack") == json::array{"a"});
    CHECK(body.at("setErrs") == json::object{{"b", json::object{{"err", "invalid_key"},
                                                                {"description", "no such key"}}}});
    CHECK(poll.core.failed({ErrorCode::kUnavailable, "", {}}, 0, poll.now_ms) ==
          PollCore::Failure::kYes);
  }
  poll.begin();
  poll.answered({});
  const json::object body = poll.begin();
  CHECK(!body.contains("ack"));
  CHECK(!body.contains("setErrs"));
}

TEST_CASE("what the lane did not take is not acknowledged, and not asked for in a hurry") {
  Poll poll;
  poll.begin();
  poll.answered({taken("a"), {"b", Outcome::kAgain, {}, {}}});
  CHECK(poll.is_interval());
  CHECK(poll.begin().at("ack") == json::array{"a"});
}

TEST_CASE("a transmitter that repeats itself gains nothing by it") {
  Poll poll;
  poll.begin();
  poll.answered({taken("a")});
  for (int i = 0; i < 10; ++i) {
    poll.begin();
    poll.answered({taken("a")});
    CHECK(poll.is_interval());
    poll.now_ms += poll.wait();
  }
}

TEST_CASE("failures are tried again later and later, or when the transmitter says") {
  Poll poll;
  TimeMs before = 0;
  for (int i = 0; i < 20; ++i) {
    poll.begin();
    CHECK(poll.core.failed({ErrorCode::kUnavailable, "", {}}, 0, poll.now_ms) ==
          PollCore::Failure::kYes);
    CHECK(poll.wait() <= kPollRetryMsMax);
    if (i < 5) CHECK(poll.wait() > before);
    before = poll.wait();
    poll.now_ms += poll.wait();
  }
  CHECK(before >= kPollRetryMsMax * 8 / 10);
  poll.begin();
  poll.answered({});
  poll.now_ms += poll.wait();
  poll.begin();
  poll.core.failed({ErrorCode::kOverloaded, "", {}}, 7'000, poll.now_ms);
  CHECK(poll.wait() == 7'000);
  poll.now_ms += poll.wait();
  poll.begin();
  poll.core.failed({ErrorCode::kOverloaded, "", {}}, 24LL * 3600 * 1000, poll.now_ms);
  CHECK(poll.wait() == kPollRetryMsMax);
}

TEST_CASE("many acknowledgements go in several requests") {
  Poll poll;
  poll.begin();
  std::vector<PolledSet> many;
  for (size_t i = 0; i < kPollReportsMax + 1; ++i) many.push_back(taken(std::to_string(i)));
  poll.answered(std::move(many));
  CHECK(poll.begin().at("ack").as_array().size() == kPollReportsMax);
  poll.answered({});
  CHECK(poll.begin().at("ack").as_array().size() == 1);
}

TEST_CASE("answers that are none of RFC 8936 are refused") {
  CHECK(read_poll_answer(R"({"sets":{}})")->sets.empty());
  CHECK(read_poll_answer(R"({"sets":{"a":"x"},"moreAvailable":true})")->sets.size() == 1);
  for (const char* body :
       {"", "[]", "{}", R"({"sets":[]})", R"({"sets":{"a":1}})", R"({"sets":{"":"x"}})",
        R"({"sets":{"a":"x","a":"y"}})", R"({"sets":null})"}) {
    INFO(body);
    CHECK(read_poll_answer(body).error().code == ErrorCode::kMessage);
  }
  CHECK(!read_poll_answer(R"({"sets":{")" + std::string(kJtiBytesMax + 1, 'j') + R"(":"x"}})"));
}

}  // namespace
}  // namespace notp::lane_inputs
