// Decides which worker gets which question, and when a worker is started, stopped, provisioned or
// replaced: (event, now) -> effects, next_deadline(). Pure: no I/O, clock, thread or randomness.
//
// There are two workers. The *serving* one decides; the *standby* is warm, and decides slow or
// suspect questions (the slow lane). When the serving one ends, the standby takes over, and the
// questions in flight are repeated. README.md beside this file lists the consequences of each kind
// of loss.
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
  // Limit for one worker. One ledger may use half of it; one caller half of both, while others also
  // ask.
  size_t in_flight_max = 6;
  int64_t deadline_ms = 1'000;
  // Grace of an evaluation after it was told to stop: this time, and half of it in its worker's
  // processor time. A worker that a busy machine does not let run is harmless; after `starved_ms`
  // more it is replaced anyway, without blame.
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
  uint64_t ticket = 0;  // ascending
  std::vector<std::string> path;
  std::string caller;
  int64_t deadline_ms = 0;
  uint32_t inputs = 1;
};

struct CoreAnswer {
  uint32_t wire_id = 0;
  uint64_t snapshot = 0;  // the deciding one; 0 for a failure
  uint64_t evaluation_ns = 0;
  std::string failure;  // code; empty: decided
  std::string message;
  std::string details = {};  // of a failure: JSON array of OPA's errors; empty: none
  std::string extras = {};   // of a failure: JSON object; empty: none
};

// The resources that a worker has used.
struct WorkerUse {
  uint64_t memory_bytes = 0;
  int64_t processor_us = 0;  // since its start; 0: unknown
};

// A snapshot with hashes to find the ledgers whose content differs.
struct CoreSnapshot {
  SnapshotPtr snapshot;
  std::map<std::string, Hash> contents;               // by ledger name
  std::map<std::string, std::string> ledger_of_root;  // filled by the core
};

// Returns the Error for an evaluation that the worker answered with a failure.
Error evaluation_error(const std::string& failure, const std::string& message,
                       const std::string& details, const std::string& extras);

enum class Death : uint8_t {
  kOutside,  // killed from outside, or closed its connection
  kMemory,   // it hit its memory limit
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
// Leaves one processor to the other worker, or uses all.
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
// The answer passed to answered() belongs to this question.
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

// `now_ms` is of a monotonic clock. Every event may add effects.
class EngineCore {
 public:
  explicit EngineCore(CoreOptions options) : options_(options) {}

  void begin(TimeMs now_ms);
  void submit(CoreQuestion question, TimeMs now_ms);
  void cancel(uint64_t ticket, TimeMs now_ms);
  // Numbers ascend. A waiting snapshot is superseded.
  void activate(uint64_t number, CoreSnapshot snapshot, TimeMs now_ms);
  // The running workers have an old program.
  void upgrade(TimeMs now_ms);

  // Events of a worker that has ended are ignored.
  bool waits_for_start_of(WorkerRef worker) const;
  void worker_started(WorkerRef worker, TimeMs now_ms);
  // The worker failed to start, and is gone.
  void worker_failed(WorkerRef worker, Error why, TimeMs now_ms);
  void worker_died(WorkerRef worker, Death death, const std::string& why, TimeMs now_ms);
  // The worker broke the protocol.
  void worker_misbehaved(WorkerRef worker, const Error& why, TimeMs now_ms);
  void answered(WorkerRef worker, const CoreAnswer& answer, TimeMs now_ms);
  // The activation is answered: only now another snapshot is sent to the worker, since it builds on
  // this one. An answer of the worker with this snapshot may have come before.
  void provisioned(WorkerRef worker, uint64_t snapshot, TimeMs now_ms);
  void provision_failed(WorkerRef worker, uint64_t snapshot, Error why, TimeMs now_ms);
  void niced(WorkerRef worker, bool low, TimeMs now_ms);
  // Reports its usage, and its memory budget.
  void looked(WorkerRef worker, const WorkerUse& use, uint64_t budget_bytes, TimeMs now_ms);

  void expire(TimeMs now_ms);
  // kNever: nothing is pending.
  TimeMs next_deadline() const;
  std::vector<Effect> take_effects() { return std::exchange(effects_, {}); }

