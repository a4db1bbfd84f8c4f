// The engine's core under virtual time with workers that never fail: the cost of a flooding caller
// for the others.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <map>

#include "common/limits.hpp"
#include "common/rego/host/engine_core.hpp"

namespace notp::rego {
namespace {

constexpr TimeMs kFrom = 1'000'000, kLasts = 5'000;

struct Caller {
  std::string name, ledger, leaf;
  TimeMs takes_ms = 1;  // one evaluation
  size_t at_once = 1;   // questions kept open all the time
  TimeMs pause_ms = 0;  // after each answer
  std::vector<TimeMs> latencies = {};
  size_t refused = 0;
};

class World {
 public:
  explicit World(std::vector<Caller> callers, CoreOptions options = {})
      : options_(options), core_(options), callers_(std::move(callers)) {
    core_.begin(now_);
    run_effects();
    auto snapshot = std::make_shared<Snapshot>();
    CoreSnapshot core{snapshot, {}, {}};
    for (const std::string name : {"a", "b"}) {
      snapshot->ledgers.push_back({name, {name}, {}});
      core.contents[name] = sha256(name);
    }
    core_.activate(1, std::move(core), now_);
    run_effects();
  }

  // Every caller keeps its questions open until the end.
  void run() {
    for (size_t i = 0; i < callers_.size(); ++i)
      for (size_t n = 0; n < callers_[i].at_once; ++n) wakes_.emplace(now_, i);
    for (const TimeMs end = now_ + kLasts; now_ < end;) {
      for (auto due = wakes_.begin(); due != wakes_.end() && due->first <= now_;
           due = wakes_.begin()) {
        const size_t caller = due->second;
        wakes_.erase(due);
        ask(caller);
      }
      ++now_;
      finish();
      if (core_.next_deadline() <= now_) core_.expire(now_);
      run_effects();
    }
  }

  const Caller& caller(size_t index) const { return callers_[index]; }
  TimeMs slowest(size_t index) const { return std::ranges::max(callers_[index].latencies); }
  // Questions sent to a worker; workers do not die, so one with no questions counts 0.
  size_t sent(size_t index, size_t worker) const {
    const auto found = sent_.find({index, worker});
    return found == sent_.end() ? 0 : found->second;
  }
  // Whether the slow lane was last set to leave a processor to the others.
  bool slow_lane_leaves_processor() const { return leaves_[1]; }
  size_t most(size_t index) const { return most_.contains(index) ? most_.at(index) : 0; }

 private:
  struct Open {
    size_t caller = 0;
    TimeMs at_ms = 0;
  };
  struct Flight {
    WorkerRef worker;
    uint64_t ticket = 0;
    TimeMs ends_ms = 0;
  };

  void ask(size_t index) {
    const Caller& caller = callers_[index];
    open_[++last_ticket_] = {index, now_};
    core_.submit({last_ticket_, {caller.ledger, caller.leaf}, caller.name, 0, 1}, now_);
    run_effects();
  }

  void finish() {
    for (auto at = flights_.begin(); at != flights_.end();) {
      if (at->second.ends_ms > now_) {
        ++at;
        continue;
      }
      const auto [wire_id, flight] = *at;
      at = flights_.erase(at);
      const TimeMs takes_ms = callers_[open_.at(flight.ticket).caller].takes_ms;
      core_.answered(flight.worker,
                     {wire_id, 1, static_cast<uint64_t>(takes_ms) * 1'000'000, {}, {}, {}}, now_);
      run_effects();
    }
  }

  void run_effects() {
    for (auto effects = core_.take_effects(); !effects.empty(); effects = core_.take_effects())
      for (auto& each : effects) std::visit([this](auto& effect) { on(effect); }, each);
  }

  void on(effect::Start& e) { core_.worker_started(e.worker, now_); }
  void on(effect::SetNice& e) { core_.niced(e.worker, e.low, now_); }
  void on(effect::LeaveProcessor& e) { leaves_[e.worker.slot] = e.leaves; }
  void on(effect::Provision& e) { core_.provisioned(e.worker, e.snapshot, now_); }
  void on(effect::Send& e) {
    const size_t index = open_.at(e.ticket).caller;
    flights_[e.wire_id] = {e.worker, e.ticket, now_ + callers_[index].takes_ms};
    ++sent_[{index, e.worker.slot}];
    std::map<size_t, size_t> of;
    for (const auto& [id, flight] : flights_) ++of[open_.at(flight.ticket).caller];
    for (const auto& [caller, count] : of) most_[caller] = std::max(most_[caller], count);
  }
  void on(effect::Deliver& e) {
    Caller& caller = callers_[open_.at(e.ticket).caller];
    caller.latencies.push_back(now_ - open_.at(e.ticket).at_ms);
    ended(e.ticket, caller.pause_ms);
  }
  void on(effect::Refuse& e) {
    CHECK(e.error.code == ErrorCode::kOverloaded);
    ++callers_[open_.at(e.ticket).caller].refused;
    ended(e.ticket, 100);
  }
  template <typename Other>
  void on(Other&) {}

