#include "tests/sim/key_world.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace notp::txn {
namespace {

constexpr TimeMs kStepMs = 250, kRotateMs = 40'000, kFreshMs = 60'000, kTokenLifeMs = 300'000;
constexpr TimeMs kReconnectMs = 120'000, kHintFloorMs = 30'000, kFetchMs = 600'000;
constexpr size_t kNodes = 6;

}  // namespace

KeyWorld::KeyWorld(uint64_t seed, KeyFaults faults) : random_(seed), faults_(faults) {
  nodes_.resize(kNodes);
  if (faults_.rejecting) nodes_.back().takes = false;
  for (Node& node : nodes_) node.since_ms = wall_ms_ - kReconnectMs;
  registry_since_ms_ = wall_ms_ - kReconnectMs;
  start_service();
}

void KeyWorld::run(int steps) {
  for (int i = 0; i < steps && violations.empty(); ++i) step(/*quiet=*/false);
}

void KeyWorld::settle() {
  nodes_.back().takes = true;
  const uint64_t before = changes;
  for (int i = 0; i < 8'000 && violations.empty(); ++i) step(/*quiet=*/true);
  if (changes < before + 5) violate("no key changes although nothing fails");
}

void KeyWorld::violate(const std::string& what) {
  violations.push_back(fmt::format("at {} s: {}", (wall_ms_ - 1'000'000'000) / 1000, what));
}

bool KeyWorld::has(uint64_t version, const std::string& kid) const {
  return releases_[version].contains(kid);
}

std::set<std::string, std::less<>> KeyWorld::served() const {
  std::set<std::string, std::less<>> out;
  if (ring_)
    for (const KeyRecord& record : ring_->records()) out.insert(record.kid);
  return out;
}

void KeyWorld::step(bool quiet) {
  wall_ms_ += kStepMs;
  registry_step(quiet);
  nodes_step(quiet);
  service_step(quiet);
  check();
}

// As notp-server/sources and Fleet do.
void KeyWorld::registry_step(bool quiet) {
  if (faults_.outages && !quiet && pick(4'000) == 0) {
    registry_since_ms_ = wall_ms_;
    for (Node& node : nodes_)
      if (node.connected) {
        node.connected = false;
        node.since_ms = wall_ms_;
      }
  }
  if (!ring_ || wall_ms_ < fetch_at_ms_) return;
  fetch_at_ms_ = wall_ms_ + kFetchMs;
  const auto keys = served();
  if (keys != releases_.back() && !keys.empty()) releases_.push_back(keys);
}

wire::ReleaseStatus KeyWorld::status_of(uint64_t version) const {
  wire::ReleaseStatus out;
  for (const Node& node : nodes_) {
    ++out.nodes;
    const TimeMs seen_ms = node.connected ? wall_ms_ : std::max(node.since_ms, registry_since_ms_);
    if (node.connected) {
      ++out.connected;
      if (node.reported >= version) ++out.active;
    } else if (node.reported < version && seen_ms > wall_ms_ - kReconnectMs) {
      ++out.reconnecting;
    }
  }
  return out;
}

void KeyWorld::nodes_step(bool quiet) {
  const uint64_t head = releases_.size() - 1;
  for (Node& node : nodes_) {
    if (faults_.outages && !quiet && node.connected && pick(1'500) == 0) {
      node.connected = false;
      node.since_ms = wall_ms_;
    } else if (!node.connected && (quiet || pick(200) == 0)) {
      node.connected = true;
      node.since_ms = wall_ms_;
    }
    if (!node.connected) continue;
    if (node.reported < node.active && chance(50)) node.reported = node.active;
    if (node.takes && node.active < head && chance(30)) ++node.active;
  }
}

void KeyWorld::start_service() {
  // As KeyRing::load().
  std::erase_if(disk_, [&](const KeyRecord& record) { return !pems_.contains(record.kid); });
  std::erase_if(pems_, [&](const std::string& kid) {
    return std::ranges::find(disk_, kid, &KeyRecord::kid) == disk_.end();
  });
  answer_.reset();
  shown_version_ = 0;
  ring_.emplace(RingOptions{.rotate_ms = kRotateMs, .life_ms = kTokenLifeMs}, disk_, now());
  drive();
}

void KeyWorld::service_step(bool quiet) {
  if (!ring_) return start_service();
  if (faults_.clocks && !quiet && pick(2'000) == 0)
    wall_shift_ms_ = static_cast<TimeMs>(pick(4'000'000)) * 1'000 - 500'000'000;
  if (nodes_[0].active != shown_version_) {
    shown_version_ = nodes_[0].active;
    for (const std::string& kid : releases_[shown_version_]) seen_ms_.try_emplace(kid, wall_ms_);
    ring_->on_active({shown_version_, kFreshMs, releases_[shown_version_]}, now());
    drive();
    if (!ring_) return;
  }
  if (answer_ && wall_ms_ >= answer_->due_ms) {
    const Answer answer = *answer_;
    acked_asked_ms_ = answer.asked_ms;
    ring_->on_status(answer.version, answer.status, now());
    drive();
    if (!ring_) return;
    answer_.reset();
  }
  if (faults_.revokes && !quiet && pick(1'500) == 0) {
    const auto records = ring_->records();
    const std::string kid = records.empty() ? "" : records[pick(records.size())].kid;
    if (!kid.empty()) {
      revoking_ = true;
      may_be_gone_.insert(kid);
      if (!ring_->revoke(kid, now())) violate(kid + " cannot be revoked");
      // It counts once it was answered, that is after all effects.
      drive();
      revoking_ = false;
      if (!ring_) return;
      ++revoked;
      revoked_kids_.insert(kid);
    }
  }
  if (now().boot_ms >= ring_->next_deadline()) {
    ring_->on_deadline(now());
    drive();
  }
  if (!ring_) return;
  const std::string kid(ring_->current());
  if (kid.empty()) {
    ++gaps;
  } else {
    const TimeMs life_ms = static_cast<TimeMs>(pick(kTokenLifeMs));
    TimeMs& end_ms = token_ends_[kid];
    end_ms = std::max(end_ms, wall_ms_ + life_ms);
    if (faults_.lives_known) ring_->on_signed(kid, now().boot_ms + life_ms);
  }
}

void KeyWorld::drive() {
  for (auto effects = ring_->take_effects(); !effects.empty(); effects = ring_->take_effects())
    for (const RingEffect& effect : effects) {
      if (faults_.kills && pick(60) == 0) {
        ring_.reset();
        ++restarts;
        return;
      }
      if (!run(effect)) return;
    }
}

// False: the service was killed in it.
bool KeyWorld::run(const RingEffect& effect) {
  if (std::holds_alternative<ring_effect::Make>(effect)) {
    const KeyRecord record{
        .kid = fmt::format("key-{}", ++made_), .alg = "ES256", .made_ms = now().wall_ms};
    disk_ = ring_->records();
    disk_.push_back(record);
    if (faults_.kills && pick(20) == 0) {
      ring_.reset();
      ++restarts;
      return false;
    }
    pems_.insert(record.kid);
    ring_->on_made(record, now());
  } else if (std::holds_alternative<ring_effect::Persist>(effect)) {
    disk_ = ring_->records();
  } else if (const auto* gone = std::get_if<ring_effect::Delete>(&effect)) {
    pems_.erase(gone->kid);
    ++removed;
  } else if (const auto* ask = std::get_if<ring_effect::Ask>(&effect)) {
    if (nodes_[0].connected)
      answer_ = Answer{ask->version, status_of(ask->version), wall_ms_,
                       wall_ms_ + static_cast<TimeMs>(pick(800))};
  } else if (std::holds_alternative<ring_effect::Hint>(effect)) {
    if (nodes_[0].connected) {
      fetch_at_ms_ = std::min(fetch_at_ms_, std::max(wall_ms_, hint_free_ms_));
      hint_free_ms_ = fetch_at_ms_ + kHintFloorMs;
    }
  } else {
    changed(std::get<ring_effect::Changed>(effect));
  }
  return true;
}

void KeyWorld::changed(const ring_effect::Changed& effect) {
  if (effect.kid.empty()) return;
  ++changes;
  if (effect.waited) ++waited;
  if (!has(nodes_[0].active, effect.kid))
    violate(effect.kid + " signs before this node decides with it");
  if (effect.waited && wall_ms_ < seen_ms_[effect.kid] + 2 * kFreshMs)
    violate(effect.kid + " signs although nodes may still come");
  // Its successor signs at once, by what was known of it.
  if (effect.waited || revoking_) return;
  for (const Node& node : nodes_) {
    // Known offline when the registry answered; or it has come, or come and gone, since.
    const bool is_offline = !node.connected && node.since_ms <= acked_asked_ms_ - kReconnectMs;
    const bool has_come = node.since_ms >= acked_asked_ms_;
    if (!is_offline && !has_come && !has(node.active, effect.kid))
      violate(fmt::format("{} signs, and a node that is here lacks it", effect.kid));
  }
}

void KeyWorld::check() {
  if (!ring_) return;
  const auto keys = served();
  std::erase_if(token_ends_,
                [&](const auto& each) { return each.second + limits::kTxnSkewMs <= wall_ms_; });
  for (const auto& [kid, end_ms] : token_ends_)
    if (!keys.contains(kid) && !may_be_gone_.contains(kid))
      return violate(kid + " is removed although its tokens live");
  for (const std::string& kid : revoked_kids_)
    if (keys.contains(kid)) return violate(kid + " is back although it was revoked");
  if (keys.size() > limits::kRingKeysMax) violate("too many keys");
  if (!ring_->current().empty() && !pems_.contains(std::string(ring_->current())))
    violate("the key that signs is not on the disk");
  const auto records = ring_->records();
  if (std::ranges::count(records, KeyState::kInUse, &KeyRecord::state) > 1)
    violate("two keys sign");
}

}  // namespace notp::txn
