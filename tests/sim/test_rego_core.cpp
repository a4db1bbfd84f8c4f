// The engine's core under seeded chance and virtual time: workers that die, hang, swell and come
// back, snapshots that are replaced, and questions that must all be answered.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>

#include "common/limits.hpp"
#include "common/random.hpp"
#include "common/rego/host/engine_core.hpp"

namespace notp::rego {
namespace {

constexpr TimeMs kFrom = 1'000'000;
constexpr int kLedgers = 3;
constexpr CoreOptions kOptions{.in_flight_max = 4, .waiting_max = 200};

struct Faults {
  uint64_t outside_every = 0;  // one of so many events kills a worker; 0: none does
  bool bombs = false;          // some paths never end, or take all memory
  bool crashes = false;
  bool starts_fail = false;
  bool upgrades = false;
};

// What the world knows of a question.
struct Asked {
  std::string path;
  uint64_t floor = 0;  // active when it was asked
  TimeMs at_ms = 0;
  int64_t deadline_ms = 0;
  bool cancelled = false;
};

// What a simulated worker does.
struct Evaluation {
  std::string path;
  uint64_t ticket = 0;
  TimeMs ends_ms = kNever;
  bool is_told_to_stop = false;
};
struct Worker {
  uint64_t generation = 0;
  bool runs = false, greeted = false;
  TimeMs event_ms = kNever;  // hello, or its end after a kill
  bool is_killed = false;
  uint64_t snapshot = 0, coming = 0;
  TimeMs coming_ms = kNever;
  bool coming_is_bad = false;
  std::map<uint32_t, Evaluation> evaluations;
};

class World {
 public:
  World(uint64_t seed, Faults faults) : random_(seed), faults_(faults) {
    core_.begin(now_);
    run_effects();
  }

  void run(int events) {
    activate();
    for (int i = 0; i < events; ++i) step();
    settle_down();
  }

  std::vector<std::string> violations;
  std::map<std::string, int> outcomes;
  uint64_t trace = 0;
  uint64_t answered = 0, activated = 0, quarantines = 0, quarantine_ends = 0;
  EngineStatus status() const { return core_.status(); }

 private:
  void note(uint64_t what) { trace = (trace ^ what) * 0x100000001b3ULL + 0x9e3779b9; }
  void violated(std::string what) {
    violations.push_back(std::to_string(now_ - kFrom) + " ms: " + std::move(what));
  }

  void step() {
    const uint64_t dice = random_.below(100);
    if (dice < 55)
      ask();
    else if (dice < 58 && !open_.empty())
      cancel();
    else if (dice < 60)
      activate();
    else if (faults_.upgrades && dice == 60)
      core_.upgrade(now_);
    if (faults_.outside_every != 0 && random_.below(faults_.outside_every) == 0) kill_outside();
    run_effects();
    advance(now_ + static_cast<TimeMs>(random_.below(12)));
  }

  // Everything that is due until then, in order.
  void advance(TimeMs until_ms) {
    for (;;) {
      TimeMs next = std::min(core_.next_deadline(), until_ms);
      for (const Worker& worker : workers_) next = std::min(next, next_of(worker));
      next = std::max(next, now_);
      if (next == now_ && ++at_this_time_ > 10'000) {
        violated("the core asks to be woken again and again");
        return;
      }
      if (next > now_) at_this_time_ = 0;
      now_ = next;
      for (size_t slot = 0; slot < workers_.size(); ++slot) live(slot);
      if (core_.next_deadline() <= now_) core_.expire(now_);
      run_effects();
      check();
      if (now_ >= until_ms && core_.next_deadline() > now_) return;
    }
  }

  static TimeMs next_of(const Worker& worker) {
    TimeMs next = std::min(worker.event_ms, worker.coming_ms);
    for (const auto& [id, evaluation] : worker.evaluations)
      next = std::min(next, evaluation.ends_ms);
    return next;
  }

  // What a worker does by itself now.
  void live(size_t slot) {
    Worker& worker = workers_[slot];
    const WorkerRef ref{slot, worker.generation};
    if (worker.event_ms <= now_) {
      worker.event_ms = kNever;
      if (worker.is_killed) return end(slot, Death::kOutside);
      if (faults_.starts_fail && random_.below(4) == 0) {
        worker = {};
        core_.worker_failed(ref, {ErrorCode::kUnavailable, "another OPA", {}}, now_);
      } else {
        worker.greeted = true;
        core_.worker_started(ref, now_);
      }
      return run_effects();
    }
    if (worker.coming_ms <= now_) {
      worker.coming_ms = kNever;
      const uint64_t number = std::exchange(worker.coming, 0);
      if (worker.coming_is_bad) {
        core_.provision_failed(ref, number, {ErrorCode::kPdpRejected, "bad", {}}, now_);
      } else {
        worker.snapshot = number;
        core_.provisioned(ref, number, now_);
      }
      return run_effects();
    }
    for (auto& [id, evaluation] : worker.evaluations) {
      if (evaluation.ends_ms > now_) continue;
      const Evaluation ended = evaluation;
      worker.evaluations.erase(id);
      if (faults_.crashes && ended.path.find("crash") != std::string::npos)
        return end(slot, Death::kCrash);
      if (ended.path.find("gulp") != std::string::npos) return end(slot, Death::kMemory);
      answer(ref, id, ended, worker.snapshot);
      return run_effects();
    }
  }

