// The story of a world of token lanes: time, faults, and who meets whom.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>
#include <queue>
#include <tuple>
#include <utility>
#include <vector>

#include "tests/sim/lane_link.hpp"
#include "tests/sim/lane_node.hpp"
#include "tests/sim/lane_oracle.hpp"
#include "tests/sim/lane_registry.hpp"
#include "tests/sim/lane_truth.hpp"
#include "tests/sim/lane_world.hpp"

namespace notp::sim {
namespace {

constexpr TimeMs kSecondMs = 1'000, kMinuteMs = 60'000;
constexpr TimeMs kLivenessMs = 6 * kMinuteMs;  // after the last fault
constexpr uint64_t kEventsMax = 5'000'000;

struct NodeKind {
  const char* name;
  lane::LaneMode mode = lane::LaneMode::kPush;
  bool keeps_tokens = false;
};
constexpr size_t kAsks = 3;
constexpr std::array<NodeKind, 5> kNodes = {{{"all-1"},
                                             {"all-2", lane::LaneMode::kPush, true},
                                             {"filtered"},
                                             {"asks", lane::LaneMode::kAsk},
                                             {"stranger"}}};

class LaneWorld final : public LanePort {
 public:
  explicit LaneWorld(const LaneWorldOptions& options);
  LaneVerdict run();

 private:
  struct Event {
    TimeMs at_ms;
    uint64_t sequence;
    Action action;
    bool operator>(const Event& other) const {
      return std::tie(at_ms, sequence) > std::tie(other.at_ms, other.sequence);
    }
  };
  struct Place {
    std::unique_ptr<SimLaneNode> node;
    std::unique_ptr<LaneLink> link;
    TimeMs cut_until_ms = 0;
    bool is_dialling = false;
  };

  TimeMs time_ms() const override { return now_ms_; }
  void at(TimeMs delay_ms, Action action) override {
    events_.push({now_ms_ + delay_ms, sequence_++, std::move(action)});
  }
  void note(std::string_view what, size_t node, const std::string& detail = {}) override;
  void violation(size_t node, const std::string& text) override;
  bool faulty() const override { return options_.faults && !is_healed_; }
  void count(const char* what) { ++verdict_.counts[what]; }
  void run_until(TimeMs end_ms);

  SimLaneNode::Handlers handlers(size_t index);
  void dial(size_t index);
  void hang_up(size_t index);
  void boot_node(size_t index);
  void kill_node(size_t index, bool powers_off);
  void kill_registry(bool restores);
  void registry_died();
  void fault();
  void jump_node(size_t index);
  void jump_registry();
  // A node misses a few deletions, which the registry forgets meanwhile: its clock is ahead.
  void nap(size_t index);
  void correct_clock(size_t index);
  void heard(size_t index) {
    const SimLaneNode& node = *places_[index].node;
    oracle_.heard(node, std::min(registry_.signed_ms(), node.trusted_ms()));
  }
  void decide(size_t index);
  void live();
  void heal();
  void check_converged();

