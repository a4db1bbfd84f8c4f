// Decides which worker gets which question, and when one is started, stopped, provisioned or
// replaced: (event, now) -> effects, next_deadline(). Pure: no I/O, clock, thread or chance.
//
// Two workers. The *serving* one decides; the *standby* is warm, and decides what is slow or
// suspect (the slow lane). When the serving one ends, the standby takes over, and what was in
// flight is asked again. README.md beside this file says what follows from which death.
#pragma once

#include <array>
#include <map>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "common/clock.hpp"
#include "common/limits.hpp"
#include "common/rego/host/path_costs.hpp"
#include "common/rego/host/question.hpp"
#include "common/rego/host/suspicion.hpp"
#include "common/rego/host/turns.hpp"

namespace notp::rego {

struct CoreOptions {
  // Of one worker. Of one ledger half of it; of one caller half of both, while others ask, too.
  size_t in_flight_max = 6;
  int64_t deadline_ms = 1'000;
  // What an evaluation may still take after it was told to stop: of time, and half of it of its
  // worker's processor time. A worker that a busy machine does not let run harms nobody; after
  // `starved_ms` more it is replaced all the same, and nobody is blamed.
  int64_t grace_ms = 250;
  int64_t starved_ms = 5'000;
  size_t waiting_max = limits::kWaitingMax;
  size_t caller_waiting_max = limits::kCallerWaitingMax;
};

// One process: a generation of one of the two slots.
struct WorkerRef {
  size_t slot = 0;
  uint64_t generation = 0;
  bool operator==(const WorkerRef&) const = default;
};

struct CoreQuestion {
  uint64_t ticket = 0;  // rising
  std::vector<std::string> path;
  std::string caller;
  int64_t deadline_ms = 0;
  uint32_t inputs = 1;
};

struct CoreAnswer {
  uint32_t wire_id = 0;
  uint64_t snapshot = 0;  // that decided; of a failure 0
  uint64_t evaluation_ns = 0;
  std::string failure;  // code; empty: it was decided
  std::string message;
  std::string details = {};  // of a failure: JSON array of OPA's errors; empty: none
};

// What a worker has taken.
struct WorkerUse {
  uint64_t memory_bytes = 0;
  int64_t processor_us = 0;  // since its start; 0: unknown
};

// A snapshot with what tells whether a ledger's content differs from another's.
struct CoreSnapshot {
  SnapshotPtr snapshot;
  std::map<std::string, Hash> contents;               // by ledger name
  std::map<std::string, std::string> ledger_of_root;  // filled by the core
};

// Of an evaluation that the worker answered with a failure.
Error evaluation_error(const std::string& failure, const std::string& message,
                       const std::string& details);

enum class Death : uint8_t {
  kOutside,  // killed from outside, or closed its connection
  kMemory,   // it met its memory limit
  kCrash,    // it ended by itself
};

namespace effect {
struct Start {
  WorkerRef worker;
};
struct Kill {
  WorkerRef worker;
};
struct SetNice {
  WorkerRef worker;
  bool low;
};  // answered by niced()
// That one processor is left to the other worker, or that all are used.
struct LeaveProcessor {
  WorkerRef worker;
  bool leaves;
};
struct Provision {
  WorkerRef worker;
  uint64_t snapshot;
  bool is_accepted;  // a worker of the same program has compiled all of it
};
struct CancelProvision {
  WorkerRef worker;
};
struct Drop {
  WorkerRef worker;
};
struct Send {
  WorkerRef worker;
  uint32_t wire_id;
  uint64_t ticket;
};
struct Cancel {
  WorkerRef worker;
  uint32_t wire_id;
};
struct Look {
  WorkerRef worker;
};  // answered by looked()
// The answer that was just given to answered() is this question's.
struct Deliver {
  uint64_t ticket;
  SnapshotPtr snapshot;
};
struct Refuse {
  uint64_t ticket;
  Error error;
};
struct Activated {
  uint64_t snapshot;
  Result<void> result;
};
struct Upgraded {
  Result<void> result;
};
struct Notice {
  QuarantineNotice notice;
};
}  // namespace effect
using Effect = std::variant<effect::Start, effect::Kill, effect::SetNice, effect::LeaveProcessor,
                            effect::Provision, effect::CancelProvision, effect::Drop, effect::Send,
                            effect::Cancel, effect::Look, effect::Deliver, effect::Refuse,
                            effect::Activated, effect::Upgraded, effect::Notice>;

// `now_ms` is of a clock that only grows. Every event may add effects.
class EngineCore {
 public:
  explicit EngineCore(CoreOptions options) : options_(options) {}

  void begin(TimeMs now_ms);
  void submit(CoreQuestion question, TimeMs now_ms);
  void cancel(uint64_t ticket, TimeMs now_ms);
  // Numbers rise. A snapshot that still waits is superseded.
  void activate(uint64_t number, CoreSnapshot snapshot, TimeMs now_ms);
  // Workers that run now are of an old program.
  void upgrade(TimeMs now_ms);

