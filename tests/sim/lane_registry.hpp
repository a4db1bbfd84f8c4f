// The registry's side of a simulated lane: its rules, store and fan-out are the real ones; threads
// and processes are events. What was committed survives a kill.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "notp-server/lane/intake_rules.hpp"
#include "notp-server/lane/memory_event_store.hpp"
#include "protocol/serve/session_lane.hpp"
#include "tests/sim/lane_port.hpp"

namespace notp::lane {
class FanOut;
}

namespace notp::sim {

inline constexpr int64_t kLaneLifeS = 7'200;

// All rows that were ever committed in one instance, by revision: what the store forgets, too.
using LaneHistory = std::vector<lane::Row>;

class SimLaneRegistry final : public serve::LaneFeed {
 public:
  using Ack = std::function<void(Result<lane::IntakeOutcome>)>;
  struct Copy {
    lane::MemoryEventStore store;
    LaneHistory history;
  };

  // `on_death`: the process died by itself. `on_sends`: sessions have something to send.
  struct Handlers {
    std::function<void()> on_death, on_sends;
  };
  SimLaneRegistry(LanePort& port, Handlers handlers);
  ~SimLaneRegistry() override;

  // --- the process
  bool is_up() const { return fan_out_ != nullptr; }
  void boot();
  void kill();
  Copy copy() const { return {store_, histories_.at(store_.state().instance)}; }
  // The database of then, as a new instance. The process is down.
  void restore(const Copy& copy);
  void set_skew(TimeMs skew_ms);
  void set_audience(std::string audience) { audience_ = std::move(audience); }
  Now now() const;

  // --- sources
  void take(std::string source, lane::IncomingEvent event, Ack ack);

  // --- sessions
  serve::LaneReaders& readers() { return readers_; }
  void subscribe(serve::LaneReader reader, const session::Identity& identity,
                 wire::LaneSubscribe wanted) override;
  void fell_behind(serve::LaneReader reader, uint64_t revision) override;
  void drained(serve::LaneReader reader) override;
  void ask(serve::LaneReader reader, std::vector<feed::TokenId> ids) override;
  void applied(serve::LaneReader reader, const wire::LaneApplied& applied) override;
  void closed(uint64_t reader) override;

  // --- for the checks
  lane::MemoryEventStore& store() { return store_; }
  const LaneHistory& history(const feed::TokenId& instance) const {
    return histories_.at(instance);
  }
  const std::map<feed::TokenId, LaneHistory>& histories() const { return histories_; }
  std::vector<lane::Grant> grants() const;
  // The latest time that a statement may have.
  TimeMs signed_ms() const { return signed_ms_; }

 private:
  struct Incoming {
    std::string source;
    lane::IncomingEvent event;
    Ack ack;
  };

  void post(std::function<void(Now)> event);
  void wake(TimeMs delay_ms);
  void turn();
  void commit();
  void sweep(Now now);
  void deliver();

  LanePort& port_;
  const Handlers handlers_;
  lane::MemoryEventStore store_;
  std::map<feed::TokenId, LaneHistory> histories_;
  std::string audience_ = "api";  // of the filtered grant
  uint64_t life_ = 0, instances_ = 1;
  TimeMs skew_ms_ = 0;
  TimeMs woken_ms_ = kNever;
  TimeMs signed_ms_ = 0;

  // Of the process.
  std::unique_ptr<lane::FanOut> fan_out_;  // null: it is down
  serve::LaneReaders readers_;
  std::vector<std::function<void(Now)>> posted_;
  std::vector<Incoming> incoming_;
  TimeMs sweep_ms_ = 0;
};

}  // namespace notp::sim