  const LaneWorldOptions options_;
  LaneVerdict verdict_;
  Sha256 trace_;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  TimeMs now_ms_ = kMinuteMs;
  uint64_t sequence_ = 0, links_ = 0;
  bool is_healed_ = false;
  TimeMs quiet_until_ms_ = 0;
  SimLaneRegistry registry_;
  LaneTruth truth_;
  LaneOracle oracle_;
  std::vector<Place> places_;
  HeardStatements relayed_;
  std::vector<SimLaneRegistry::Copy> copies_;
};

LaneWorld::LaneWorld(const LaneWorldOptions& options)
    : LanePort(options.seed),
      options_(options),
      registry_(*this, {.on_death = [this] { registry_died(); },
                        .on_sends =
                            [this] {
                              for (Place& place : places_)
                                if (place.link) place.link->pump();
                            }}),
      truth_(*this, registry_),
      oracle_(*this, registry_, truth_) {
  for (size_t i = 0; i < kNodes.size(); ++i) {
    places_.emplace_back();
    places_.back().node = std::make_unique<SimLaneNode>(*this, i, kNodes[i].name, kNodes[i].mode,
                                                        kNodes[i].keeps_tokens, handlers(i));
  }
}

void LaneWorld::note(std::string_view what, size_t node, const std::string& detail) {
  const std::string line =
      node == kRegistry ? fmt::format("{} registry: {} {}\n", now_ms_, what, detail)
                        : fmt::format("{} {}: {} {}\n", now_ms_, kNodes[node].name, what, detail);
  trace_.update(line);
  if (options_.trace) options_.trace(line);
  ++verdict_.counts[std::string(what)];
}

void LaneWorld::violation(size_t node, const std::string& text) {
  const char* const who = node == kRegistry ? "registry" : kNodes[node].name;
  verdict_.violations.push_back(
      fmt::format("seed {} at {} ms, {}: {}", options_.seed, now_ms_, who, text));
  note("VIOLATION", node, text);
}

void LaneWorld::run_until(TimeMs end_ms) {
  while (!events_.empty() && events_.top().at_ms <= end_ms && verdict_.events < kEventsMax &&
         verdict_.violations.size() < 20) {
    Event event = events_.top();
    events_.pop();
    now_ms_ = event.at_ms;
    ++verdict_.events;
    event.action();
  }
  now_ms_ = end_ms;
}

// --- nodes and their sessions

SimLaneNode::Handlers LaneWorld::handlers(size_t index) {
  const auto with_link = [this, index](auto&& say) {
    Place& place = places_[index];
    if (!place.link || !place.link->client().is_welcomed() || place.link->client().is_closed())
      return;
    say(*place.link);
    at(0, [this, index] {
      if (places_[index].link) places_[index].link->pump();
    });
  };
  return {.subscribe =
              [with_link](const wire::LaneSubscribe& subscribe) {
                with_link([&](LaneLink& link) { link.client().lane_subscribe(subscribe); });
              },
          .ask =
              [with_link](const wire::LaneAsk& ask) {
                with_link([&](LaneLink& link) { link.client().lane_ask(ask); });
              },
          .report =
              [this, index, with_link](const wire::LaneApplied& applied) {
                with_link([&](LaneLink& link) {
                  count("reports");
                  link.client().lane_applied(applied);
                  oracle_.reported(*places_[index].node, link.instance(), applied.revision);
                });
              },
          .resolved =
              [this, index](const feed::TokenId& id, lane::AskOutcome outcome) {
                if (outcome != lane::AskOutcome::kKnown) return;
                count("answers");
                const auto found = std::ranges::find(truth_.tokens(), id, &SimToken::id);
                if (found != truth_.tokens().end()) oracle_.decide(*places_[index].node, *found);
              }};
}

void LaneWorld::boot_node(size_t index) {
  places_[index].node->boot();
  dial(index);
}

void LaneWorld::dial(size_t index) {
  Place& place = places_[index];
  if (place.is_dialling) return;
  place.is_dialling = true;
  at(between(20, 1'500), [this, index] {
    Place& now = places_[index];
    now.is_dialling = false;
    if (!now.node->is_up() || now.link) return;
    if (!registry_.is_up() || now_ms_ < now.cut_until_ms) return dial(index);
    HeardStatements* const relay = faulty() && chance(4) ? &relayed_ : nullptr;
    note(relay ? "connects through a relay" : "connects", index);
    now.link = std::make_unique<LaneLink>(
        *this, registry_, *now.node, ++links_, relay,
        LaneLink::Handlers{.on_end = [this, index] { hang_up(index); },
                           .on_statement = [this, index] { heard(index); }});
    correct_clock(index);
  });
}

void LaneWorld::hang_up(size_t index) {
  Place& place = places_[index];
  if (!place.link) return;
  note("cut", index);
  // Kept until the event that it may be called from has ended.
  at(0, [link = std::shared_ptr<LaneLink>(std::move(place.link))] {});
  place.node->on_disconnected();
  dial(index);
}

void LaneWorld::kill_node(size_t index, bool powers_off) {
  Place& place = places_[index];
  if (!place.node->is_up()) return;
  count("kills of nodes");
  place.node->kill();
  if (powers_off) place.node->power_off();
  if (place.link) hang_up(index);
  at(between(20, chance(5) ? 300'000 : 4'000), [this, index] { boot_node(index); });
}

void LaneWorld::kill_registry(bool restores) {
  if (!registry_.is_up()) return;
  count("kills of the registry");
  registry_.kill();
  for (size_t i = 0; i < places_.size(); ++i) hang_up(i);
  if (restores && !copies_.empty()) {
    count("restores");
    registry_.restore(copies_[random().below(copies_.size())]);
    copies_.clear();
  }
  if (chance(3)) registry_.set_audience(chance(2) ? "api" : "web");
  at(between(20, chance(6) ? 1'200'000 : 8'000), [this] {
    if (!registry_.is_up()) registry_.boot();
  });
}

// In the middle of a transaction: its caller goes on.
void LaneWorld::registry_died() { kill_registry(false); }

// --- faults

void LaneWorld::jump_node(size_t index) {
  count("clock jumps");
  SimLaneNode& node = *places_[index].node;
  node.set_skew(between(-40 * kMinuteMs, chance(3) ? 40 * kMinuteMs : 8 * kMinuteMs));
  at(between(kSecondMs, 4 * kMinuteMs), [this, index] {
    places_[index].node->set_skew(0);
    at(between(0, kMinuteMs), [this, index] { correct_clock(index); });
  });
}

// The agent does so with a statement of freshness.
void LaneWorld::correct_clock(size_t index) {
  SimLaneNode& node = *places_[index].node;
  const bool is_ahead = node.is_up() && places_[index].link &&
                        node.trusted_ms() > node.now().wall_ms + limits::kClockSkewMs;
  const TimeMs off_ms = node.now().wall_ms - (kLaneWallStartMs + now_ms_);
  if (!is_ahead || off_ms != 0) return;
  oracle_.clock_set_back(node);
  node.set_clock_back();
  // Before it has everything again.
  for (TimeMs delay_ms = 20; delay_ms <= 400; delay_ms += 20)
    at(delay_ms, [this, index] { decide(index); });
}

void LaneWorld::jump_registry() {
  count("clock jumps");
  registry_.set_skew(between(-20 * kMinuteMs, 20 * kMinuteMs));
  truth_.registry_is_ahead();
  at(between(kSecondMs, 2 * kMinuteMs), [this] {
    registry_.set_skew(0);
    truth_.registry_is_ahead();
  });
}

void LaneWorld::nap(size_t index) {
  Place& place = places_[index];
  if (!place.link || !registry_.is_up()) return;
  count("naps");
  quiet_until_ms_ = now_ms_ + 100'000;
  const size_t tokens = 1 + random().below(2);
  for (size_t i = 0; i < tokens; ++i) truth_.make_token_deleted(between(4'000, 8'000));
  at(between(3'000, 7'000), [this, index] {
    places_[index].cut_until_ms = now_ms_ + 100'000;
    hang_up(index);
  });
  at(66'000, [this] {
    if (!faulty()) return;
    registry_.set_skew(59 * kMinuteMs);
    truth_.registry_is_ahead();
  });
  at(77'000, [this] {
    registry_.set_skew(0);
    truth_.registry_is_ahead();
  });
}