  // Events of a worker that ended since are ignored.
  bool waits_for_start_of(WorkerRef worker) const;
  void worker_started(WorkerRef worker, TimeMs now_ms);
  // It did not start, and is gone.
  void worker_failed(WorkerRef worker, Error why, TimeMs now_ms);
  void worker_died(WorkerRef worker, Death death, const std::string& why, TimeMs now_ms);
  // It broke the protocol.
  void worker_misbehaved(WorkerRef worker, const Error& why, TimeMs now_ms);
  void answered(WorkerRef worker, const CoreAnswer& answer, TimeMs now_ms);
  void provisioned(WorkerRef worker, uint64_t snapshot, TimeMs now_ms);
  void provision_failed(WorkerRef worker, uint64_t snapshot, Error why, TimeMs now_ms);
  void niced(WorkerRef worker, bool low, TimeMs now_ms);
  // What it has taken, and how much memory it may hold.
  void looked(WorkerRef worker, const WorkerUse& use, uint64_t budget_bytes, TimeMs now_ms);

  void expire(TimeMs now_ms);
  // kNever: nothing will happen by itself.
  TimeMs next_deadline() const;
  std::vector<Effect> take_effects() { return std::exchange(effects_, {}); }

  SnapshotPtr active() const;
  // Whose evaluation that is; 0: no one's.
  uint64_t ticket_of(WorkerRef worker, uint32_t wire_id) const;
  // Without opa_version, which the core does not know.
  EngineStatus status() const;
  size_t serving_slot() const { return serving_; }

 private:
  enum class SlotState : uint8_t { kStopped, kStarting, kReady, kDying };
  enum class LaneName : uint8_t { kServing, kSlow };
  // Why in-flight questions lost their worker.
  enum class Loss : uint8_t { kDeadline, kMemory, kCrash, kOutside };

  static constexpr int64_t kUnknownUs = -1;  // processor time
  static constexpr int64_t kServedRecentlyMs = 1'000;

  struct Asked {
    CoreQuestion question;
    std::string path;           // "a/b/c"
    std::string ledger;         // empty: of none
    bool broad = false;         // a whole document, or above one
    uint64_t snapshot_min = 0;  // no older one may decide
    TimeMs asked_ms = 0;
    int64_t deadline_ms = 0;
    size_t repeats = 0;
    bool alone = false;  // with nothing else in flight, so that a death has one cause
    bool probe = false;
    bool gone = false;  // the caller was answered; its evaluation may still run
    // While it waits.
    bool waiting = false;
    LaneName lane = LaneName::kServing;
    bool quick = false, heavy = false;
    TimeMs turn_ms = 0;  // of the lane's clock: waited for too long then
    // In flight.
    uint32_t wire_id = 0;
    TimeMs soft_ms = 0;
    bool overdue = false;     // past its soft deadline, and told to stop
    TimeMs hard_ms = kNever;  // overdue: when it is asked next whether it must be stopped
    int64_t overdue_from_us = kUnknownUs;  // the worker's processor time when it was told to
  };

  struct Slot {
    uint64_t generation = 0;
    uint64_t program = 0;  // that it runs
    SlotState state = SlotState::kStopped;
    TimeMs start_ms = 0;     // kStopped: when to start
    TimeMs start_by_ms = 0;  // kStarting
    int failures = 0;        // starts that failed, since it last did something useful
    uint64_t held = 0;       // number of its snapshot; 0: none
    uint64_t provisioning = 0;
    bool provision_cancelled = false;
    bool is_fresh = false;            // it was never given a snapshot
    bool provision_is_clean = false;  // what is under way is the first that it was given
    TimeMs provision_by_ms = 0;
    int64_t provision_from_us = 0;      // the worker's processor time when it began
    TimeMs provision_late_ms = kNever;  // when it takes over: from when on it is late
    bool is_late = false;
    TimeMs provision_at_ms = 0;  // not before
    int provision_failures = 0;
    bool outdated = false;  // of an old program
    bool is_nice = false;
    bool leaves_processor = false;
    TimeMs idle_ms = 0;  // since when it has nothing to do
    TimeMs look_ms = kNever;
    int64_t processor_us = 0;                // when it was looked at last
    bool has_alone = false;                  // what is in flight must stay alone
    std::map<uint32_t, uint64_t> in_flight;  // wire id -> ticket
    Flights flights;                         // the same, by who they are of
  };

  struct LedgerQueue {
    CallerTurns quick, other;
    size_t size() const { return quick.size() + other.size(); }
  };
  struct Lane {
    std::map<std::string, LedgerQueue> queues;  // by ledger
    Company company;
    std::string last_ledger;  // that was served
    uint32_t served = 0;
    size_t waiting = 0;
    uint64_t held_back = 0;  // a ticket that needs the worker alone, and is next
    // Its clock stands while no worker can take questions.
    bool running = false;
    TimeMs stopped_ms = 0, stood_ms = 0;
    std::set<std::pair<TimeMs, uint64_t>> turns;
  };

