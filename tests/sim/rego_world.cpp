#include "tests/sim/rego_world.hpp"

#include <algorithm>

#include "common/limits.hpp"

namespace notp::rego {
namespace {

constexpr TimeMs kFrom = 1'000'000;
constexpr int kLedgers = 3;
constexpr CoreOptions kOptions{.in_flight_max = 4, .waiting_max = 400};
constexpr uint64_t kBudget = 1'000;

bool is_bomb(const std::string& path) {
  return path.ends_with("loop") || path.ends_with("gulp") || path.ends_with("crash");
}

// Waiting, evaluation and grace; plus the delay of takeovers.
TimeMs latest_answer(TimeMs asked_ms, int64_t deadline_ms) {
  return asked_ms + 3 * deadline_ms + 2 * kOptions.grace_ms + limits::kTakeoverMs;
}

}  // namespace

const std::vector<WorldMix>& world_mixes() {
  static const std::vector<WorldMix> kMixes{
      {"no faults", {}},
      {"killed from outside, seldom", {.outside_every = 200}},
      {"killed from outside, often", {.outside_every = 20}},
      {"killed from outside, all the time", {.outside_every = 3}},
      {"killed from outside, and slow to start", {.outside_every = 100, .slow_starts = true}},
      {"bombs", {.bombs = true}},
      {"starved at times", {.starving = true}},
      {"bombs, and starved at times", {.bombs = true, .starving = true}},
      {"upgrades", {.upgrades = true}},
      {"activations that end workers", {.swelling = true}},
      {"everything",
       {.outside_every = 50,
        .bombs = true,
        .crashes = true,
        .starts_fail = true,
        .upgrades = true,
        .swelling = true}},
  };
  return kMixes;
}

RegoWorld::RegoWorld(uint64_t seed, WorldFaults faults)
    : random_(seed), given_(faults), faults_(faults), core_(kOptions), now_(kFrom) {
  core_.begin(now_);
  run_effects();
}

void RegoWorld::run(int events) {
  activate();
  for (int i = 0; i < events; ++i) step();
  settle_down();
}

void RegoWorld::violated(std::string what) {
  violations.push_back(std::to_string(now_ - kFrom) + " ms: " + std::move(what));
}

void RegoWorld::step() {
  const uint64_t dice = random_.below(100);
  if (dice < 55)
    ask();
  else if (dice < 58 && !open_.empty())
    cancel();
  else if (dice < 60)
    activate();
  else if (faults_.upgrades && dice == 60)
    upgrade();
  run_effects();
  if (faults_.starving && random_.below(150) == 0) starve();
  if (faults_.outside_every != 0 && random_.below(faults_.outside_every) == 0) kill_outside();
  run_effects();
  advance(now_ + static_cast<TimeMs>(random_.below(12)));
}

// Runs all events due until then, in order.
void RegoWorld::advance(TimeMs until_ms) {
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

TimeMs RegoWorld::next_of(const Worker& worker) {
  TimeMs next = std::min(worker.event_ms, worker.coming_ms);
  for (const auto& [id, evaluation] : worker.evaluations) next = std::min(next, evaluation.ends_ms);
  return next;
}

// Runs the worker's own events that are due.
void RegoWorld::live(size_t slot) {
  Worker& worker = workers_[slot];
  if (worker.event_ms <= now_) return greet(slot);
  if (worker.coming_ms <= now_) return bring(slot);
  for (auto& [id, evaluation] : worker.evaluations) {
    if (evaluation.ends_ms > now_) continue;
    const uint32_t wire_id = id;
    const Evaluation ended = evaluation;
    worker.evaluations.erase(id);
    if (!bombs_are_harmless_ && ended.path.ends_with("crash")) return end(slot, Death::kCrash);
    if (!bombs_are_harmless_ && ended.path.ends_with("gulp")) return end(slot, Death::kMemory);
    answer({slot, worker.generation}, wire_id, ended, worker.snapshot);
    return run_effects();
  }
}

// Says hello, or ends after a kill.
void RegoWorld::greet(size_t slot) {
  Worker& worker = workers_[slot];
  const WorkerRef ref{slot, worker.generation};
  worker.event_ms = kNever;
  if (worker.is_killed) return end(slot, Death::kOutside);
  if (faults_.starts_fail && random_.below(4) == 0) {
    worker = {};
    core_.worker_failed(ref, {ErrorCode::kUnavailable, "another OPA", {}}, now_);
  } else {
    worker.greeted = true;
    core_.worker_started(ref, now_);
  }
  run_effects();
}

// Puts its snapshot in place, and delivers the outcome, which decisions may overtake.
void RegoWorld::bring(size_t slot) {
  Worker& worker = workers_[slot];
  const WorkerRef ref{slot, worker.generation};
  if (worker.how == Worker::Coming::kSwells) return end(slot, Death::kMemory);
  if (worker.how == Worker::Coming::kCrashes) return end(slot, Death::kCrash);
  if (worker.how == Worker::Coming::kGood && !worker.is_in_place) {
    worker.is_in_place = true;
    worker.snapshot = worker.coming;
    if (!worker.is_accepted) compiled_.emplace(worker.program, worker.snapshot);
    if (random_.below(3) == 0) worker.coming_ms = done_after(static_cast<TimeMs>(random_.below(8)));
    if (worker.coming_ms > now_) return;
  }
  worker.coming_ms = kNever;
  const uint64_t number = std::exchange(worker.coming, 0);
  if (std::exchange(worker.is_in_place, false)) {
    core_.provisioned(ref, number, now_);
  } else {
    was_bad_.insert(number);
    core_.provision_failed(ref, number, {ErrorCode::kPdpRejected, "bad", {}}, now_);
  }
  run_effects();
}

void RegoWorld::answer(WorkerRef ref, uint32_t id, const Evaluation& ended, uint64_t snapshot) {
  CoreAnswer answer{id, snapshot, 1'000'000, {}, {}};
  if (ended.is_told_to_stop) answer.snapshot = 0, answer.failure = "cancelled";
  if (ended.path.ends_with("slow")) answer.evaluation_ns = 40'000'000;
  answering_ = ended.ticket;
  core_.answered(ref, answer, now_);
}

void RegoWorld::end(size_t slot, Death death) {
  const WorkerRef ref{slot, workers_[slot].generation};
  workers_[slot] = {};
  core_.worker_died(ref, death, "it died", now_);
  run_effects();
}

void RegoWorld::kill_outside() {
  const size_t slot = random_.below(2);
  if (workers_[slot].runs) end(slot, Death::kOutside);
}

// Stops all work of the workers for a while.
void RegoWorld::starve() {
  if (now_ < starved_until_ms_) return;
  const auto for_ms = static_cast<TimeMs>(random_.below(4'000));
  starved_until_ms_ = now_ + for_ms;
  starved_ms_ += for_ms;
  for (Worker& worker : workers_) {
    for (TimeMs* at : {&worker.event_ms, &worker.coming_ms})
      if (*at != kNever) *at += for_ms;
    for (auto& [id, evaluation] : worker.evaluations)
      if (evaluation.ends_ms != kNever) evaluation.ends_ms += for_ms;
  }
}

// The time at which work of this length is done.
TimeMs RegoWorld::done_after(TimeMs for_ms) const {
  return std::max(now_, starved_until_ms_) + for_ms;
}

void RegoWorld::ask() {
  static const std::vector<std::string> kKinds{"quick", "quick", "quick", "slow", "quick"};
  const std::string ledger(1, static_cast<char>('a' + random_.below(kLedgers)));
  std::string leaf = kKinds[random_.below(kKinds.size())];
  // Only the first ledger has bombs.
  if (faults_.bombs && ledger == "a" && random_.below(6) == 0)
    leaf = random_.below(2) == 0 ? "loop" : "gulp";
  if (faults_.crashes && ledger == "a" && random_.below(20) == 0) leaf = "crash";
  CoreQuestion question{
      0, {ledger, leaf}, std::string(1, static_cast<char>('p' + random_.below(4))), 0, 1};
  if (random_.below(30) == 0) question.path = {ledger};
  Asked asked{ledger + "/" + leaf, active_, now_, kOptions.deadline_ms, false};
  if (question.path.size() == 1) asked.path = ledger;
  submit(std::move(question), asked);
}

void RegoWorld::submit(CoreQuestion question, Asked asked) {
  question.ticket = ++last_ticket_;
  open_[last_ticket_] = std::move(asked);
  note(last_ticket_);
  core_.submit(std::move(question), now_);
  run_effects();
}

void RegoWorld::cancel() {
  auto at = open_.begin();
  std::advance(at, static_cast<long>(random_.below(open_.size())));
  at->second.cancelled = true;
  core_.cancel(at->first, now_);
}

void RegoWorld::activate() {
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
  if (faults_.swelling && random_.below(6) == 0)
    (random_.below(2) == 0 ? swells_ : crashes_).insert(number);
  core_.activate(number, std::move(core), now_);
  run_effects();
}

void RegoWorld::upgrade() {
  former_program_ = std::exchange(program_, ++last_program_);
  core_.upgrade(now_);
}
void RegoWorld::on(effect::Upgraded& e) {
  if (!e.result && e.result.error().code != ErrorCode::kCancelled) program_ = former_program_;
}

void RegoWorld::run_effects() {
  for (auto effects = core_.take_effects(); !effects.empty(); effects = core_.take_effects())
    for (auto& each : effects) {
      note(each.index() + 1);
      std::visit([this](auto& effect) { on(effect); }, each);
    }
}

RegoWorld::Worker* RegoWorld::find(WorkerRef ref) {
  Worker& worker = workers_[ref.slot];
  return worker.runs && worker.generation == ref.generation ? &worker : nullptr;
}

void RegoWorld::on(effect::Start& e) {
  if (workers_[e.worker.slot].runs) violated("a slot has two workers");
  Worker fresh;
  fresh.generation = e.worker.generation;
  fresh.program = program_;
  fresh.runs = true;
  fresh.event_ms = done_after(3) + static_cast<TimeMs>(random_.below(5));
  if (faults_.slow_starts) fresh.event_ms += static_cast<TimeMs>(random_.below(1'500));
  workers_[e.worker.slot] = fresh;
}
void RegoWorld::on(effect::Kill& e) {
  Worker* worker = find(e.worker);
  if (worker == nullptr) return;
  worker->is_killed = true;
  worker->evaluations.clear();
  worker->coming_ms = kNever;
  worker->event_ms = done_after(1);
}
void RegoWorld::on(effect::SetNice& e) {
  // A worker may not lower its niceness.
  if (!e.low) core_.niced(e.worker, true, now_);
}
void RegoWorld::on(effect::LeaveProcessor& e) {
  Worker* worker = find(e.worker);
  if (worker == nullptr) return;
  if (worker->leaves_processor == e.leaves) violated("a worker is told what it does already");
  worker->leaves_processor = e.leaves;
}
void RegoWorld::on(effect::Provision& e) {
  Worker* worker = find(e.worker);
  if (worker == nullptr) return;
  if (worker->coming != 0) violated("two snapshots are on their way into one worker");
  worker->coming = e.snapshot;
  worker->is_accepted = e.is_accepted;
  if (e.is_accepted && !compiled_.contains({worker->program, e.snapshot}))
    violated("a snapshot is held to be good that its program never compiled");
  if (!e.is_accepted && e.snapshot == active_ && !given_.upgrades)
    violated("a snapshot is compiled whole again");
  worker->coming_ms = done_after(1) + static_cast<TimeMs>(random_.below(15));
  const bool is_new = e.snapshot != active_ && active_ != 0;
  worker->how = is_new && random_.below(5) == 0 ? Worker::Coming::kBad : Worker::Coming::kGood;
  // Memory held from before may be too much beside any snapshot.
  const bool is_full =
      faults_.swelling && std::exchange(worker->was_used, true) && random_.below(4) == 0;
  if (swells_.contains(e.snapshot) || is_full) worker->how = Worker::Coming::kSwells;
  if (crashes_.contains(e.snapshot)) worker->how = Worker::Coming::kCrashes;
  // It swells until it is checked, or reaches its limit.
  if (worker->how == Worker::Coming::kSwells && random_.below(2) == 0) worker->coming_ms += 100;
}
void RegoWorld::on(effect::CancelProvision& e) {
  Worker* worker = find(e.worker);
  if (worker != nullptr && worker->how == Worker::Coming::kGood && !worker->is_in_place &&
      random_.below(2) == 0)
    worker->how = Worker::Coming::kBad;
}
void RegoWorld::on(effect::Drop& e) {
  Worker* worker = find(e.worker);
  if (worker == nullptr) return;
  if (worker->coming != 0) violated("a worker drops what is on its way into it");
  worker->snapshot = 0;
}
void RegoWorld::on(effect::Send& e) {
  Worker* worker = find(e.worker);
  if (worker == nullptr) return violated("a question is sent to no worker");
  const auto asked = open_.find(e.ticket);
  if (asked == open_.end()) return violated("an answered question is sent");
  if (worker->is_killed || !worker->greeted) violated("a question is sent to a dead worker");
  if (worker->snapshot < std::max<uint64_t>(asked->second.floor, 1))
    violated("a question is sent to a worker with an older snapshot");
  Evaluation evaluation{asked->second.path, e.ticket,
                        done_after(static_cast<TimeMs>(random_.below(3))), false};
  if (evaluation.path.ends_with("slow")) evaluation.ends_ms = done_after(40);
  if (evaluation.path.ends_with("loop") && !bombs_are_harmless_) evaluation.ends_ms = kNever;
  worker->evaluations[e.wire_id] = evaluation;
  if (worker->evaluations.size() > kOptions.in_flight_max) violated("too many are in flight");
  std::map<char, size_t> of_ledger;
  for (const auto& [id, each] : worker->evaluations)
    if (++of_ledger[each.path[0]] > kOptions.in_flight_max / 2)
      violated("one ledger has more than half");
}
void RegoWorld::on(effect::Cancel& e) {
  Worker* worker = find(e.worker);
  if (worker == nullptr) return;
  const auto found = worker->evaluations.find(e.wire_id);
  if (found == worker->evaluations.end() || found->second.path.ends_with("loop")) return;
  found->second.is_told_to_stop = true;
  found->second.ends_ms = done_after(1);
}
void RegoWorld::on(effect::Look& e) {
  Worker* worker = find(e.worker);
  if (worker == nullptr) return;
  bool over = worker->coming != 0 && worker->how == Worker::Coming::kSwells;
  for (const auto& [id, each] : worker->evaluations)
    over |= each.path.ends_with("gulp") && !bombs_are_harmless_;
  const TimeMs ran_ms = now_ - kFrom - starved_ms_ + std::max<TimeMs>(starved_until_ms_ - now_, 0);
  core_.looked(e.worker, {over ? 2 * kBudget : kBudget / 2, ran_ms * 1'000}, kBudget, now_);
}
void RegoWorld::on(effect::Deliver& e) {
  const auto asked = open_.find(e.ticket);
  if (asked == open_.end()) return violated("a question is answered twice");
  if (e.ticket != answering_) violated("an answer goes to another question");
  const uint64_t number = numbers_.at(e.snapshot.get());
  if (number < asked->second.floor) violated("an older snapshot decided than was active");
  if (!was_active_.contains(number)) violated("a snapshot decided that was never active");
  conclude(asked, "decided");
  ++answered;
}
void RegoWorld::on(effect::Refuse& e) {
  const auto asked = open_.find(e.ticket);
  if (asked == open_.end()) return violated("a question is refused twice");
  const std::string code(error_traits(e.error.code).name);
  if (!is_excused(asked->second, e.error))
    violated(asked->second.path + " is refused: " + code + ": " + e.error.message);
  conclude(asked, code);
}
bool RegoWorld::is_excused(const Asked& asked, const Error& error) const {
  if (error.code == ErrorCode::kCancelled) return asked.cancelled;
  if (error.code == ErrorCode::kUnavailable) return active_ == 0 || given_.starts_fail;
  if (error.code == ErrorCode::kTimeout) return asked.path.ends_with("loop") || given_.starving;
  if (is_bomb(asked.path)) return true;
  if (given_.starving && error.code == ErrorCode::kOverloaded) return true;
  // More questions arrived than may wait, or than slow evaluations allow.
  if (given_.slow_starts && error.code == ErrorCode::kOverloaded)
    return !asked.path.ends_with("quick") ||
           error.message.ends_with("questions wait for a policy decision");
  // Its ledger has bombs, which use its share; the shares of others must not suffer.
  const bool has_bombs = given_.bombs || given_.crashes;
  const bool is_alone = given_.outside_every == 0 && !given_.starts_fail;
  return error.code == ErrorCode::kOverloaded && has_bombs && (asked.path[0] == 'a' || !is_alone);
}
void RegoWorld::conclude(std::map<uint64_t, Asked>::iterator asked, const std::string& outcome) {
  const Asked& a = asked->second;
  if (now_ > latest_answer(a.at_ms, a.deadline_ms)) violated(a.path + " is answered too late");
  ++outcomes[outcome];
  if (is_bomb(a.path)) ++outcomes[a.path + " " + outcome];
  note(asked->first * 31 + outcome.size());
  open_.erase(asked);
}
void RegoWorld::on(effect::Activated& e) {
  if (open_activations_.erase(e.snapshot) == 0) violated("an activation ends twice");
  const bool is_harmful = swells_.contains(e.snapshot) || crashes_.contains(e.snapshot);
  if (!e.result) {
    if (e.result.error().code != ErrorCode::kPdpRejected) return;
    ++rejected;
    if (!is_harmful && !was_bad_.contains(e.snapshot)) violated("a good snapshot is refused");
    return;
  }
  if (is_harmful) violated("a snapshot that ends every worker is active");
  if (e.snapshot < active_) violated("an older snapshot is activated");
  active_ = e.snapshot;
  was_active_.insert(active_);
  ++activated;
}

void RegoWorld::check() {
  for (const auto& [ticket, asked] : open_)
    if (now_ > latest_answer(asked.at_ms, asked.deadline_ms))
      return violated(asked.path + " is never answered");
  if (workers_[core_.serving_slot()].leaves_processor)
    return violated("the serving worker leaves a processor to the slow lane");
  if (active_ == 0 || core_.status().serving) return;
  for (const Worker& worker : workers_)
    if (worker.greeted && !worker.is_killed && worker.snapshot >= active_ && !worker.is_in_place)
      return violated("a worker could decide, and none serves");
}

// Without a cause there must be no suspect and no kill.
void RegoWorld::check_counts() {
  const EngineStatus status = core_.status();
  const bool has_bombs = given_.bombs || given_.crashes;
  if (!has_bombs && status.suspects != 0 && !given_.starving) violated("there is a suspect");
  if (!has_bombs && quarantines != 0) violated("something harmless is in quarantine");
  if (given_.bombs && !given_.starts_fail)
    for (const std::string bomb : {"a/loop", "a/gulp"}) {
      const int stopped = outcomes[bomb + " timeout"] + outcomes[bomb + " limit"];
      if (stopped > 4 && outcomes[bomb + " quarantined"] == 0)
        violated(bomb + " is stopped " + std::to_string(stopped) + " times, never quarantined");
    }
  if (!has_bombs && !given_.swelling && status.kills != 0) violated("a worker was killed");
  if (!has_bombs && !given_.swelling && given_.outside_every == 0 && status.deaths != 0)
    violated("a worker died");
}

// No more faults: all work ends, and everything becomes idle.
void RegoWorld::settle_down() {
  faults_ = {};
  advance(now_ + 200'000);
  if (!open_.empty()) violated(std::to_string(open_.size()) + " questions are never answered");
  if (!open_activations_.empty()) violated("an activation never ends");
  if (!core_.status().serving) violated("no worker decides though nothing is wrong any more");
  // After the standby has dropped its snapshot nothing may wake the engine.
  if (core_.next_deadline() != kNever) violated("an idle engine is woken");
  check_counts();
  ask_at_rest("quick", {});
  if (!given_.bombs && !given_.crashes) return;
  // Later than any quarantine lasts; earlier bombs are harmless now.
  bombs_are_harmless_ = true;
  advance(now_ + limits::kQuarantineMaxMs + 1'000);
  for (const char* leaf : {"loop", "gulp", "crash"})
    for (const char* caller : {"p", "q", "r", "s"}) ask_at_rest(leaf, caller);
}

void RegoWorld::ask_at_rest(const std::string& leaf, const std::string& caller) {
  const std::string ledger = is_bomb("a/" + leaf) ? "a" : "b";
  const uint64_t before = answered;
  submit({0, {ledger, leaf}, caller, 0, 1},
         {ledger + "/" + leaf, active_, now_, kOptions.deadline_ms, false});
  advance(now_ + 1'000);
  if (answered != before + 1) violated(ledger + "/" + leaf + " is not answered at the end");
}

}  // namespace notp::rego
