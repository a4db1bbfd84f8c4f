// A simulated node of a lane: its core, table and store as LaneWorker drives them, and its PDP. Its
// process and its PDP may be killed at any time; what the disk has stays.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "notp-client/lane/core/lane_core.hpp"
#include "notp-client/lane/table/token_table.hpp"
#include "tests/sim/clock_oracle.hpp"
#include "tests/sim/lane_disk.hpp"
#include "tests/sim/lane_pdp.hpp"
#include "tests/sim/lane_port.hpp"

namespace notp::sim {

class SimLaneNode {
 public:
  struct Handlers {
    std::function<void(const wire::LaneSubscribe&)> subscribe;
    std::function<void(const wire::LaneAsk&)> ask;
    std::function<void(const wire::LaneApplied&)> report;
    std::function<void(const feed::TokenId&, lane::AskOutcome)> resolved;
  };
  SimLaneNode(LanePort& port, size_t index, std::string name, lane::LaneMode mode,
              bool keeps_tokens, Handlers handlers);

  // --- the process
  bool is_up() const { return core_ != nullptr; }
  void boot();
  void kill();
  // The machine, too: its boot clock starts again. The process is down.
  void power_off() { boot_origin_ms_ = port_.time_ms(); }
  void kill_pdp();
  void set_skew(TimeMs skew_ms);
  // As a registry's freshness statement proves it.
  void set_clock_back();
  Now now() const {
    return {kLaneWallStartMs + port_.time_ms() + skew_ms_, port_.time_ms() - boot_origin_ms_};
  }

  // --- the session
  void on_connected();
  void on_disconnected();
  void on_state(const wire::LaneState& state);
  void on_statement(const feed::SealedStatement& statement);
  void ask(const feed::TokenId& id);

  // --- for the checks
  size_t index() const { return index_; }
  const std::string& name() const { return name_; }
  lane::LaneMode mode() const { return options_.mode; }
  const lane::LaneCore* core() const { return core_.get(); }
  const LanePdp* pdp() const { return pdp_ ? &*pdp_ : nullptr; }
  const LaneDisk& disk() const { return disk_; }
  // Trusted time by its definition, of what this node has seen of its clocks.
  TimeMs trusted_ms() const { return clock_.steady(now()); }
  bool is_idle() const { return writing_.empty() && waiting_.empty() && !is_giving_; }
  uint64_t alarms() const { return alarms_; }

 private:
  // Reads the clocks for a call of the core.
  Now look();
  // As LaneWorker::drive().
  void drive();
  void run(lane::effect::Subscribe& effect) { handlers_.subscribe(effect.subscribe); }
  void run(lane::effect::Ask& effect) { handlers_.ask(effect.ask); }
  void run(lane::effect::Report& effect) { handlers_.report(effect.applied); }
  void run(lane::effect::Take& effect);
  void run(lane::effect::Show& effect);
  void run(lane::effect::Expire& effect);
  void run(lane::effect::Resolved& effect) { handlers_.resolved(effect.id, effect.outcome); }
  void run(lane::effect::Alarm& effect);
  void run(lane::effect::AlarmOver&) {}
  void run(lane::effect::StateChanged& effect);
  void run(lane::effect::Refused& effect);
  void run(lane::effect::FollowsAgain& effect);
  void write();
  void give_pdp();
  void arm();
  // Dropped when the process has died by then.
  void later(TimeMs delay_ms, Action action);

  LanePort& port_;
  const size_t index_;
  const std::string name_;
  const lane::LaneOptions options_;
  const Handlers handlers_;
  LaneDisk disk_;
  ClockOracle clock_;
  TimeMs skew_ms_ = 0, boot_origin_ms_ = 0;
  uint64_t life_ = 0, pdp_life_ = 0;
  uint64_t alarms_ = 0;

  // Of the process.
  std::unique_ptr<lane::TokenTable> table_;
  std::unique_ptr<lane::LaneCore> core_;  // null: it is down
  std::vector<lane::effect::Take> waiting_, writing_;
  uint64_t taken_ = 0, given_ = 0;
  bool is_giving_ = false, is_new_ = false, needs_whole_ = true, is_lost_ = false;
  TimeMs armed_ms_ = kNever, expired_ms_ = 0;
  std::optional<LanePdp> pdp_;  // nullopt: it is down
};

}  // namespace notp::sim
