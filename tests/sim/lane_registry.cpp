#include "tests/sim/lane_registry.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "notp-server/lane/fan_out.hpp"
#include "notp-server/lane/lane_limits.hpp"
#include "tests/support/wire/lane_samples.hpp"

namespace notp::sim {
namespace {

constexpr TimeMs kSecondMs = 1'000;

feed::TokenId instance_of(uint64_t number) {
  feed::TokenId id;
  std::memcpy(id.bytes.data(), &number, sizeof number);
  id.bytes.back() = 1;
  return id;
}

lane::Grant grant_for(const std::string& nodes, std::vector<std::string> audiences) {
  return {.nodes = {*session::IdentityPattern::parse("node/" + nodes, kLaneDomain)},
          .audiences = std::move(audiences),
          .clients = {},
          .attributes = lane::Attributes::all()};
}

}  // namespace

SimLaneRegistry::SimLaneRegistry(LanePort& port, Handlers handlers)
    : port_(port), handlers_(std::move(handlers)), store_(instance_of(1)) {
  histories_[store_.state().instance];
}

SimLaneRegistry::~SimLaneRegistry() = default;

Now SimLaneRegistry::now() const {
  return {kLaneWallStartMs + port_.time_ms() + skew_ms_, port_.time_ms()};
}

// Without the one for `stranger`.
std::vector<lane::Grant> SimLaneRegistry::grants() const {
  return {grant_for("filtered", {audience_}), grant_for("all-*", {}), grant_for("asks", {})};
}

void SimLaneRegistry::boot() {
  ++life_;
  fan_out_ = std::make_unique<lane::FanOut>(
      lane::LaneName{
          .trust_domain = std::string(kLaneDomain),
          .lane = std::string(kLane),
          .terms = {.hard_s = 900, .serves = false, .life_s = static_cast<uint64_t>(kLaneLifeS)}},
      grants(), store_, samples::lane_key());
  sweep_ms_ = now().boot_ms;
  port_.note(
      "registry up", kRegistry,
      fmt::format("{} of {}", store_.state().head, store_.state().instance.hex().substr(0, 4)));
  wake(0);
}

void SimLaneRegistry::kill() {
  ++life_;
  fan_out_.reset();
  readers_ = {};
  posted_.clear();
  incoming_.clear();
  woken_ms_ = kNever;
  port_.note("registry down", kRegistry);
}

void SimLaneRegistry::restore(const Copy& copy) {
  store_ = copy.store;
  store_.renew_instance(instance_of(++instances_));
  histories_[store_.state().instance] = copy.history;
  port_.note("restored", kRegistry, std::to_string(store_.state().head));
}

void SimLaneRegistry::set_skew(TimeMs skew_ms) {
  skew_ms_ = skew_ms;
  port_.note("registry clock", kRegistry, std::to_string(skew_ms));
}

// --- from sources and sessions

void SimLaneRegistry::take(std::string source, lane::IncomingEvent event, Ack ack) {
  if (!is_up()) return ack(fail(ErrorCode::kUnavailable, "the registry is down"));
  incoming_.push_back({std::move(source), std::move(event), std::move(ack)});
  wake(port_.between(0, 4));
}

void SimLaneRegistry::post(std::function<void(Now)> event) {
  if (!is_up()) return;
  posted_.push_back(std::move(event));
  wake(port_.between(0, 3));
}

void SimLaneRegistry::subscribe(serve::LaneReader reader, const session::Identity& identity,
                                wire::LaneSubscribe wanted) {
  post([this, reader, identity, wanted](Now now) {
    fan_out_->subscribe(reader, identity, wanted, now);
  });
}
void SimLaneRegistry::fell_behind(serve::LaneReader reader, uint64_t revision) {
  post([this, reader, revision](Now now) { fan_out_->fell_behind(reader, revision, now); });
}
void SimLaneRegistry::drained(serve::LaneReader reader) {
  post([this, reader](Now now) { fan_out_->drained(reader, now); });
}
void SimLaneRegistry::ask(serve::LaneReader reader, std::vector<feed::TokenId> ids) {
  post([this, reader, ids = std::move(ids)](Now now) { fan_out_->ask(reader, ids, now); });
}
void SimLaneRegistry::applied(serve::LaneReader reader, const wire::LaneApplied& applied) {
  post([this, reader, applied](Now) { fan_out_->applied(reader, applied); });
}
void SimLaneRegistry::closed(uint64_t reader) {
  post([this, reader](Now) { fan_out_->closed(reader); });
}

// --- its thread

void SimLaneRegistry::wake(TimeMs delay_ms) {
  const TimeMs at_ms = port_.time_ms() + delay_ms;
  if (at_ms >= woken_ms_) return;
  woken_ms_ = at_ms;
  port_.at(delay_ms, [this, life = life_, at_ms] {
    if (life != life_ || woken_ms_ != at_ms) return;
    woken_ms_ = kNever;
    turn();
  });
}

// As LaneHost::run().
void SimLaneRegistry::turn() {
  signed_ms_ = std::max(signed_ms_, now().wall_ms);
  for (const auto& event : std::exchange(posted_, {})) event(now());
  if (!incoming_.empty()) commit();
  if (!is_up()) return;
  const Now now = this->now();
  if (now.boot_ms >= sweep_ms_) sweep(now);
  if (now.boot_ms >= fan_out_->next_deadline()) fan_out_->on_deadline(now);
  if (fan_out_->has_work()) fan_out_->work(now);
  deliver();
  if (fan_out_->has_work()) return wake(1);
  const TimeMs next_ms = std::min(fan_out_->next_deadline(), sweep_ms_);
  wake(std::max<TimeMs>(0, next_ms - now.boot_ms));
}

void SimLaneRegistry::commit() {
  const lane::IntakeRules rules(
      {.life_max_s = kLaneLifeS, .attributes = lane::Attributes::all(), .tokens_max = 100'000});
  std::vector<Incoming> taken = std::exchange(incoming_, {});
  std::vector<lane::Row> rows;
  std::vector<lane::IntakeOutcome> outcomes;
  (void)store_.begin();
  for (const Incoming& one : taken) {
    lane::Ruling ruling = *rules.apply(one.source, one.event, now().wall_ms / kSecondMs, store_);
    outcomes.push_back({.revision = 0, .refused = {std::move(ruling.refused)}});
    if (ruling.row) rows.push_back(*std::move(ruling.row));
  }
  const bool dies = port_.faulty() && port_.chance(150);
  if (dies && port_.chance(2)) {
    store_.roll_back();
    return handlers_.on_death();
  }
  (void)store_.commit();
  LaneHistory& history = histories_[store_.state().instance];
  history.insert(history.end(), rows.begin(), rows.end());
  if (dies) return handlers_.on_death();
  fan_out_->committed(std::move(rows), now());
  for (size_t i = 0; i < taken.size(); ++i) {
    outcomes[i].revision = store_.state().head;
    taken[i].ack(std::move(outcomes[i]));
  }
}

void SimLaneRegistry::sweep(Now now) {
  (void)store_.begin();
  const size_t removed = *store_.remove_ended(now.wall_ms / kSecondMs, lane::kSweepRowsMax);
  (void)store_.commit();
  if (removed > 0)
    port_.note("swept", kRegistry,
               fmt::format("{}, compacted {}", removed, store_.state().compacted));
  sweep_ms_ = now.boot_ms + lane::kSweepMs;
}

void SimLaneRegistry::deliver() {
  auto sends = fan_out_->take_effects();
  if (sends.empty()) return;
  port_.at(0, [this, life = life_, sends = std::move(sends)] {
    if (life != life_) return;
    readers_.deliver(sends);
    handlers_.on_sends();
  });
}

}  // namespace notp::sim
