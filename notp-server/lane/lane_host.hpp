// One lane of a registry on a thread of its own: takes the events of its sources, keeps them, feeds
// the sessions that follow it.
#pragma once

#include <deque>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "common/mutex.hpp"
#include "notp-server/lane/fan_out.hpp"
#include "notp-server/lane/intake.hpp"
#include "notp-server/lane/intake_rules.hpp"
#include "notp-server/lane/lane_config.hpp"
#include "notp-server/lane/sweep_clock.hpp"
#include "protocol/serve/lane_feed.hpp"

namespace notp::lane {

// Counts of one source since the start.
struct SourceCounts {
  uint64_t events = 0, refused = 0;
};

// What a lane is now, for metrics, health and lists; at most a second old.
struct LaneReport {
  std::string name;
  StoreState store;
  uint64_t bytes = 0;  // of the store
  uint64_t tokens_max = 0;
  ReaderCounts readers;
  std::map<std::string, SourceCounts> sources;
  // Of writes or reads of the store: the last one failed.
  std::string fault;
};

// How far the connected nodes are with a revision.
struct LaneProgress {
  uint64_t revision = 0;
  uint64_t nodes = 0, applied = 0;
};

struct LaneHostParts {
  std::string trust_domain;
  const PrivateKey& key;              // outlives the host
  std::unique_ptr<EventStore> store;  // used on the lane's thread from start() on
  // From take() to the effects of its commit, in seconds. On the lane's thread.
  std::function<void(double)> observe_fan_out = {};
};

// Thread-safe.
class LaneHost final : public LaneIntake {
 public:
  LaneHost(const RegistryLaneConfig& config, LaneHostParts parts);
  ~LaneHost() override;
  LaneHost(const LaneHost&) = delete;
  LaneHost& operator=(const LaneHost&) = delete;

  // `outlet` outlives stop().
  void start(serve::LaneOutlet& outlet);
  // Takes what waits, and ends. Blocking; a second call does nothing.
  void stop();

  void take(const std::string& source, std::vector<IncomingEvent> events, Done done) override;
  Result<LivingPage> living(const std::string& source, const feed::TokenId& after) const override;

  // Runs `event` on the lane's thread, after earlier calls. Dropped after stop().
  void post(std::function<void(FanOut&, Now)> event);

  // What the store has of a token. Blocking.
  Result<std::optional<Row>> find(const feed::TokenId& id) const;
  // Blocking.
  LaneProgress progress(uint64_t revision) const;
  // A copy of the store, which has all that was acknowledged before. Blocking; the lane goes on
  // meanwhile. kIo, kCorrupt; kUnavailable: it stops.
  Result<void> copy_to(const std::filesystem::path& file);

  LaneReport report() const;
  const RegistryLaneConfig& config() const { return config_; }

 private:
  struct Taken {
    std::string source;
    std::vector<IncomingEvent> events;
    Done done;
    TimeMs at_ms = 0;  // boot time
  };
  // What waits for the thread, in the order of arrival.
  struct Waiting {
    std::deque<Taken> taken;
    size_t events = 0, bytes = 0;
    std::deque<std::function<void(FanOut&, Now)>> posted;
    std::map<std::string, double> paid_ms;  // boot time up to which a source's events are paid for
    bool stopping = false;
  };
  struct Work {
    std::vector<Taken> taken;
    std::deque<std::function<void(FanOut&, Now)>> posted;
    bool stopping = false;
  };

  struct Times {
    TimeMs sweep_ms = 0, report_ms = 0;  // boot time: the next one
    TimeMs renew_ms = 0;                 // boot time: none before
    SweepClock sweep_clock{read_clock()};
  };
  // A copy that is made, and who waits for its last part.
  struct Copying {
    std::unique_ptr<StoreCopy> copy;
    std::shared_ptr<std::promise<Result<std::unique_ptr<StoreCopy>>>> done;
  };

  void run();
  Work wait();
  TimeMs next_deadline() const;
  void commit(std::vector<Taken> taken, Now now);
  Result<std::vector<IntakeOutcome>> write(const std::vector<Taken>& taken, int64_t now_s,
                                           std::vector<Row>& rows);
  void sweep(Now now);
  void deliver();
  void renew(const FanOut::Ahead& ahead, Now now);
  void note_fault(std::optional<Error> fault, const std::string& doing);
  void publish_report(Now now);
  void copy_part();
  // Runs `ask` on the thread and waits for it; `otherwise` after stop().
  template <typename T>
  T on_thread(std::function<T(FanOut&)> ask, T otherwise) const;

  const RegistryLaneConfig config_;
  const LaneHostParts parts_;
  const IntakeRules rules_;
  FanOut fan_out_;  // of the thread, with the next members
  serve::LaneOutlet* outlet_ = nullptr;
  std::map<std::string, SourceCounts> counts_;
  Times times_;
  std::deque<Copying> copies_;
  std::map<std::string, std::string> faults_;  // by what was done; begun and not over

  mutable Mutex mutex_;
  mutable ConditionVariable wake_;
  mutable Waiting waiting_ NOTP_GUARDED_BY(mutex_);
  LaneReport report_ NOTP_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace notp::lane