void LaneWorld::fault() {
  const size_t index = random().below(places_.size());
  Place& place = places_[index];
  switch (random().below(12)) {
    case 0:
    case 1:
      return kill_node(index, chance(4));
    case 2:
      return kill_registry(chance(4));
    case 3:
    case 4:
      if (!place.node->is_up() || !place.node->pdp()) return;
      count("kills of PDPs");
      return place.node->kill_pdp();
    case 5:
      place.cut_until_ms = now_ms_ + (chance(4) ? between(0, 20 * kMinuteMs) : between(0, 20'000));
      return hang_up(index);
    case 6:
      return hang_up(index);
    case 7:
      if (place.link) place.link->stall(now_ms_ + between(kSecondMs, kMinuteMs));
      if (chance(3))
        for (int i = 0; i < 4; ++i) truth_.publish_list(true);
      return;
    case 8:
      return jump_node(chance(3) ? kAsks : index);
    case 9:
      if (chance(2)) return jump_registry();
      return nap(index);
    case 10:
      if (registry_.is_up()) copies_.push_back(registry_.copy());
      return;
    default:
      truth_.publish_list(false);
  }
}

// --- what happens all the time

void LaneWorld::decide(size_t index) {
  SimLaneNode& node = *places_[index].node;
  const auto& tokens = truth_.tokens();
  for (int i = 0; i < 12 && !tokens.empty(); ++i) {
    // Newer ones more often.
    const uint64_t back = random().below(1 + random().below(tokens.size()));
    const SimToken& token = tokens[tokens.size() - 1 - back];
    oracle_.decide(node, token);
    if (node.mode() == lane::LaneMode::kAsk && node.is_up() && places_[index].link)
      node.ask(token.id);
  }
}

void LaneWorld::live() {
  if (is_healed_) return;
  // Nothing else happens while a node naps.
  const uint64_t what = now_ms_ < quiet_until_ms_ ? 100 : random().below(100);
  if (what < 55) truth_.make_token();
  if (what >= 55 && what < 60) truth_.revoke_subject();
  if (faulty() && what >= 60 && what < 66) fault();
  if (what == 70) truth_.publish_list(false);
  for (size_t i = 0; i < places_.size(); ++i)
    if (chance(3)) decide(i);
  oracle_.check_registry();
  at(chance(30) ? between(5'000, kMinuteMs) : between(0, 4'000), [this] { live(); });
}

void LaneWorld::heal() {
  is_healed_ = true;
  note("healed", kRegistry);
  registry_.set_skew(0);
  for (Place& place : places_) {
    place.node->set_skew(0);
    place.cut_until_ms = 0;
    if (place.link) place.link->stall(0);
  }
  // Sessions that a relay has made deaf end.
  for (size_t i = 0; i < places_.size(); ++i) hang_up(i);
  at(10'000, [this] {
    if (!registry_.is_up()) registry_.boot();
    for (size_t i = 0; i < places_.size(); ++i) correct_clock(i);
  });
  at(60'000, [this] {
    for (size_t i = 0; i < places_.size(); ++i) correct_clock(i);
  });
}

