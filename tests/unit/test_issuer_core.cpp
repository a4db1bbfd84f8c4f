// When the keys of an issuer are fetched and published, and how the issuer is, in virtual time.
#include <doctest/doctest.h>

#include "notp-server/sources/document.hpp"
#include "notp-server/sources/issuer_core.hpp"
#include "notp-server/sources/issuer_limits.hpp"

namespace notp::sources {
namespace {

using wire::IssuerState;

constexpr TimeMs kWallMs = 1'800'000'000'000;
constexpr TimeMs kMinuteMs = 60'000;

AcceptedKeySet set_of_kids(std::vector<std::string> kids) {
  std::string document;
  for (const std::string& kid : kids) document += kid + ";";
  return {.document = document, .kids = std::move(kids)};
}

// A core with its provider and its ledger, whose clock jumps to the next deadline.
struct Issuer {
  Now now{.wall_ms = kWallMs, .boot_ms = 5'000};
  SeededRandom random{7};
  IssuerCore core{random, now};

  // The provider's keys, or why there are none.
  std::vector<std::string> kids = {"a"};
  std::optional<Error> fetch_error, publish_error;
  std::optional<TimeMs> max_age_ms;
  std::string etag;
  TimeMs fetch_takes_ms = 0;

  std::vector<FetchOrder> fetches;
  std::vector<TimeMs> fetched_at;
  std::string head;  // what the ledger has
  uint64_t version = 0;

  void pass(TimeMs time_ms) {
    now.boot_ms += time_ms;
    now.wall_ms += time_ms;
  }
  void fetch(const FetchOrder& order) {
    fetches.push_back(order);
    fetched_at.push_back(now.boot_ms);
    pass(fetch_takes_ms);
    if (fetch_error) return core.fetched(std::unexpected(*fetch_error), now);
    FetchedKeys answer{.jwks_uri = "https://login.example/keys",
                       .keys = set_of_kids(kids),
                       .etag = etag,
                       .max_age_ms = max_age_ms};
    if (!etag.empty() && order.etag == etag) answer.keys.reset();
    core.fetched(std::move(answer), now);
  }
  void publish(const PublishOrder& order) {
    if (publish_error) return core.published(std::unexpected(*publish_error), now);
    const bool is_new = head != order.keys.document;
    head = order.keys.document;
    version += is_new ? 1 : 0;
    core.published(PublishedKeys{version, is_new}, now);
  }
  void settle() {
    while (const auto effect = core.on_deadline(now)) {
      if (const auto* order = std::get_if<FetchOrder>(&*effect))
        fetch(*order);
      else
        publish(std::get<PublishOrder>(*effect));
    }
  }
  // Runs all that is due within the time.
  void run(TimeMs time_ms) {
    const TimeMs until_ms = now.boot_ms + time_ms;
    settle();
    while (core.next_deadline() <= until_ms) {
      pass(std::max<TimeMs>(0, core.next_deadline() - now.boot_ms));
      settle();
    }
    pass(std::max<TimeMs>(0, until_ms - now.boot_ms));
  }
  IssuerState state() const { return core.state(now); }
};

Error broken() { return refuse("key-set.empty", "no key").error(); }
Error down() { return {ErrorCode::kUnavailable, "no connection", {}}; }

TEST_CASE("keys are fetched at once and published; equal ones make no release") {
  Issuer issuer;
  CHECK(issuer.state() == IssuerState::kLate);
  issuer.settle();
  CHECK(issuer.state() == IssuerState::kOk);
  CHECK(issuer.version == 1);
  CHECK(issuer.core.facts().kids == std::vector<std::string>{"a"});
  CHECK(issuer.core.facts().good_ms == issuer.now.wall_ms);
  issuer.run(24 * 60 * kMinuteMs);
  CHECK(issuer.version == 1);
  CHECK(issuer.core.facts().releases == 1);
  // 600 s each, 10 % more or less.
  CHECK(issuer.fetches.size() > 24 * 6 * 9 / 10);
  CHECK(issuer.fetches.size() < 24 * 6 * 12 / 10);
  issuer.kids = {"a", "b"};
  issuer.run(11 * kMinuteMs);
  CHECK(issuer.version == 2);
  issuer.kids = {"b"};
  issuer.run(11 * kMinuteMs);
  CHECK(issuer.version == 3);
  CHECK(issuer.core.facts().kids == std::vector<std::string>{"b"});
}

TEST_CASE("the provider's max-age counts within a minute and a day, with some chance") {
  for (const auto& [says_ms, from_ms] :
       {std::pair<std::optional<TimeMs>, TimeMs>{std::nullopt, 600'000},
        {0, 60'000},
        {120'000, 120'000},
        {TimeMs{365} * 86'400'000, 86'400'000}}) {
    Issuer issuer;
    issuer.max_age_ms = says_ms;
    issuer.settle();
    TimeMs least_ms = kNever, most_ms = 0;
    for (int i = 0; i < 200; ++i) {
      const TimeMs wait_ms = issuer.core.next_deadline() - issuer.now.boot_ms;
      least_ms = std::min(least_ms, wait_ms);
      most_ms = std::max(most_ms, wait_ms);
      issuer.pass(wait_ms);
      issuer.settle();
    }
    CHECK(least_ms >= from_ms * 9 / 10);
    CHECK(most_ms <= from_ms * 11 / 10);
    CHECK(most_ms - least_ms > from_ms / 10);
  }
}

TEST_CASE("an ETag is sent back, and a set that has not changed counts as a good fetch") {
  Issuer issuer;
  issuer.etag = "\"1\"";
  issuer.settle();
  CHECK(issuer.fetches[0].etag.empty());
  CHECK(issuer.fetches[0].jwks_uri.empty());
  issuer.run(11 * kMinuteMs);
  REQUIRE(issuer.fetches.size() == 2);
  CHECK(issuer.fetches[1].etag == "\"1\"");
  CHECK(issuer.fetches[1].jwks_uri == "https://login.example/keys");
  CHECK(issuer.core.facts().fetches.at(FetchOutcome::kUnchanged) == 1);
  CHECK(issuer.state() == IssuerState::kOk);
  // A head that lost them gets them again, although they are unchanged.
  issuer.head = "another";
  issuer.run(11 * kMinuteMs);
  CHECK(issuer.head == "a;");
  CHECK(issuer.version == 2);
}

TEST_CASE("no ETag is sent after a failure, nor after a 304 for a key that is not known") {
  Issuer issuer;
  issuer.etag = "\"1\"";
  issuer.settle();
  // A server may refuse what it has given itself.
  issuer.fetch_error = down();
  issuer.run(11 * kMinuteMs);
  issuer.fetch_error.reset();
  issuer.fetches.clear();
  issuer.run(15 * kMinuteMs);
  REQUIRE(issuer.fetches.size() >= 2);
  CHECK(issuer.fetches[0].etag.empty());
  CHECK(issuer.fetches[1].etag == issuer.etag);
  // Or it may not have noticed that its keys have changed.
  issuer.kids = {"a", "b"};
  issuer.core.unknown_key("b", issuer.now);
  issuer.settle();
  CHECK_FALSE(issuer.fetches.back().etag.empty());
  CHECK(issuer.head == "a;");
  issuer.core.unknown_key("b", issuer.now);
  issuer.run(limits::kUnknownKeyFloorMs);
  CHECK(issuer.fetches.back().etag.empty());
  CHECK(issuer.head == "a;b;");
}

TEST_CASE("discovery is repeated every hour and after a failure") {
  Issuer issuer;
  issuer.run(3 * 60 * kMinuteMs);
  const auto discoveries = std::ranges::count_if(
      issuer.fetches, [](const FetchOrder& order) { return order.jwks_uri.empty(); });
  CHECK(discoveries >= 3);
  CHECK(discoveries <= 4);
  issuer.fetch_error = down();
  issuer.run(11 * kMinuteMs);
  issuer.fetches.clear();
  issuer.fetch_error.reset();
  issuer.run(11 * kMinuteMs);
  CHECK(issuer.fetches.front().jwks_uri.empty());
}

TEST_CASE("a provider that moves its keys and leaves the old set behind is followed") {
  Issuer issuer;
  issuer.settle();
  const auto is_discovering = [&] { return issuer.fetches.back().jwks_uri.empty(); };
  // The known place may have the key, and one request is quicker than two.
  issuer.core.unknown_key("b", issuer.now);
  issuer.settle();
  CHECK_FALSE(is_discovering());
  issuer.core.unknown_key("b", issuer.now);
  issuer.run(limits::kUnknownKeyFloorMs);
  CHECK(issuer.fetches.size() == 3);
  CHECK(is_discovering());
  // What it does have is no reason to doubt the place.
  issuer.kids = {"a", "b"};
  issuer.core.unknown_key("b", issuer.now);
  issuer.run(limits::kUnknownKeyFloorMs);
  issuer.core.unknown_key("c", issuer.now);
  issuer.run(limits::kUnknownKeyFloorMs);
  CHECK(issuer.fetches.size() == 5);
  CHECK_FALSE(is_discovering());
  // Nor does a person who asks have to wait for an hour.
  issuer.kids = {"c"};
  issuer.pass(limits::kUnknownKeyFloorMs);
  issuer.core.unknown_key("c", issuer.now);
  issuer.settle();
  issuer.pass(limits::kRefreshFloorMs);
  CHECK(issuer.core.refresh(issuer.now));
  issuer.settle();
  CHECK(issuer.fetches.size() == 7);
  CHECK(is_discovering());
}

TEST_CASE("a million unknown kids are at most two fetches a minute") {
  for (const bool is_up : {true, false}) {
    CAPTURE(is_up);
    Issuer issuer;
    issuer.settle();
    if (!is_up) issuer.fetch_error = down();
    issuer.fetches.clear();
    issuer.fetched_at.clear();
    constexpr int kReports = 1'000'000;
    constexpr TimeMs kTimeMs = 100 * kMinuteMs;
    for (int i = 0; i < kReports; ++i) {
      issuer.core.unknown_key("invented-" + std::to_string(i), issuer.now);
      issuer.run(kTimeMs / kReports);
    }
    CHECK(issuer.core.facts().unknown_keys == kReports);
    CHECK(issuer.fetches.size() >= 195);
    CHECK(issuer.fetches.size() <= 201);
    // In any minute, not only on average.
    for (size_t i = 2; i < issuer.fetched_at.size(); ++i)
      CHECK(issuer.fetched_at[i] - issuer.fetched_at[i - 2] >= kMinuteMs);
    CHECK(issuer.version == 1);
  }
}

TEST_CASE(
    "an unknown kid is fetched at once, then at the end of the floor, and a known one never") {
  Issuer issuer;
  issuer.settle();
  issuer.core.unknown_key("a", issuer.now);
  issuer.run(5 * kMinuteMs);
  CHECK(issuer.fetches.size() == 1);

  issuer.kids = {"a", "b"};
  issuer.core.unknown_key("b", issuer.now);
  CHECK(issuer.core.next_deadline() == issuer.now.boot_ms);
  issuer.settle();
  CHECK(issuer.fetches.back().reason == FetchReason::kUnknownKey);
  CHECK(issuer.core.facts().kids == std::vector<std::string>{"a", "b"});
  CHECK(issuer.version == 2);

  const TimeMs begun_ms = issuer.now.boot_ms;
  issuer.pass(1'000);
  issuer.kids = {"b", "c"};
  issuer.core.unknown_key("c", issuer.now);
  issuer.core.unknown_key("d", issuer.now);
  CHECK(issuer.core.next_deadline() == begun_ms + limits::kUnknownKeyFloorMs);
  issuer.run(limits::kUnknownKeyFloorMs);
  CHECK(issuer.fetches.size() == 3);
  CHECK(issuer.core.facts().kids == std::vector<std::string>{"b", "c"});
}

TEST_CASE("one fetch at a time: a report during it is answered by it, or by the next") {
  Issuer issuer;
  issuer.settle();
  issuer.core.unknown_key("b", issuer.now);
  auto effect = issuer.core.on_deadline(issuer.now);
  REQUIRE(effect);
  for (int i = 0; i < 1'000; ++i) issuer.core.unknown_key("x" + std::to_string(i), issuer.now);
  issuer.core.unknown_key("b", issuer.now);
  CHECK_FALSE(issuer.core.on_deadline(issuer.now));
  CHECK(issuer.core.next_deadline() == kNever);
  const TimeMs begun_ms = issuer.now.boot_ms;
  issuer.kids = {"a", "b"};
  issuer.fetch(std::get<FetchOrder>(*effect));
  issuer.settle();
  CHECK(issuer.core.next_deadline() == begun_ms + limits::kUnknownKeyFloorMs);
  // The key that was asked for is there; nothing is asked again for it.
  Issuer quiet;
  quiet.settle();
  quiet.core.unknown_key("b", quiet.now);
  effect = quiet.core.on_deadline(quiet.now);
  quiet.core.unknown_key("b", quiet.now);
  quiet.kids = {"a", "b"};
  quiet.fetch(std::get<FetchOrder>(*effect));
  quiet.settle();
  CHECK(quiet.core.next_deadline() > quiet.now.boot_ms + limits::kUnknownKeyFloorMs);
}

TEST_CASE("the keys of the head are known after a restart") {
  Issuer issuer;
  issuer.core.held({"b", "a"}, 41);
  issuer.fetch_error = down();
  issuer.run(kMinuteMs / 4);
  CHECK(issuer.core.facts().version == 41);
  const size_t fetches = issuer.fetches.size();
  issuer.core.unknown_key("a", issuer.now);
  issuer.core.unknown_key("b", issuer.now);
  CHECK(issuer.core.next_deadline() > issuer.now.boot_ms);
  issuer.core.unknown_key("c", issuer.now);
  issuer.settle();
  CHECK(issuer.fetches.size() == fetches + 1);
}

TEST_CASE("an issuer is late, then failing, and good again; the keys stay") {
  Issuer issuer;
  issuer.settle();
  const TimeMs good_ms = issuer.core.facts().good_ms;
  issuer.fetch_error = down();
  issuer.run(11 * kMinuteMs);
  CHECK(issuer.state() == IssuerState::kLate);
  CHECK(issuer.core.facts().error->code == ErrorCode::kUnavailable);
  const TimeMs failing_ms = issuer.core.state_changes_ms(issuer.now);
  CHECK(failing_ms != kNever);
  issuer.run(failing_ms - issuer.now.boot_ms);
  CHECK(issuer.state() == IssuerState::kFailing);
  CHECK(issuer.core.state_changes_ms(issuer.now) == kNever);
  CHECK(issuer.core.facts().good_ms == good_ms);
  CHECK(issuer.head == "a;");
  // From 30 s, doubled, to 10 minutes.
  issuer.fetches.clear();
  issuer.run(24 * 60 * kMinuteMs);
  CHECK(issuer.fetches.size() > 24 * 6 * 9 / 10);
  CHECK(issuer.fetches.size() < 24 * 6 * 12 / 10);
  issuer.fetch_error.reset();
  issuer.run(11 * kMinuteMs);
  CHECK(issuer.state() == IssuerState::kOk);
  CHECK_FALSE(issuer.core.facts().error);
}

TEST_CASE("a provider that serves what is refused is suspect until a good fetch") {
  Issuer issuer;
  issuer.settle();
  issuer.fetch_error = broken();
  issuer.run(11 * kMinuteMs);
  CHECK(issuer.state() == IssuerState::kSuspect);
  CHECK(issuer.head == "a;");
  CHECK(issuer.version == 1);
  issuer.fetch_error = down();  // takes nothing back
  issuer.run(60 * kMinuteMs);
  CHECK(issuer.state() == IssuerState::kSuspect);
  issuer.fetch_error.reset();
  issuer.kids = {"b"};
  issuer.run(11 * kMinuteMs);
  CHECK(issuer.state() == IssuerState::kOk);
  CHECK(issuer.core.facts().fetches.at(FetchOutcome::kRefused) >= 1);
  CHECK(issuer.core.facts().fetches.at(FetchOutcome::kFailed) >= 1);
  CHECK(issuer.version == 2);
}

TEST_CASE("keys that cannot be published are tried again, and the state says so") {
  Issuer issuer;
  issuer.publish_error = Error{ErrorCode::kSignature, "root v3 gives 1/keys to other keys", {}};
  issuer.settle();
  CHECK(issuer.state() == IssuerState::kLate);
  CHECK(issuer.core.facts().error->code == ErrorCode::kSignature);
  CHECK(issuer.core.facts().good_ms != 0);
  issuer.run(16 * kMinuteMs);
  CHECK(issuer.state() == IssuerState::kFailing);
  CHECK(issuer.core.facts().error->code == ErrorCode::kSignature);
  issuer.publish_error.reset();
  issuer.run(11 * kMinuteMs);
  CHECK(issuer.state() == IssuerState::kOk);
  CHECK(issuer.version == 1);
}

TEST_CASE("keys that are published at the second attempt leave no error behind") {
  Issuer issuer;
  issuer.publish_error = Error{ErrorCode::kConflict, "the head has moved", {}};
  issuer.settle();
  issuer.publish_error.reset();
  issuer.run(kMinuteMs);
  CHECK(issuer.fetches.size() == 1);
  CHECK(issuer.state() == IssuerState::kOk);
  CHECK_FALSE(issuer.core.facts().error);
  // One of the fetch stays until the next good fetch.
  issuer.publish_error = Error{ErrorCode::kConflict, "the head has moved", {}};
  issuer.run(11 * kMinuteMs);
  issuer.fetch_error = down();
  issuer.run(11 * kMinuteMs);
  issuer.publish_error.reset();
  issuer.run(11 * kMinuteMs);
  CHECK(issuer.core.facts().error->code == ErrorCode::kUnavailable);
}

TEST_CASE("a new root is a reason to publish at once, once there is something to publish") {
  Issuer issuer;
  issuer.core.root_changed(issuer.now);  // nothing is known yet
  issuer.settle();
  CHECK(issuer.core.next_deadline() > issuer.now.boot_ms + kMinuteMs);
  // Its own head may want another signature now.
  issuer.core.root_changed(issuer.now);
  CHECK(issuer.core.next_deadline() == issuer.now.boot_ms);
  issuer.settle();
  CHECK(issuer.fetches.size() == 1);
  CHECK(issuer.core.next_deadline() > issuer.now.boot_ms + kMinuteMs);
  issuer.kids = {"b"};
  issuer.publish_error = Error{ErrorCode::kSignature, "root v3 gives 1/keys to other keys", {}};
  issuer.run(60 * kMinuteMs);
  issuer.publish_error.reset();
  CHECK(issuer.core.next_deadline() > issuer.now.boot_ms);
  issuer.core.root_changed(issuer.now);
  issuer.settle();
  CHECK(issuer.head == "b;");
  CHECK(issuer.state() == IssuerState::kOk);
}

TEST_CASE("an administrator's fetch comes at once, but not twice in a moment") {
  Issuer issuer;
  issuer.settle();
  CHECK(issuer.core.refresh(issuer.now).error().code == ErrorCode::kOverloaded);
  issuer.pass(limits::kRefreshFloorMs);
  issuer.kids = {"z"};
  CHECK(issuer.core.refresh(issuer.now));
  CHECK(issuer.core.next_fetch_ms(issuer.now) == issuer.now.boot_ms);
  issuer.settle();
  CHECK(issuer.fetches.back().reason == FetchReason::kRefresh);
  CHECK(issuer.head == "z;");
  CHECK_FALSE(issuer.core.refresh(issuer.now));
}

}  // namespace
}  // namespace notp::sources