  void answer(WorkerRef ref, uint32_t id, const Evaluation& ended, uint64_t snapshot) {
    CoreAnswer answer{id, snapshot, 1'000'000, {}, {}};
    if (ended.is_told_to_stop) answer.snapshot = 0, answer.failure = "cancelled";
    if (ended.path.find("slow") != std::string::npos) answer.evaluation_ns = 40'000'000;
    answering_ = ended.ticket;
    core_.answered(ref, answer, now_);
  }

  void end(size_t slot, Death death) {
    const WorkerRef ref{slot, workers_[slot].generation};
    workers_[slot] = {};
    core_.worker_died(ref, death, "it died", now_);
    run_effects();
  }

  void kill_outside() {
    const size_t slot = random_.below(2);
    if (workers_[slot].runs) end(slot, Death::kOutside);
  }

  void ask() {
    static const std::vector<std::string> kKinds{"quick", "quick", "quick", "slow", "quick"};
    const std::string ledger(1, static_cast<char>('a' + random_.below(kLedgers)));
    std::string leaf = kKinds[random_.below(kKinds.size())];
    // Bombs are of the first ledger alone.
    if (faults_.bombs && ledger == "a" && random_.below(6) == 0)
      leaf = random_.below(2) == 0 ? "loop" : "gulp";
    if (faults_.crashes && ledger == "a" && random_.below(20) == 0) leaf = "crash";
    CoreQuestion question{++last_ticket_,
                          {ledger, leaf},
                          std::string(1, static_cast<char>('p' + random_.below(4))),
                          0,
                          1};
    if (random_.below(30) == 0) question.path = {ledger};
    Asked asked{ledger + "/" + leaf, active_, now_, kOptions.deadline_ms, false};
    if (question.path.size() == 1) asked.path = ledger;
    open_[last_ticket_] = asked;
    note(last_ticket_);
    core_.submit(std::move(question), now_);
    run_effects();
  }

  void cancel() {
    auto at = open_.begin();
    std::advance(at, static_cast<long>(random_.below(open_.size())));
    at->second.cancelled = true;
    core_.cancel(at->first, now_);
  }

  void activate() {
    auto snapshot = std::make_shared<Snapshot>();
    made_.push_back(snapshot);
    CoreSnapshot core{snapshot, {}, {}};
    for (int i = 0; i < kLedgers; ++i) {
      const std::string name(1, static_cast<char>('a' + i));
      snapshot->ledgers.push_back({name, {name}, {}});
      core.contents[name] = sha256(name + std::to_string(random_.below(20)));
    }
    const uint64_t number = ++last_snapshot_;
    numbers_[snapshot.get()] = number;
    open_activations_.insert(number);
    core_.activate(number, std::move(core), now_);
    run_effects();
  }

  void run_effects() {
    for (auto effects = core_.take_effects(); !effects.empty(); effects = core_.take_effects())
      for (auto& each : effects) {
        note(each.index() + 1);
        std::visit([this](auto& effect) { on(effect); }, each);
      }
  }

  Worker* find(WorkerRef ref) {
    Worker& worker = workers_[ref.slot];
    return worker.runs && worker.generation == ref.generation ? &worker : nullptr;
  }

