#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "protocol/serve/fair_queue.hpp"

namespace notp {
namespace {

// A queue under virtual time, with the outcome of each job.
struct Office {
  explicit Office(serve::FairLimits limits) : queue("errands", limits) {}

  void ask(const std::string& key, const std::string& name) {
    auto refused = queue.add(
        key, [this, name](Result<void> turn) { ended.emplace(name, std::move(turn)); }, now_ms);
    if (refused) refused->job(std::unexpected(std::move(refused->error)));
  }
  void ask(const std::string& key, size_t count) {
    for (size_t i = 0; i < count; ++i) ask(key, fmt::format("{}{}", key, i));
  }
  // The owner of the job that starts; empty: none.
  std::string start() {
    auto next = queue.take();
    if (!next) return "";
    next->job({});
    return next->key;
  }
  // Runs jobs one after the other; each takes its key's time.
  std::string run(size_t count, const std::map<std::string, int64_t>& took_ms) {
    std::string order;
    for (size_t i = 0; i < count; ++i) {
      const std::string key = start();
      if (key.empty()) break;
      now_ms += took_ms.at(key);
      queue.done(key, took_ms.at(key), now_ms);
      order += key;
    }
    return order;
  }
  std::optional<ErrorCode> refusal(const std::string& name) const {
    const auto found = ended.find(name);
    if (found == ended.end() || found->second) return std::nullopt;
    return found->second.error().code;
  }

  serve::FairQueue queue;
  TimeMs now_ms = 1'000'000;
  std::map<std::string, Result<void>> ended;
};

serve::FairLimits roomy() {
  return {.running_max = 1,
          .running_per_key_max = 1,
          .waiting_max = 1'000,
          .waiting_per_key_max = 1'000};
}

TEST_CASE("who asks for much waits for itself, not for others") {
  Office office(roomy());
  office.ask("m", 500);
  CHECK(office.run(3, {{"m", 100}}) == "mmm");
  office.ask("a", 2);
  office.ask("b", 1);
  // By then m has used 100 ms more than the others' starting point.
  CHECK(office.run(6, {{"m", 100}, {"a", 100}, {"b", 100}}) == "abammm");
}

TEST_CASE("who asks for what takes long comes less often") {
  Office office(roomy());
  office.ask("m", 100);
  office.ask("a", 100);
  const std::string order = office.run(44, {{"m", 1'000}, {"a", 100}});
  CHECK(std::ranges::count(order, 'm') == 4);
  CHECK(std::ranges::count(order, 'a') == 40);
}

TEST_CASE("who was away saves nothing up") {
  Office office(roomy());
  office.ask("a", 1);
  CHECK(office.run(1, {{"a", 1}}) == "a");
  office.ask("m", 200);
  CHECK(office.run(100, {{"m", 1'000}}).size() == 100);
  office.ask("a", 100);
  const std::string order = office.run(20, {{"m", 1'000}, {"a", 1'000}});
  CHECK(std::ranges::count(order, 'm') >= 9);
  CHECK(std::ranges::count(order, 'a') >= 9);
}

TEST_CASE("one key never has more than its places, and the others get what is left") {
  Office office(
      {.running_max = 4, .running_per_key_max = 2, .waiting_max = 100, .waiting_per_key_max = 100});
  office.ask("m", 10);
  CHECK(office.start() == "m");
  CHECK(office.start() == "m");
  CHECK(office.start().empty());
  office.ask("a", 1);
  office.ask("b", 2);
  CHECK(office.start() == "a");
  CHECK(office.start() == "b");
  CHECK(office.start().empty());
  office.queue.done("m", 5, office.now_ms);
  CHECK(office.start() == "b");
  CHECK(office.queue.running() == 4);
  CHECK(office.queue.waiting() == 8);
}

TEST_CASE("a key that has no room is refused, and nobody else") {
  Office office(
      {.running_max = 1, .running_per_key_max = 1, .waiting_max = 100, .waiting_per_key_max = 3});
  office.ask("m", 5);
  CHECK_FALSE(office.refusal("m2").has_value());
  CHECK(office.refusal("m3") == ErrorCode::kOverloaded);
  CHECK(office.refusal("m4") == ErrorCode::kOverloaded);
  CHECK(office.ended.at("m3").error().message.contains("3 errands of m"));
  office.ask("a", 1);
  CHECK_FALSE(office.refusal("a0").has_value());
}

TEST_CASE("when all room is taken, the longest queue gives way") {
  Office office(
      {.running_max = 1, .running_per_key_max = 1, .waiting_max = 10, .waiting_per_key_max = 10});
  office.ask("m", 10);
  office.ask("a", 5);
  for (const std::string last : {"m9", "m8", "m7", "m6", "m5"})
    CHECK(office.refusal(last) == ErrorCode::kOverloaded);
  CHECK(office.queue.waiting() == 10);
  // As long as the longest queue: the new job itself is rejected.
  office.ask("a", "a5");
  CHECK(office.refusal("a5") == ErrorCode::kOverloaded);
  office.ask("b", 1);
  CHECK_FALSE(office.refusal("b0").has_value());
  CHECK(office.queue.waiting() == 10);
  CHECK(office.run(100, {{"m", 1}, {"a", 1}, {"b", 1}}).size() == 10);
}

TEST_CASE("a key that has used its time is refused until some of it came back") {
  serve::FairLimits limits = roomy();
  limits.budget_ms = 60'000;
  limits.refill_factor = 5;
  Office office(limits);
  for (int i = 0; i < 2; ++i) {
    office.ask("m", fmt::format("m{}", i));
    CHECK(office.run(1, {{"m", 40'000}}) == "m");
  }
  // 40 s, of which 8 s were regained while the other 40 s were used: 72 s.
  office.ask("m", "m2");
  REQUIRE(office.refusal("m2") == ErrorCode::kOverloaded);
  CHECK(office.ended.at("m2").error().message ==
        "m has used its 60 s of errands; try again in 61 s, or make them quicker");
  office.ask("a", 1);
  CHECK(office.run(1, {{"a", 1}}) == "a");
  office.now_ms += 61'000;
  office.ask("m", "m3");
  CHECK_FALSE(office.refusal("m3").has_value());
}

TEST_CASE("what is remembered of keys is bounded") {
  serve::FairLimits limits = roomy();
  limits.budget_ms = 60'000;
  limits.keys_max = 8;
  Office office(limits);
  for (int i = 0; i < 100; ++i) {
    const std::string key = fmt::format("k{}", i);
    office.ask(key, 1);
    CHECK(office.run(1, {{key, 1'000 + i}}) == key);
    CHECK(office.queue.keys() <= 8);
  }
  serve::FairLimits few = roomy();
  few.keys_max = 8;
  Office idle(few);
  for (int i = 0; i < 100; ++i) {
    const std::string key = fmt::format("k{}", i);
    idle.ask(key, 1);
    CHECK(idle.run(1, {{key, 10}}) == key);
  }
  CHECK(idle.queue.keys() <= 8);
}

TEST_CASE("what waits when the queue is closed comes back") {
  Office office(roomy());
  office.ask("m", 3);
  CHECK(office.start() == "m");
  CHECK(office.queue.clear().size() == 2);
  CHECK(office.queue.waiting() == 0);
  CHECK(office.start().empty());
  office.queue.done("m", 1, office.now_ms);
  CHECK(office.queue.running() == 0);
}

}  // namespace
}  // namespace notp
