// The shell of a LaneCore: gives it time and events, and runs its effects on the table, the store
// and the agent's side. It makes no decisions.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <unordered_map>

#include "common/atomic_shared.hpp"
#include "notp-client/lane/core/lane_core.hpp"
#include "notp-client/lane/host/agent_side.hpp"
#include "notp-client/lane/host/lane_status.hpp"
#include "notp-client/lane/host/lane_writer.hpp"
#include "notp-client/lane/table/token_verdict.hpp"

namespace notp::lane {

using StatusHandler = std::function<void(const LaneStatus&)>;
using AskHandler = std::function<void(AskOutcome)>;

// All methods on the executor's thread, unless stated otherwise.
class LaneWorker {
 public:
  struct Parts {
    boost::asio::any_io_executor executor;  // one thread
    std::shared_ptr<AgentSide> agent;
    StatusHandler on_status;  // may be empty
    TableOptions table;
  };
  LaneWorker(LaneOptions options, Parts parts);

  // Before the thread runs, in this order. `load` fills the table from the store; `marks` are the
  // store's.
  void load(std::span<const feed::Event> events) { table_->apply(events); }
  void forget_all() { table_ = std::make_unique<TokenTable>(parts_.table); }
  void start(const LaneMarks& marks, std::unique_ptr<LaneStore> store,
             const std::optional<PublicKey>& lane_key);
  // What waits is answered, and what was taken is written. Nothing is called afterwards.
  void stop();

  void on_root(const std::optional<PublicKey>& lane_key);
  void on_connected();
  void on_disconnected();
  void on_state(const wire::LaneState& state);
  void on_statement(const feed::SealedStatement& statement);
  void on_clock_set_back(TimeMs trusted_ms);
  // `number`: as it was given to AgentSide::decide().
  void on_decided(uint64_t number, const Result<void>& outcome);
  void on_tokens_lost();
  void look_at_clock();
  // `done` is called once, within `wait`.
  void ask(const feed::TokenId& id, const std::string& caller, std::chrono::milliseconds wait,
           AskHandler done);
  TokenVerdict judge(const TokenQuestion& question) const;

  // Any thread.
  std::shared_ptr<const LaneStatus> status() const { return status_.get(); }

 private:
  struct Waiter {
    uint64_t number = 0;
    AskHandler done;
    boost::asio::steady_timer deadline;
  };
  using Waiters = std::list<Waiter>;

  void give_up(const feed::TokenId& id, uint64_t number);
  void drive();
  void arm_timer();
  void give_pdp();
  void publish();
  void run(effect::Subscribe& effect) { parts_.agent->send(std::move(effect.subscribe)); }
  void run(effect::Ask& effect) { parts_.agent->send(std::move(effect.ask)); }
  void run(effect::Report& effect) { parts_.agent->send(effect.applied); }
  void run(effect::Take& effect);
  void run(effect::Show& effect);
  void run(effect::Expire& effect);
  void run(effect::Resolved& effect);
  void run(effect::Alarm& effect);
  void run(effect::AlarmOver& effect);
  void run(effect::StateChanged& effect);
  void run(effect::Refused& effect);
  void run(effect::FollowsAgain& effect);
  void refused_tokens(size_t count);

  // What the PDP lacks of the table.
  struct ToPdp {
    uint64_t taken = 0;                  // the last change of the table
    uint64_t number = 0;                 // of the last update
    std::map<uint64_t, uint64_t> given;  // updates without an answer: their last change
    bool is_under_way = false;           // the last one is among them, and nothing is given
    bool is_new = false;                 // there is something to give
    bool needs_whole = true;
    bool is_lost = false;  // until on_tokens_lost()
  };

  const Parts parts_;
  const LaneOptions options_;
  std::unique_ptr<TokenTable> table_;
  std::unique_ptr<LaneCore> core_;  // null before start()
  std::unique_ptr<LaneWriter> writer_;
  boost::asio::steady_timer timer_;
  ToPdp to_pdp_;
  std::unordered_map<feed::TokenId, Waiters, feed::HashOfTokenId> waiters_;
  uint64_t last_waiter_ = 0;
  LaneStatus now_;
  bool is_published_ = false;  // now_, as it is
  TimeMs expired_ms_ = 0;      // boot clock: the last sweep of the store
  AtomicShared<LaneStatus> status_;
};

}  // namespace notp::lane
