// The engine's core with seeded randomness and virtual time: workers that die, hang, swell and
// return, snapshots that are replaced, and questions that must all be answered.
#pragma once

#include <array>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "common/random.hpp"
#include "common/rego/host/engine_core.hpp"

namespace notp::rego {

struct WorldFaults {
  uint64_t outside_every = 0;  // one in this many events kills a worker; 0: none
  bool bombs = false;          // some paths never end, or use up all memory
  bool crashes = false;
  bool starts_fail = false;
  bool slow_starts = false;
  bool upgrades = false;
  bool starving = false;  // at times no worker gets processor time
  // Some activations end their worker: because of its earlier memory, or always.
  bool swelling = false;
};

// The mixes that every suite of seeds runs.
struct WorldMix {
  std::string name;
  WorldFaults faults;
};
const std::vector<WorldMix>& world_mixes();

class RegoWorld {
 public:
  RegoWorld(uint64_t seed, WorldFaults faults);

  // Runs this many events, then settles. Every violated invariant is in `violations`.
  void run(int events);

  std::vector<std::string> violations;
  std::map<std::string, int> outcomes;
  uint64_t trace = 0;
  uint64_t answered = 0, activated = 0, rejected = 0, quarantines = 0, quarantine_ends = 0;
  EngineStatus status() const { return core_.status(); }

 private:
  // The world's record of a question.
  struct Asked {
    std::string path;
    uint64_t floor = 0;  // active when asked
    TimeMs at_ms = 0;
    int64_t deadline_ms = 0;
    bool cancelled = false;
  };

  // The work of a simulated worker.
  struct Evaluation {
    std::string path;
    uint64_t ticket = 0;
    TimeMs ends_ms = kNever;
    bool is_told_to_stop = false;
  };
  struct Worker {
    uint64_t generation = 0, program = 0;
    bool runs = false, greeted = false;
    TimeMs event_ms = kNever;  // hello, or its end after a kill
    bool is_killed = false;
    uint64_t snapshot = 0, coming = 0;
    TimeMs coming_ms = kNever;  // when it is in place; then, when that is said
    bool is_in_place = false;   // the coming one decides already
    enum class Coming : uint8_t { kGood, kBad, kSwells, kCrashes } how = Coming::kGood;
    bool was_used = false;  // has received a snapshot
    bool leaves_processor = false;
    bool is_accepted = false;  // the coming snapshot is not compiled
    std::map<uint32_t, Evaluation> evaluations;
  };

  void note(uint64_t what) { trace = (trace ^ what) * 0x100000001b3ULL + 0x9e3779b9; }
  void violated(std::string what);
  void step();
  void advance(TimeMs until_ms);
  static TimeMs next_of(const Worker& worker);
  void live(size_t slot);
  void greet(size_t slot);
  void bring(size_t slot);
  void answer(WorkerRef ref, uint32_t id, const Evaluation& ended, uint64_t snapshot);
  void end(size_t slot, Death death);
  void kill_outside();
  void starve();
  TimeMs done_after(TimeMs for_ms) const;
  void ask();
  void submit(CoreQuestion question, Asked asked);
  void cancel();
  void activate();
  void upgrade();
  void run_effects();
  Worker* find(WorkerRef ref);
  void conclude(std::map<uint64_t, Asked>::iterator asked, const std::string& outcome);
  bool is_excused(const Asked& asked, const Error& error) const;
  void check();
  void check_counts();
  void settle_down();
  void ask_at_rest(const std::string& leaf, const std::string& caller);

  void on(effect::Start& e);
  void on(effect::Kill& e);
  void on(effect::SetNice& e);
  void on(effect::LeaveProcessor& e);
  void on(effect::Provision& e);
  void on(effect::CancelProvision& e);
  void on(effect::Drop& e);
  void on(effect::Send& e);
  void on(effect::Cancel& e);
  void on(effect::Look& e);
  void on(effect::Deliver& e);
  void on(effect::Refuse& e);
  void on(effect::Activated& e);
  void on(effect::Upgraded& e);
  void on(effect::Notice& e) { ++(e.notice.for_ms > 0 ? quarantines : quarantine_ends); }

  SeededRandom random_;
  const WorldFaults given_;
  WorldFaults faults_;  // none at the end
  EngineCore core_;
  TimeMs now_;
  TimeMs starved_until_ms_ = 0, starved_ms_ = 0;  // until when, and in total
  int at_this_time_ = 0;
  bool bombs_are_harmless_ = false;
  std::array<Worker, 2> workers_;
  std::map<uint64_t, Asked> open_;
  std::vector<SnapshotPtr> made_;
  std::map<const Snapshot*, uint64_t> numbers_;
  std::set<uint64_t> open_activations_, was_active_;
  std::set<uint64_t> swells_, crashes_;               // snapshots that end every worker
  std::set<uint64_t> was_bad_;                        // a worker refused it
  std::set<std::pair<uint64_t, uint64_t>> compiled_;  // (program, snapshot)
  uint64_t program_ = 1, former_program_ = 1, last_program_ = 1;
  uint64_t last_ticket_ = 0, last_snapshot_ = 0, active_ = 0, answering_ = 0;
};

}  // namespace notp::rego