  void on(effect::Start& e) {
    if (workers_[e.worker.slot].runs) violated("a slot has two workers");
    Worker fresh;
    fresh.generation = e.worker.generation;
    fresh.runs = true;
    fresh.event_ms = now_ + 3 + static_cast<TimeMs>(random_.below(5));
    workers_[e.worker.slot] = fresh;
  }
  void on(effect::Kill& e) {
    Worker* worker = find(e.worker);
    if (worker == nullptr) return;
    worker->is_killed = true;
    worker->evaluations.clear();
    worker->coming_ms = kNever;
    worker->event_ms = now_ + 1;
  }
  void on(effect::SetNice& e) {
    // Lowering is not permitted.
    if (!e.low) core_.niced(e.worker, true, now_);
  }
  void on(effect::Provision& e) {
    Worker* worker = find(e.worker);
    if (worker == nullptr) return;
    if (worker->coming != 0) violated("two snapshots are on their way into one worker");
    worker->coming = e.snapshot;
    worker->coming_ms = now_ + 1 + static_cast<TimeMs>(random_.below(15));
    worker->coming_is_bad = e.snapshot != active_ && active_ != 0 && random_.below(5) == 0;
  }
  void on(effect::CancelProvision& e) {
    if (Worker* worker = find(e.worker); worker != nullptr && random_.below(2) == 0)
      worker->coming_is_bad = true;
  }
  void on(effect::Drop& e) {
    if (Worker* worker = find(e.worker)) worker->snapshot = 0;
  }
  void on(effect::Send& e) {
    Worker* worker = find(e.worker);
    if (worker == nullptr) return violated("a question is sent to no worker");
    const auto asked = open_.find(e.ticket);
    if (asked == open_.end()) return violated("an answered question is sent");
    if (worker->is_killed || !worker->greeted) violated("a question is sent to a dead worker");
    if (worker->snapshot == 0) violated("a question is sent to a worker without a snapshot");
    Evaluation evaluation{asked->second.path, e.ticket,
                          now_ + static_cast<TimeMs>(random_.below(3)), false};
    if (evaluation.path.ends_with("slow")) evaluation.ends_ms = now_ + 40;
    if (evaluation.path.ends_with("loop")) evaluation.ends_ms = kNever;
    worker->evaluations[e.wire_id] = evaluation;
    if (worker->evaluations.size() > kOptions.in_flight_max) violated("too many are in flight");
    std::map<char, size_t> of_ledger;
    for (const auto& [id, each] : worker->evaluations)
      if (++of_ledger[each.path[0]] > kOptions.in_flight_max / 2)
        violated("one ledger has more than half");
  }
  void on(effect::Cancel& e) {
    Worker* worker = find(e.worker);
    if (worker == nullptr) return;
    const auto found = worker->evaluations.find(e.wire_id);
    if (found == worker->evaluations.end() || found->second.path.ends_with("loop")) return;
    found->second.is_told_to_stop = true;
    found->second.ends_ms = now_ + 1;
  }
  void on(effect::Look& e) {
    Worker* worker = find(e.worker);
    if (worker == nullptr) return;
    bool over = false;
    for (const auto& [id, each] : worker->evaluations) over |= each.path.ends_with("gulp");
    core_.memory(e.worker, over ? 2'000 : 500, 1'000, now_);
  }
  void on(effect::Deliver& e) {
    const auto asked = open_.find(e.ticket);
    if (asked == open_.end()) return violated("a question is answered twice");
    if (e.ticket != answering_) violated("an answer goes to another question");
    const uint64_t number = numbers_.at(e.snapshot.get());
    if (number < asked->second.floor) violated("an older snapshot decided than was active");
    if (!was_active_.contains(number)) violated("a snapshot decided that was never active");
    conclude(asked, "decided");
    ++answered;
  }
  void on(effect::Refuse& e) {
    const auto asked = open_.find(e.ticket);
    if (asked == open_.end()) return violated("a question is refused twice");
    const std::string code(error_traits(e.error.code).name);
    const bool is_bomb = asked->second.path.ends_with("loop") ||
                         asked->second.path.ends_with("gulp") ||
                         asked->second.path.ends_with("crash");
    const bool is_excused = code == "cancelled" ? asked->second.cancelled
                            : code == "unavailable"
                                ? active_ == 0 || faults_.starts_fail
                                : code == "overloaded" || code == "timeout" || is_bomb;
    if (!is_excused) violated(asked->second.path + " is refused: " + code + ": " + e.error.message);
    if (code == "timeout" && !asked->second.path.ends_with("loop"))
      violated(asked->second.path + " is timed out");
    conclude(asked, code);
  }
  void conclude(std::map<uint64_t, Asked>::iterator asked, const std::string& outcome) {
    const Asked& a = asked->second;
    // Waiting for its turn, evaluation, grace; and what takeovers add.
    const TimeMs latest = a.at_ms + 3 * a.deadline_ms + 2 * kOptions.grace_ms + limits::kTakeoverMs;
    if (now_ > latest) violated(a.path + " is answered too late");
    ++outcomes[outcome];
    if (a.path[0] != 'a') ++outcomes["others " + outcome];
    note(asked->first * 31 + outcome.size());
    open_.erase(asked);
  }
  void on(effect::Activated& e) {
    if (open_activations_.erase(e.snapshot) == 0) violated("an activation ends twice");
    if (!e.result) return;
    if (e.snapshot < active_) violated("an older snapshot is activated");
    active_ = e.snapshot;
    was_active_.insert(active_);
    ++activated;
  }
  void on(effect::Upgraded&) {}
  void on(effect::Notice& e) { ++(e.notice.for_ms > 0 ? quarantines : quarantine_ends); }

