#include "notp-client/lane/host/lane_worker.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <utility>

#include "common/log.hpp"
#include "notp-client/lane/lane_limits.hpp"

namespace notp::lane {

LaneWorker::LaneWorker(LaneOptions options, Parts parts)
    : parts_(std::move(parts)),
      options_(std::move(options)),
      table_(std::make_unique<TokenTable>(parts_.table)),
      timer_(parts_.executor),
      status_(std::make_shared<const LaneStatus>()) {}

void LaneWorker::start(const LaneMarks& marks, std::unique_ptr<LaneStore> store,
                       const std::optional<PublicKey>& lane_key) {
  const Now now = read_clock();
  expired_ms_ = now.boot_ms;
  LaneOptions options = options_;
  options.is_volatile = store->is_volatile();
  writer_ =
      std::make_unique<LaneWriter>(std::move(store), [this](uint64_t number, Result<void> outcome) {
        boost::asio::post(parts_.executor, [this, number, outcome = std::move(outcome)] {
          if (!core_) return;
          if (outcome)
            core_->on_durable(number, read_clock());
          else
            core_->on_persist_failed(number, outcome.error(), read_clock());
          drive();
        });
      });
  core_ = std::make_unique<LaneCore>(std::move(options), marks, now);
  core_->on_root(lane_key, now);
  drive();
}

void LaneWorker::stop() {
  core_.reset();
  timer_.cancel();
  for (auto& [id, waiters] : std::exchange(waiters_, {}))
    for (Waiter& waiter : waiters) {
      waiter.deadline.cancel();
      waiter.done(AskOutcome::kNotAsked);
    }
  if (writer_) writer_->stop();
}

// Runs effects until none is left, then gives the PDP what is new.
void LaneWorker::drive() {
  for (auto effects = core_->take_effects(); !effects.empty(); effects = core_->take_effects())
    for (LaneEffect& effect : effects) std::visit([this](auto& each) { run(each); }, effect);
  give_pdp();
  if (!is_published_) publish();
  arm_timer();
}

void LaneWorker::arm_timer() {
  const TimeMs deadline_ms = core_->next_deadline();
  timer_.cancel();
  if (deadline_ms == kNever) return;
  timer_.expires_after(std::chrono::milliseconds(
      std::clamp<TimeMs>(deadline_ms - read_clock().boot_ms, 0, limits::kWallWaitMs)));
  timer_.async_wait([this](boost::system::error_code error) {
    if (!error && core_) look_at_clock();
  });
}

void LaneWorker::look_at_clock() {
  core_->on_deadline(read_clock());
  drive();
}

// --- events

void LaneWorker::on_root(const std::optional<PublicKey>& lane_key) {
  core_->on_root(lane_key, read_clock());
  drive();
}

void LaneWorker::on_connected() {
  now_.is_connected = true;
  is_published_ = false;
  core_->on_connected(read_clock());
  drive();
}

void LaneWorker::on_disconnected() {
  now_.is_connected = false;
  is_published_ = false;
  core_->on_disconnected(read_clock());
  drive();
}

void LaneWorker::on_state(const wire::LaneState& state) {
  core_->on_state(state, read_clock());
  drive();
}

void LaneWorker::on_statement(const feed::SealedStatement& statement) {
  ++now_.statements;
  core_->on_statement(statement, read_clock());
  drive();
}

// What the table took for ended, it would go on to drop.
void LaneWorker::on_clock_set_back(TimeMs trusted_ms) {
  forget_all();
  to_pdp_.needs_whole = true;
  core_->on_clock_set_back(trusted_ms, read_clock());
  drive();
}

void LaneWorker::on_decided(uint64_t number, const Result<void>& outcome) {
  const auto found = to_pdp_.given.find(number);
  if (found == to_pdp_.given.end()) return;
  const uint64_t change = found->second;
  to_pdp_.given.erase(found);
  const bool is_last = number == to_pdp_.number;
  if (is_last) to_pdp_.is_under_way = false;
  if (outcome) {
    core_->on_decided(change, table_->tokens(), read_clock());
  } else {
    log::write(log::Level::kWarn, "lane_not_decided", outcome.error(), {{"lane", options_.lane}});
    if (is_last) to_pdp_.needs_whole = to_pdp_.is_lost = true;
  }
  drive();
}

// What is under way may wait for the whole table.
void LaneWorker::on_tokens_lost() {
  to_pdp_.needs_whole = to_pdp_.is_new = true;
  to_pdp_.is_lost = to_pdp_.is_under_way = false;
  drive();
}

void LaneWorker::ask(const feed::TokenId& id, const std::string& caller,
                     std::chrono::milliseconds wait, AskHandler done) {
  if (!core_) return done(AskOutcome::kNotAsked);
  const uint64_t number = ++last_waiter_;
  Waiter& waiter = waiters_[id].emplace_back(number, std::move(done),
                                             boost::asio::steady_timer(parts_.executor));
  waiter.deadline.expires_after(wait);
  waiter.deadline.async_wait(
      [this, id, number](boost::system::error_code) { give_up(id, number); });
  core_->ask(id, read_clock(), caller);
  drive();
}

TokenVerdict LaneWorker::judge(const TokenQuestion& question) const {
  const Now now = read_clock();
  return lane::judge(*table_, question,
                     std::max(now.wall_ms, trusted_ms(table_->readout(), now.boot_ms)));
}

// What was resolved is not there any more, even if its time had passed before.
void LaneWorker::give_up(const feed::TokenId& id, uint64_t number) {
  const auto found = waiters_.find(id);
  if (found == waiters_.end()) return;
  const auto waiter = std::ranges::find(found->second, number, &Waiter::number);
  if (waiter == found->second.end()) return;
  const AskHandler done = std::move(waiter->done);
  found->second.erase(waiter);
  if (found->second.empty()) waiters_.erase(found);
  done(AskOutcome::kNotAsked);
}

// --- effects

void LaneWorker::run(effect::Take& effect) {
  if (auto* const events = std::get_if<change::Events>(&effect.change)) {
    now_.events += events->events.size();
    refused_tokens(table_->apply(events->events));
  } else if (auto* const begins = std::get_if<change::SnapshotBegins>(&effect.change)) {
    table_->begin_snapshot(begins->as_of);
  } else if (auto* const rows = std::get_if<change::Rows>(&effect.change)) {
    now_.events += rows->snapshot.rows.size();
    refused_tokens(table_->apply_rows(rows->snapshot));
  } else if (auto* const forget = std::get_if<change::Forget>(&effect.change)) {
    table_->forget(forget->ids);
  } else {
    table_->end_snapshot();
  }
  is_published_ = false;
  to_pdp_.taken = effect.number;
  to_pdp_.is_new = true;
  writer_->add(std::move(effect));
}

void LaneWorker::refused_tokens(size_t count) {
  if (count == 0) return;
  if (now_.tokens_refused == 0)
    parts_.agent->raise({ErrorCode::kLimit,
                         fmt::format("the lane {} has more living tokens than this node keeps: the "
                                     "others are unknown here; narrow the node's grant, or ask for "
                                     "tokens (lane.mode: ask)",
                                     options_.lane),
                         {}});
  now_.tokens_refused += count;
}

void LaneWorker::run(effect::Show& effect) {
  table_->set_readout(std::move(effect.readout));
  to_pdp_.is_new = true;
  is_published_ = false;
}

void LaneWorker::run(effect::Expire& effect) {
  to_pdp_.is_new |= table_->expire(effect.now_s) > 0;
  const TimeMs boot_ms = read_clock().boot_ms;
  if (boot_ms >= expired_ms_ + limits::kLaneRowsExpiredMs) {
    expired_ms_ = boot_ms;
    writer_->expire(effect.now_s);
  }
  is_published_ = false;
}

void LaneWorker::run(effect::Resolved& effect) {
  const auto found = waiters_.find(effect.id);
  if (found == waiters_.end()) return;
  Waiters waiters = std::move(found->second);
  waiters_.erase(found);
  for (Waiter& waiter : waiters) {
    waiter.deadline.cancel();
    waiter.done(effect.outcome);
  }
}

void LaneWorker::run(effect::Alarm& effect) {
  now_.alarms[effect.topic] = effect.error.message;
  parts_.agent->raise(std::move(effect.error));
}

void LaneWorker::run(effect::AlarmOver& effect) { now_.alarms.erase(effect.topic); }

void LaneWorker::run(effect::StateChanged& effect) {
  log::write(effect.after == "live" ? log::Level::kInfo : log::Level::kWarn, "lane",
             {{"lane", options_.lane},
              {"state", effect.after},
              {"before", effect.before},
              {"lane_revision", core_->readout().revision}});
}

void LaneWorker::run(effect::Refused& effect) {
  ++now_.refused;
  log::write(log::Level::kWarn, "lane_statement_refused", effect.error, {{"lane", options_.lane}});
}

void LaneWorker::run(effect::FollowsAgain& effect) {
  log::info("lane_followed_again", {{"lane", options_.lane}, {"message", effect.why}});
}

// One update at a time: what comes meanwhile goes with the next one.
void LaneWorker::give_pdp() {
  if (to_pdp_.is_under_way || to_pdp_.is_lost || !to_pdp_.is_new) return;
  to_pdp_.is_new = false;
  to_pdp_.is_under_way = true;
  to_pdp_.given.emplace(++to_pdp_.number, to_pdp_.taken);
  TableUpdate update = table_->take_update();
  if (to_pdp_.needs_whole) update = table_->whole();
  to_pdp_.needs_whole = false;
  if (const auto trouble = table_->take_trouble()) {
    now_.trouble = trouble->message;
    log::write(log::Level::kError, "lane_table", *trouble, {{"lane", options_.lane}});
  }
  parts_.agent->decide(to_pdp_.number, std::move(update));
}

void LaneWorker::publish() {
  is_published_ = true;
  now_.readout = core_->readout();
  now_.is_in_snapshot = core_->is_in_snapshot();
  now_.acknowledged = core_->acknowledged();
  now_.tokens = table_->tokens();
  now_.tombstones = table_->tombstones();
  now_.marks = table_->marks();
  now_.lists = table_->lists();
  now_.memory_bytes = table_->memory_bytes();
  const LaneAsks& asks = core_->asks();
  now_.asked = asks.asked();
  now_.unanswered = asks.unanswered();
  now_.open = asks.open();
  now_.held = asks.held();
  status_.set(std::make_shared<const LaneStatus>(now_));
  if (parts_.on_status) parts_.on_status(now_);
}

}  // namespace notp::lane