  SnapshotPtr active() const;
  // Returns the ticket of that evaluation; 0: none.
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
    uint64_t snapshot_min = 0;  // an older one must not decide
    TimeMs asked_ms = 0;
    int64_t deadline_ms = 0;
    size_t repeats = 0;
    bool alone = false;  // with nothing else in flight, so that a loss has one cause
    bool probe = false;
    bool gone = false;  // the caller was answered; its evaluation may still run
    // While waiting:
    bool waiting = false;
    LaneName lane = LaneName::kServing;
    bool quick = false, heavy = false;
    TimeMs turn_ms = 0;  // on the lane's clock: the waiting time has expired
    // In flight:
    uint32_t wire_id = 0;
    TimeMs soft_ms = 0;
    bool overdue = false;                  // past its soft deadline, and stopping
    TimeMs hard_ms = kNever;               // overdue: next check whether it must be stopped
    int64_t overdue_from_us = kUnknownUs;  // the worker's processor time at the soft deadline
  };

  struct Slot {
    uint64_t generation = 0;
    uint64_t program = 0;  // that it runs
    SlotState state = SlotState::kStopped;
    TimeMs start_ms = 0;        // kStopped: when to start
    TimeMs start_by_ms = 0;     // kStarting
    int failures = 0;           // failed starts since its last useful work
    uint64_t held = 0;          // number of its snapshot; 0: none
    uint64_t provisioning = 0;  // until its activation is answered; 0: none
    bool provision_cancelled = false;
    bool is_fresh = false;            // it never had a snapshot
    bool provision_is_clean = false;  // the current provision is its first one
    TimeMs provision_by_ms = 0;
    int64_t provision_from_us = 0;      // the worker's processor time at its start
    TimeMs provision_late_ms = kNever;  // while it takes over: late from then on
    bool is_late = false;
    TimeMs provision_at_ms = 0;  // not earlier
    int provision_failures = 0;
    bool outdated = false;  // runs an old program
    bool is_nice = false;
    bool leaves_processor = false;
    TimeMs idle_ms = 0;  // start of its idle time
    TimeMs look_ms = kNever;
    int64_t processor_us = 0;                // at the last check
    bool has_alone = false;                  // the question in flight must stay alone
    std::map<uint32_t, uint64_t> in_flight;  // wire id -> ticket
    Flights flights;                         // the same, by caller and ledger
  };

  struct LedgerQueue {
    CallerTurns quick, other;
    size_t size() const { return quick.size() + other.size(); }
  };
  struct Lane {
    std::map<std::string, LedgerQueue> queues;  // by ledger
    Company company;
    std::string last_ledger;  // the last one served
    uint32_t served = 0;
    size_t waiting = 0;
    uint64_t held_back = 0;  // a ticket that needs the worker alone, and is next
    // Its clock stops while no worker can take questions.
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

  // engine_core_lanes.cpp: the choice of the next question
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

  // engine_core_loss.cpp: consequences of a lost worker
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
  // Whether a snapshot is on its way into the worker and not in place yet. A decision with it may
  // come before the answer to its activation: it is in place then, and still being provisioned.
  static bool is_loading(const Slot& slot) {
    return slot.provisioning != 0 && slot.provisioning != slot.held;
  }
  void hold(Slot& slot, uint64_t number, TimeMs now_ms);
  static void end_provision(Slot& slot);
  void pending_failed(Error why);  // continues with the waiting one
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
  std::unordered_map<uint64_t, Asked> asked_;   // never iterated: order would be random
  std::map<std::string, size_t> waiting_of_;    // by caller
  std::set<std::pair<TimeMs, uint64_t>> ages_;  // of waiting questions: (latest answer, ticket)
  std::map<uint64_t, CoreSnapshot> snapshots_;  // active, pending, next, and what may still decide
  uint64_t active_ = 0, pending_ = 0, next_ = 0;
  size_t pending_losses_ = 0, pending_strikes_ = 0;
  uint64_t program_ = 1, former_program_ = 1, last_program_ = 1;  // upgrade numbers
  uint64_t accepted_by_ =
      0;  // the program that compiled the whole active snapshot; 0: none running
  bool upgrading_ = false;
  bool slow_lane_was_open_ = true;
  uint32_t last_wire_id_ = 0;
  // The callers of light questions to the serving worker, and the time of the last one.
  Company light_company_;
  TimeMs served_ms_ = -kServedRecentlyMs;
  PathCosts costs_;
  Suspicion suspicion_;
  std::vector<Effect> effects_;
  EngineStatus counters_;
};

}  // namespace notp::rego