  void ended(uint64_t ticket, TimeMs pause_ms) {
    wakes_.emplace(now_ + pause_ms, open_.at(ticket).caller);
    open_.erase(ticket);
  }

  const CoreOptions options_;
  EngineCore core_;
  std::vector<Caller> callers_;
  TimeMs now_ = kFrom;
  std::multimap<TimeMs, size_t> wakes_;
  std::map<uint64_t, Open> open_;
  std::map<uint32_t, Flight> flights_;
  std::map<size_t, size_t> most_;
  std::map<std::pair<size_t, size_t>, size_t> sent_;  // by caller and worker
  std::array<bool, 2> leaves_{};                      // by worker
  uint64_t last_ticket_ = 0;
};

// A caller's first answers may be late: no capacity is reserved for it yet.
TimeMs settled_slowest(const World& world, size_t index) {
  const auto& all = world.caller(index).latencies;
  REQUIRE(all.size() > 10);
  return *std::max_element(all.begin() + 2, all.end());
}

}  // namespace

TEST_CASE("a caller who floods makes no answer of another more than twice as slow") {
  for (const TimeMs victim_ms : {1, 3, 10})
    for (const TimeMs flood_ms : {1, 3, 10, 18})
      for (const std::string ledger : {"a", "b"})
        for (const size_t at_once : {10, 100, 1'000}) {
          const Caller victim{"victim", "a", "small", victim_ms, 1, 20};
          World alone({victim});
          alone.run();
          World beside({victim, {"flood", ledger, "much", flood_ms, at_once, 0}});
          beside.run();
          CAPTURE(victim_ms);
          CAPTURE(flood_ms);
          CAPTURE(ledger);
          CAPTURE(at_once);
          CHECK(settled_slowest(beside, 0) <= 2 * settled_slowest(alone, 0));
          CHECK(beside.caller(0).refused == 0);
          CHECK(beside.caller(1).latencies.size() > 100);
        }
}

TEST_CASE("what is heavy leaves the serving worker to others, while there are others") {
  const Caller heavy{"heavy", "a", "much", 8, 4, 0};
  World alone({heavy});
  alone.run();
  CHECK(alone.sent(0, 0) > 1'000);
  CHECK(alone.sent(0, 1) == 0);
  World beside({heavy, {"victim", "a", "small", 1, 1, 20}});
  beside.run();
  CHECK(beside.sent(0, 1) > 10 * beside.sent(0, 0));
  CHECK(beside.sent(1, 0) > 100);
  CHECK(beside.sent(1, 1) == 0);
  World light({{"light", "a", "much", 3, 4, 0}, {"victim", "a", "small", 1, 1, 20}});
  light.run();
  CHECK(light.sent(0, 1) == 0);
}

TEST_CASE("the slow lane leaves a processor to others, while there are others") {
  const Caller slow{"slow", "a", "much", 40, 4, 0};
  World alone({slow});
  alone.run();
  CHECK(alone.sent(0, 1) > 100);
  CHECK_FALSE(alone.slow_lane_leaves_processor());
  World beside({slow, {"victim", "a", "small", 1, 1, 500}});
  beside.run();
  CHECK(beside.slow_lane_leaves_processor());
  World seldom({slow, {"victim", "a", "small", 1, 1, 1'700}});
  seldom.run();
  CHECK_FALSE(seldom.slow_lane_leaves_processor());
}

TEST_CASE("callers who all flood get the same") {
  std::vector<Caller> callers;
  for (size_t i = 0; i < 8; ++i)
    callers.push_back({std::string(1, static_cast<char>('p' + i)), "a", "same", 2, 5 + 20 * i, 0});
  World world(callers);
  world.run();
  const auto answers = [&](size_t index) { return world.caller(index).latencies.size(); };
  for (size_t i = 1; i < callers.size(); ++i) {
    CHECK(answers(i) > 500);
    CHECK(answers(i) * 10 <= answers(0) * 11);
    CHECK(answers(0) * 10 <= answers(i) * 11);
  }
}

TEST_CASE("half of what a caller may have in flight is left free while others ask, and only then") {
  const Caller flood{"flood", "a", "much", 5, 50, 0};
  World alone({flood});
  alone.run();
  CHECK(alone.most(0) == 3);  // for one ledger
  World beside({{"victim", "a", "small", 1, 1, 20}, flood});
  beside.run();
  CHECK(beside.caller(1).latencies.size() * 3 >= alone.caller(0).latencies.size() * 2 - 10);
}

TEST_CASE("a caller is refused beyond its limit, and it alone") {
  const CoreOptions options{.caller_waiting_max = 20};
  World world({{"victim", "a", "small", 1, 10, 5}, {"flood", "a", "much", 5, 200, 0}}, options);
  world.run();
  CHECK(world.caller(0).refused == 0);
  CHECK(world.caller(1).refused > 100);
  CHECK(world.caller(1).latencies.size() > 100);
}

}  // namespace notp::rego