void LaneWorld::check_converged() {
  if (truth_.waiting() != 0)
    violation(kRegistry, fmt::format("{} events are not taken", truth_.waiting()));
  for (const Place& place : places_) {
    const auto mode =
        place.node->mode() == lane::LaneMode::kAsk ? wire::LaneMode::kAsk : wire::LaneMode::kPush;
    const auto grants = registry_.grants();
    const auto* const grant = lane::find_grant(
        grants, {std::string(kLaneDomain), session::Role::kNode, place.node->name()});
    std::optional<lane::GrantView> view;
    if (grant) view.emplace(kLane, *grant, mode);
    oracle_.check_converged(*place.node, view);
    for (const SimToken& token : truth_.tokens()) oracle_.decide(*place.node, token);
  }
}

LaneVerdict LaneWorld::run() {
  registry_.boot();
  for (size_t i = 0; i < places_.size(); ++i) boot_node(i);
  at(0, [this] { live(); });
  run_until(now_ms_ + static_cast<TimeMs>(options_.minutes) * kMinuteMs);
  heal();
  run_until(now_ms_ + kLivenessMs);
  check_converged();
  verdict_.counts["events of sources"] = truth_.sent();
  verdict_.counts["tokens"] = truth_.tokens().size();
  verdict_.counts["accepted"] = oracle_.accepted();
  verdict_.counts["denied"] = oracle_.denied();
  verdict_.trace_hash = trace_.finish();
  return std::move(verdict_);
}

}  // namespace

LaneVerdict& LaneVerdict::operator+=(const LaneVerdict& other) {
  events += other.events;
  for (const auto& [name, number] : other.counts) counts[name] += number;
  return *this;
}

LaneVerdict run_lane_world(const LaneWorldOptions& options) { return LaneWorld(options).run(); }

}  // namespace notp::sim