  // engine_core.cpp: questions
  Asked* find(uint64_t ticket);
  void refuse(uint64_t ticket, Error error);
  bool admit(Asked& asked, TimeMs now_ms);
  bool must_be_apart(const Asked& asked, TimeMs now_ms);
  LaneName lane_of(const Asked& asked, TimeMs now_ms);
  void enqueue(Asked& asked, TimeMs now_ms);
  void unqueue(Asked& asked);
  bool is_crowded(const Asked& asked, TimeMs now_ms);
  void place(Asked& asked);
  void finish_flight(Slot& slot, uint64_t ticket, TimeMs now_ms);
  void conclude(Asked& asked, const CoreAnswer& answer);
  void forget(uint64_t ticket);
  Error failure_of(const Asked& asked, const CoreAnswer& answer) const;
  void notify(std::vector<QuarantineNotice> notices);

  // engine_core_lanes.cpp: who is asked next
  void dispatch(TimeMs now_ms);
  void dispatch_lane(LaneName name, size_t slot, TimeMs now_ms);
  uint64_t pick(Lane& lane, const Slot& slot, TimeMs now_ms);
  uint64_t pick_class(Lane& lane, const Slot& slot, bool quick, TimeMs now_ms);
  bool prepare(Asked& asked, LaneName name, TimeMs now_ms);
  void send(Asked& asked, size_t slot, TimeMs now_ms);
  bool takes_questions(size_t slot) const;
  TimeMs lane_clock(const Lane& lane, TimeMs now_ms) const;
  void settle_clocks(TimeMs now_ms);
  void expire_waiting(TimeMs now_ms);
  void refuse_hopeless(TimeMs now_ms);
  bool is_slow_lane_open() const;
  void settle_slow_lane(TimeMs now_ms);

  // engine_core_loss.cpp: what follows from a death
  void lose(size_t slot, Loss loss, const std::string& why, TimeMs now_ms);
  void lose_questions(Slot& slot, Loss loss, const std::string& why, TimeMs now_ms);
  void lose_provision(Loss loss, bool was_clean, const std::string& why);
  void kill(size_t slot, Loss loss, const std::string& why, TimeMs now_ms);
  void repeat(Asked& asked, TimeMs now_ms);
  void judge(const std::vector<uint64_t>& tickets, const std::string& reason, ErrorCode code,
             TimeMs now_ms);
  void expire_flights(size_t slot, TimeMs now_ms);
  void expire_provision(size_t slot, TimeMs now_ms);

  // engine_core_workers.cpp: starting, roles, snapshots
  Slot* current(WorkerRef worker);
  WorkerRef ref(size_t slot) const { return {slot, slots_[slot].generation}; }
  void settle(TimeMs now_ms);
  void settle_starts(TimeMs now_ms);
  void settle_roles(TimeMs now_ms);
  void settle_snapshots(TimeMs now_ms);
  void settle_upgrade(TimeMs now_ms);
  void settle_processors(TimeMs now_ms);
  void settle_looks(TimeMs now_ms);
  void swap_roles(TimeMs now_ms);
  void provision(size_t slot, uint64_t number, TimeMs now_ms);
  void fail_start(size_t slot, Error why, TimeMs now_ms);
  static void end_provision(Slot& slot);
  void pending_failed(Error why);  // goes on with the one that waits
  void activated();
  void start_pending(uint64_t number);
  uint64_t snapshot_wanted(size_t slot) const;
  bool may_drop(size_t slot) const;
  bool has_strike() const { return pending_ != 0 && pending_strikes_ > 0 && active_ != 0; }
  bool is_proving() const;
  void settle_proof(TimeMs now_ms);
  static int64_t backoff_ms(int failures);
  void forget_snapshots();
  bool is_useless(const Slot& slot) const;
  bool wants_handover(const Slot& slot) const { return slot.outdated || slot.is_nice; }

  const CoreOptions options_;
  std::array<Slot, 2> slots_;
  size_t serving_ = 0;
  std::array<Lane, 2> lanes_;
  std::unordered_map<uint64_t, Asked> asked_;   // never iterated: order would be chance
  std::map<std::string, size_t> waiting_of_;    // by caller
  std::set<std::pair<TimeMs, uint64_t>> ages_;  // of what waits: (latest answer, ticket)
  std::map<uint64_t, CoreSnapshot> snapshots_;  // active, pending, next, and what may still decide
  uint64_t active_ = 0, pending_ = 0, next_ = 0;
  size_t pending_losses_ = 0, pending_strikes_ = 0;
  uint64_t program_ = 1, former_program_ = 1, last_program_ = 1;  // the numbers of upgrades
  uint64_t accepted_by_ =
      0;  // the program that compiled all of the active snapshot; 0: none that runs
  bool upgrading_ = false;
  bool slow_lane_was_open_ = true;
  uint32_t last_wire_id_ = 0;
  // Who asks the serving worker what is not heavy, and when it was sent such a question last.
  Company light_company_;
  TimeMs served_ms_ = -kServedRecentlyMs;
  PathCosts costs_;
  Suspicion suspicion_;
  std::vector<Effect> effects_;
  EngineStatus counters_;
};

}  // namespace notp::rego
