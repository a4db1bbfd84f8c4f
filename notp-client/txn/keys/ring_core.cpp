#include "notp-client/txn/keys/ring_core.hpp"

#include <algorithm>
#include <utility>

namespace notp::txn {

std::string_view key_state_name(KeyState state) {
  switch (state) {
    case KeyState::kPrepared:
      return "prepared";
    case KeyState::kPublished:
      return "published";
    case KeyState::kInUse:
      return "in_use";
    case KeyState::kRetired:
      return "retired";
  }
  return "unknown";
}

// A key that was used in the future, since the clock was set back, counts as used just now.
RingCore::RingCore(RingOptions options, std::vector<KeyRecord> records, Now now)
    : options_(options), seen_boot_ms_(now.boot_ms) {
  for (KeyRecord& record : records) {
    Key& key = keys_.emplace_back();
    key.record = std::move(record);
    key.begin_boot_ms = now.boot_ms;
    if (key.is_spare()) key.record.state = KeyState::kPrepared;
    // What it signed before is not known.
    if (!key.is_spare()) key.until_boot_ms = now.boot_ms + options_.life_ms;
    if (key.record.state == KeyState::kInUse)
      key.begin_boot_ms -=
          std::clamp<TimeMs>(now.wall_ms - key.record.used_ms, 0, options_.rotate_ms);
  }
  // Of two in use the newer one is: a crash between their records is not possible, a person is.
  Key* newest = nullptr;
  for (Key& key : keys_) {
    if (key.record.state != KeyState::kInUse) continue;
    if (newest) retire(*newest, now);
    newest = &key;
  }
  drive(now);
}

void RingCore::on_made(KeyRecord record, Now now) {
  making_ = false;
  keys_.emplace_back().record = std::move(record);
  hint_boot_ms_ = std::min(hint_boot_ms_, now.boot_ms);
  drive(now);
}

void RingCore::on_make_failed(Now now) {
  making_ = false;
  retry_boot_ms_ = now.boot_ms + limits::kRingRetryMs;
  drive(now);
}

void RingCore::on_persist_failed(Now now) {
  unkept_ = true;
  retry_boot_ms_ = now.boot_ms + limits::kRingRetryMs;
  drive(now);
}

void RingCore::on_active(ActiveKeys active, Now now) {
  for (Key& key : keys_) {
    const bool is_in = active.version != 0 && active.kids.contains(key.record.kid);
    if (!is_in) {
      key.version = 0;
      key.acknowledged = false;
      if (key.is_spare()) key.record.state = KeyState::kPrepared;
      continue;
    }
    if (key.version == 0) {
      key.version = active.version;
      key.wait_boot_ms =
          now.boot_ms + (active.fresh_ms > 0 ? limits::kRingFreshTimes * active.fresh_ms
                                             : limits::kRingUnackedMs);
    }
    if (key.is_spare()) key.record.state = KeyState::kPublished;
  }
  gone_is_active_ = active.version != 0 && active.kids.contains(gone_);
  if (!gone_is_active_) gone_.clear();
  ask_boot_ms_ = now.boot_ms;
  drive(now);
}

void RingCore::on_status(uint64_t version, const wire::ReleaseStatus& status, Now now) {
  const bool have_it =
      status.connected > 0 && status.active == status.connected && status.reconnecting == 0;
  if (have_it)
    for (Key& key : keys_)
      if (key.version != 0 && key.version <= version) {
        key.acknowledged = true;
        key.ack_boot_ms = now.boot_ms;
      }
  drive(now);
}

void RingCore::on_signed(std::string_view kid, TimeMs until_boot_ms) {
  for (Key& key : keys_)
    if (key.record.kid == kid) {
      key.until_boot_ms = std::max(key.until_boot_ms, until_boot_ms);
      key.lives_known = true;
    }
}

Result<void> RingCore::revoke(std::string_view kid, Now now) {
  const auto found = std::ranges::find(keys_, kid, [](const Key& key) { return key.record.kid; });
  if (found == keys_.end())
    return fail(ErrorCode::kNotFound, "this service has no such key: it lists those that it has");
  const bool was_current = found->record.state == KeyState::kInUse;
  effects_.emplace_back(ring_effect::Persist{});
  effects_.emplace_back(ring_effect::Delete{found->record.kid});
  // A fetch that has the last one gone has those before it gone, too. One that no release has, as a
  // spare right after it was made, does not take the place of one that a release has.
  if (gone_.empty() || found->version != 0) {
    gone_ = found->record.kid;
    gone_is_active_ = found->version != 0;
  }
  keys_.erase(found);
  hint_boot_ms_ = now.boot_ms;
  drive(now);
  if (was_current && current().empty()) effects_.emplace_back(ring_effect::Changed{});
  return {};
}

void RingCore::on_deadline(Now now) { drive(now); }

void RingCore::drive(Now now) {
  seen_boot_ms_ = now.boot_ms;
  if (unkept_ && now.boot_ms >= retry_boot_ms_) {
    unkept_ = false;
    effects_.emplace_back(ring_effect::Persist{});
  }
  remove_ended(now);
  rotate(now);
  if (now.boot_ms >= retry_boot_ms_) make_spares();
  ask(now);
  hint(now);
  set_deadline(now);
}

// What was being signed when it retired may not be known yet.
TimeMs RingCore::end_ms(const Key& retired) const {
  const TimeMs after_ms = retired.lives_known ? limits::kTxnSkewMs : options_.life_ms;
  return std::max(retired.until_boot_ms, retired.begin_boot_ms + after_ms) + limits::kTxnSkewMs;
}

void RingCore::remove_ended(Now now) {
  const auto has_ended = [&](const Key& key) {
    return key.record.state == KeyState::kRetired && now.boot_ms >= end_ms(key);
  };
  std::vector<std::string> ended;
  for (const Key& key : keys_)
    if (has_ended(key)) ended.push_back(key.record.kid);
  if (ended.empty()) return;
  std::erase_if(keys_, has_ended);
  effects_.emplace_back(ring_effect::Persist{});
  for (std::string& kid : ended) effects_.emplace_back(ring_effect::Delete{std::move(kid)});
}

bool RingCore::is_ready(const Key& key, TimeMs boot_ms) const {
  if (key.record.state != KeyState::kPublished) return false;
  return key.acknowledged || boot_ms >= key.wait_boot_ms;
}

bool RingCore::is_ready(std::string_view kid) const {
  return std::ranges::any_of(
      keys_, [&](const Key& key) { return key.record.kid == kid && is_ready(key, seen_boot_ms_); });
}

TimeMs RingCore::due_ms() const {
  const Key* const current = find(KeyState::kInUse);
  return current ? current->begin_boot_ms + options_.rotate_ms : 0;
}

// While a key signs there is time to ask once more.
bool RingCore::may_follow(const Key& next, TimeMs boot_ms) const {
  if (!is_ready(next, boot_ms)) return false;
  const TimeMs due = due_ms();
  if (due == 0) return true;
  if (boot_ms < due) return false;
  if (next.acknowledged && boot_ms <= next.ack_boot_ms + limits::kRingAckMs) return true;
  return boot_ms >= std::max(next.wait_boot_ms, due + limits::kRingComeMs);
}

void RingCore::retire(Key& key, Now now) {
  key.record.state = KeyState::kRetired;
  key.record.retired_ms = now.wall_ms;
  key.begin_boot_ms = now.boot_ms;
}

// A key in use goes on until its successor may be used, however long that takes.
void RingCore::rotate(Now now) {
  const auto next =
      std::ranges::find_if(keys_, [&](const Key& key) { return may_follow(key, now.boot_ms); });
  if (next == keys_.end()) return;
  const bool is_fresh = now.boot_ms <= next->ack_boot_ms + limits::kRingAckMs;
  const bool have_it = next->acknowledged && (is_fresh || due_ms() == 0);
  if (Key* const current = find(KeyState::kInUse)) retire(*current, now);
  next->record.state = KeyState::kInUse;
  next->record.used_ms = now.wall_ms;
  next->begin_boot_ms = now.boot_ms;
  effects_.emplace_back(ring_effect::Persist{});
  effects_.emplace_back(ring_effect::Changed{next->record.kid, !have_it});
}

size_t RingCore::spares_wanted() const {
  const TimeMs during = limits::kRingPublishMs / std::max<TimeMs>(options_.rotate_ms, 1);
  return std::clamp(static_cast<size_t>(during) + limits::kRingSparesMin, limits::kRingSparesMin,
                    limits::kRingSparesMax);
}

void RingCore::make_spares() {
  if (making_ || keys_.size() >= limits::kRingKeysMax) return;
  const auto spares = std::ranges::count_if(keys_, [](const Key& key) { return key.is_spare(); });
  if (static_cast<size_t>(spares) >= spares_wanted()) return;
  making_ = true;
  effects_.emplace_back(ring_effect::Make{});
}

// The oldest one that nodes may lack: a newer release is asked about once they have this one. When
// a rotation is due, the next key.
void RingCore::ask(Now now) {
  if (now.boot_ms < ask_boot_ms_) return;
  const bool is_due = now.boot_ms >= due_ms();
  const auto waiting = std::ranges::find_if(keys_, [&](const Key& key) {
    return key.record.state == KeyState::kPublished && (is_due || !is_ready(key, now.boot_ms));
  });
  if (waiting == keys_.end()) return;
  ask_boot_ms_ = now.boot_ms + limits::kRingAskMs;
  effects_.emplace_back(ring_effect::Ask{waiting->version});
}

void RingCore::hint(Now now) {
  const auto lacking = std::ranges::find(keys_.rbegin(), keys_.rend(), KeyState::kPrepared,
                                         [](const Key& key) { return key.record.state; });
  if ((gone_.empty() && lacking == keys_.rend()) || now.boot_ms < hint_boot_ms_) return;
  hint_boot_ms_ = now.boot_ms + limits::kRingHintMs;
  // The registry may know a key that is only lacking here.
  effects_.emplace_back(
      ring_effect::Hint{gone_.empty() ? lacking->record.kid : gone_ + "-revoked"});
  if (!gone_is_active_) gone_.clear();
}

void RingCore::set_deadline(Now now) {
  deadline_ms_ = kNever;
  const auto by = [&](TimeMs boot_ms) {
    deadline_ms_ = std::min(deadline_ms_, std::max(boot_ms, now.boot_ms + 1));
  };
  if (now.boot_ms < retry_boot_ms_) by(retry_boot_ms_);
  if (!gone_.empty()) by(hint_boot_ms_);
  const TimeMs due = due_ms();
  for (const Key& key : keys_) {
    if (key.record.state == KeyState::kRetired) by(end_ms(key));
    if (key.record.state == KeyState::kPrepared) by(hint_boot_ms_);
    if (key.record.state != KeyState::kPublished) continue;
    if (is_ready(key, now.boot_ms)) {
      by(std::max(due, ask_boot_ms_));
    } else {
      by(key.wait_boot_ms);
      by(ask_boot_ms_);
    }
  }
}

std::string_view RingCore::current() const {
  const Key* const key = find(KeyState::kInUse);
  return key ? std::string_view(key->record.kid) : std::string_view();
}

std::vector<KeyRecord> RingCore::records() const {
  std::vector<KeyRecord> out;
  for (const Key& key : keys_) out.push_back(key.record);
  return out;
}

RingCore::Key* RingCore::find(KeyState state) {
  return const_cast<Key*>(std::as_const(*this).find(state));
}

const RingCore::Key* RingCore::find(KeyState state) const {
  const auto found =
      std::ranges::find(keys_, state, [](const Key& key) { return key.record.state; });
  return found == keys_.end() ? nullptr : &*found;
}

}  // namespace notp::txn
