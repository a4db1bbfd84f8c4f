#include "tests/sim/lane_node.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <variant>

#include "notp-client/lane/lane_limits.hpp"
#include "tests/support/wire/lane_samples.hpp"

namespace notp::sim {

namespace effect = lane::effect;
namespace change = lane::change;

SimLaneNode::SimLaneNode(LanePort& port, size_t index, std::string name, lane::LaneMode mode,
                         bool keeps_tokens, Handlers handlers)
    : port_(port),
      index_(index),
      name_(std::move(name)),
      options_{.trust_domain = std::string(kLaneDomain),
               .lane = std::string(kLane),
               .mode = mode,
               .keeps_tokens = keeps_tokens},
      handlers_(std::move(handlers)),
      disk_(keeps_tokens) {}

// --- the process

// As LaneHost::start() and LaneWorker::start().
void SimLaneNode::boot() {
  ++life_;
  const Now now = this->now();
  table_ = std::make_unique<lane::TokenTable>(lane::TableOptions{.with_events = true});
  const lane::LaneMarks marks = disk_.open();
  table_->apply(disk_.load());
  clock_.boot(now, marks.trusted_ms);
  port_.note("node up", index_,
             fmt::format("revision {}", marks.position ? marks.position->revision : 0));
  taken_ = given_ = 0;
  is_giving_ = is_new_ = is_lost_ = false;
  needs_whole_ = true;
  armed_ms_ = kNever;
  expired_ms_ = now.boot_ms;
  ++pdp_life_;
  pdp_.emplace();
  core_ = std::make_unique<lane::LaneCore>(options_, marks, now);
  core_->on_root(samples::lane_key().public_key(), now);
  drive();
}

// What is being written may be durable already.
void SimLaneNode::kill() {
  if (!writing_.empty() && port_.chance(2)) disk_.write(writing_, false);
  ++life_;
  ++pdp_life_;
  core_.reset();
  table_.reset();
  pdp_.reset();
  waiting_.clear();
  writing_.clear();
  port_.note("node down", index_);
}

void SimLaneNode::kill_pdp() {
  ++pdp_life_;
  pdp_.reset();
  port_.note("PDP down", index_);
  if (is_giving_) {
    is_giving_ = false;
    needs_whole_ = is_lost_ = true;
  }
  later(port_.between(50, 3'000), [this] {
    pdp_.emplace();
    port_.note("PDP up", index_);
    needs_whole_ = is_new_ = true;
    is_lost_ = false;
  });
}

void SimLaneNode::set_skew(TimeMs skew_ms) {
  skew_ms_ = skew_ms;
  port_.note("node clock", index_, std::to_string(skew_ms));
}

// As LaneWorker::on_clock_set_back().
void SimLaneNode::set_clock_back() {
  const Now now = this->now();
  if (!is_up() || trusted_ms() <= now.wall_ms + limits::kClockSkewMs) return;
  port_.note("clock set back", index_);
  table_ = std::make_unique<lane::TokenTable>(lane::TableOptions{.with_events = true});
  needs_whole_ = true;
  clock_.boot(now, 0);
  core_->on_clock_set_back(now.wall_ms, now);
  drive();
}

// --- events of the core

Now SimLaneNode::look() {
  const Now now = this->now();
  clock_.look(now);
  return now;
}

void SimLaneNode::later(TimeMs delay_ms, Action action) {
  port_.at(delay_ms, [this, life = life_, action = std::move(action)] {
    if (life != life_) return;
    action();
    if (is_up()) drive();
  });
}

void SimLaneNode::on_connected() {
  core_->on_connected(look());
  drive();
}

void SimLaneNode::on_disconnected() {
  if (!is_up()) return;
  core_->on_disconnected(look());
  drive();
}

void SimLaneNode::on_state(const wire::LaneState& state) {
  core_->on_state(state, look());
  drive();
}

void SimLaneNode::on_statement(const feed::SealedStatement& statement) {
  core_->on_statement(statement, look());
  drive();
}

void SimLaneNode::ask(const feed::TokenId& id) {
  core_->ask(id, look());
  drive();
}

void SimLaneNode::drive() {
  for (auto effects = core_->take_effects(); !effects.empty(); effects = core_->take_effects())
    for (lane::LaneEffect& each : effects) std::visit([this](auto& one) { run(one); }, each);
  write();
  give_pdp();
  arm();
}

void SimLaneNode::arm() {
  const TimeMs deadline_ms = core_->next_deadline();
  if (deadline_ms == kNever) return;
  const TimeMs at_ms = std::max(port_.time_ms(), deadline_ms + boot_origin_ms_);
  if (at_ms >= armed_ms_) return;
  armed_ms_ = at_ms;
  later(at_ms - port_.time_ms(), [this, at_ms] {
    if (armed_ms_ != at_ms) return;
    armed_ms_ = kNever;
    core_->on_deadline(look());
  });
}

// --- effects

void SimLaneNode::run(effect::Take& effect) {
  if (auto* const events = std::get_if<change::Events>(&effect.change))
    table_->apply(events->events);
  else if (auto* const begins = std::get_if<change::SnapshotBegins>(&effect.change))
    table_->begin_snapshot(begins->as_of);
  else if (auto* const rows = std::get_if<change::Rows>(&effect.change))
    table_->apply_rows(rows->snapshot);
  else if (auto* const forget = std::get_if<change::Forget>(&effect.change))
    table_->forget(forget->ids);
  else
    table_->end_snapshot();
  taken_ = effect.number;
  is_new_ = true;
  waiting_.push_back(std::move(effect));
}

void SimLaneNode::run(effect::Show& effect) {
  table_->set_readout(std::move(effect.readout));
  is_new_ = true;
}

void SimLaneNode::run(effect::Expire& effect) {
  is_new_ |= table_->expire(effect.now_s) > 0;
  const TimeMs boot_ms = now().boot_ms;
  if (boot_ms < expired_ms_ + limits::kLaneRowsExpiredMs) return;
  expired_ms_ = boot_ms;
  disk_.expire(effect.now_s);
}

void SimLaneNode::run(effect::Alarm& effect) {
  ++alarms_;
  port_.note("alarm", index_, effect.error.message);
}

void SimLaneNode::run(effect::StateChanged& effect) {
  port_.note("state", index_, fmt::format("{} -> {}", effect.before, effect.after));
}

void SimLaneNode::run(effect::Refused& effect) {
  port_.note("refused", index_, effect.error.message);
}

void SimLaneNode::run(effect::FollowsAgain& effect) {
  port_.note("follows again", index_, effect.why);
}

// As LaneWriter: all that waits in one transaction.
void SimLaneNode::write() {
  if (!writing_.empty() || waiting_.empty()) return;
  writing_ = std::exchange(waiting_, {});
  const bool is_slow = port_.faulty() && port_.chance(60);
  later(is_slow ? port_.between(200, 5'000) : port_.between(1, 12), [this] {
    const bool fails = port_.faulty() && port_.chance(400);
    const uint64_t number = writing_.back().number;
    const bool is_written = disk_.write(std::exchange(writing_, {}), fails);
    if (is_written) return core_->on_durable(number, look());
    port_.note("disk failed", index_, std::to_string(number));
    core_->on_persist_failed(number, {ErrorCode::kIo, "the disk fails", {}}, look());
  });
}

void SimLaneNode::give_pdp() {
  if (is_giving_ || is_lost_ || !is_new_) return;
  is_new_ = false;
  is_giving_ = true;
  given_ = taken_;
  lane::TableUpdate update = table_->take_update();
  if (std::exchange(needs_whole_, false)) update = table_->whole();
  const size_t tokens = table_->tokens();
  if (!pdp_) {
    // As a sink that is not there: the whole table is wanted when it is back.
    return later(1, [this, pdp_life = pdp_life_] {
      if (!is_giving_ || pdp_life != pdp_life_) return;
      is_giving_ = false;
      needs_whole_ = true;
      is_lost_ = !pdp_;
    });
  }
  later(port_.between(1, 20), [this, tokens, pdp_life = pdp_life_, update = std::move(update)] {
    if (pdp_life != pdp_life_) return;
    is_giving_ = false;
    pdp_->apply(update);
    core_->on_decided(given_, tokens, look());
  });
}

}  // namespace notp::sim