  void check() {
    for (const auto& [ticket, asked] : open_)
      if (now_ > asked.at_ms + 3 * asked.deadline_ms + 2 * kOptions.grace_ms + limits::kTakeoverMs)
        return violated(asked.path + " is never answered");
  }

  // No more faults: everything ends, and is at rest.
  void settle_down() {
    faults_ = {};
    advance(now_ + 200'000);
    if (!open_.empty()) violated(std::to_string(open_.size()) + " questions are never answered");
    if (!open_activations_.empty()) violated("an activation never ends");
    if (!core_.status().serving) violated("no worker decides though nothing is wrong any more");
    // After the standby has dropped its snapshot nothing wakes the engine.
    if (core_.next_deadline() != kNever) violated("an idle engine is woken");
    const uint64_t before = answered;
    open_[++last_ticket_] = {"b/quick", active_, now_, kOptions.deadline_ms, false};
    core_.submit({last_ticket_, {"b", "quick"}, {}, 0, 1}, now_);
    run_effects();
    advance(now_ + 1'000);
    if (answered != before + 1) violated("a question is not answered at the end");
  }

  SeededRandom random_;
  Faults faults_;
  EngineCore core_{kOptions};
  TimeMs now_ = kFrom;
  int at_this_time_ = 0;
  std::array<Worker, 2> workers_;
  std::map<uint64_t, Asked> open_;
  std::vector<SnapshotPtr> made_;
  std::map<const Snapshot*, uint64_t> numbers_;
  std::set<uint64_t> open_activations_, was_active_;
  uint64_t last_ticket_ = 0, last_snapshot_ = 0, active_ = 0, answering_ = 0;
};

// More seeds in a long run.
uint64_t seeds() {
  const char* text = std::getenv("NOTP_SIM_SEEDS");
  return text != nullptr ? std::strtoull(text, nullptr, 10) : 150;
}

template <typename Check>
void for_seeds(Faults faults, Check check) {
  for (uint64_t seed = 1; seed <= seeds(); ++seed) {
    World world(seed, faults);
    world.run(1'500);
    const std::string first = world.violations.empty() ? "" : world.violations.front();
    REQUIRE_MESSAGE(world.violations.empty(), "seed ", seed, ": ", first);
    check(world);
  }
}

TEST_CASE("without faults every question is decided") {
  for_seeds({}, [](World& world) {
    CHECK(world.answered > 500);
    CHECK(world.outcomes["timeout"] == 0);
    CHECK(world.outcomes["quarantined"] == 0);
    CHECK(world.status().kills == 0);
  });
}

TEST_CASE("workers killed from outside at any rate lose no decision and make no suspects") {
  for (const uint64_t every : {200, 20, 3}) {
    uint64_t takeovers = 0, repeats = 0;
    for_seeds({.outside_every = every}, [&](World& world) {
      CHECK(world.outcomes["unavailable"] <= 100);  // before the first snapshot was active
      CHECK(world.status().suspects == 0);
      CHECK(world.quarantines == 0);
      takeovers += world.status().takeovers;
      repeats += world.status().repeats;
    });
    CHECK(takeovers > seeds());
    CHECK(repeats > seeds());
  }
}

TEST_CASE("paths that never end or take all memory are quarantined, and no other ledger notices") {
  uint64_t quarantines = 0, ends = 0;
  for_seeds({.bombs = true}, [&](World& world) {
    CHECK(world.outcomes["others timeout"] == 0);
    CHECK(world.outcomes["others overloaded"] == 0);
    CHECK(world.outcomes["others limit"] == 0);
    CHECK(world.outcomes["others quarantined"] == 0);
    CHECK(world.outcomes["quarantined"] > 0);
    quarantines += world.quarantines;
    ends += world.quarantine_ends;
  });
  CHECK(quarantines > seeds());
  CHECK(ends > 0);
}

TEST_CASE("bombs, crashes, deaths from outside, failed starts and upgrades together") {
  for_seeds(
      {.outside_every = 50, .bombs = true, .crashes = true, .starts_fail = true, .upgrades = true},
      [](World& world) { CHECK(world.activated > 0); });
}

TEST_CASE("an upgrade under load fails no decision") {
  for_seeds({.upgrades = true}, [](World& world) {
    CHECK(world.outcomes["timeout"] == 0);
    CHECK(world.outcomes["internal"] == 0);
    CHECK(world.status().deaths == 0);
  });
}

TEST_CASE("the same seed gives the same trace, another seed another one") {
  const Faults all{
      .outside_every = 50, .bombs = true, .crashes = true, .starts_fail = true, .upgrades = true};
  for (const uint64_t seed : {7, 8, 9}) {
    World once(seed, all), again(seed, all), other(seed + 100, all);
    for (World* world : {&once, &again, &other}) world->run(500);
    CHECK(once.trace == again.trace);
    CHECK(once.trace != other.trace);
  }
}

}  // namespace
}  // namespace notp::rego
