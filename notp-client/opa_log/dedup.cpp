#include "notp-client/opa_log/dedup.hpp"

#include <algorithm>

namespace notp::opa_log {
namespace {

constexpr size_t kSlotsMin = 64;

}  // namespace

size_t KeySet::slot_of(const EventKey& key) const {
  size_t slot = home_of(key);
  while (slots_[slot] != kFree && keys_[slots_[slot]] != key)
    slot = (slot + 1) & (slots_.size() - 1);
  return slot;
}

bool KeySet::contains(const EventKey& key) const {
  return !slots_.empty() && slots_[slot_of(key)] != kFree;
}

void KeySet::grow() {
  slots_.assign(std::max(kSlotsMin, slots_.size() * 2), kFree);
  for (uint32_t i = 0; i < keys_.size(); ++i) slots_[slot_of(keys_[i])] = i;
}

// Moves the keys behind the slot that would not be found any more.
void KeySet::remove_slot(size_t slot) {
  const size_t mask = slots_.size() - 1;
  for (size_t next = (slot + 1) & mask; slots_[next] != kFree; next = (next + 1) & mask) {
    const size_t home = home_of(keys_[slots_[next]]);
    if (((next - home) & mask) < ((next - slot) & mask)) continue;
    slots_[slot] = slots_[next];
    slot = next;
  }
  slots_[slot] = kFree;
}

bool KeySet::insert(const EventKey& key) {
  if (contains(key)) return false;
  if (keys_.size() < capacity_) {
    keys_.push_back(key);
    if (keys_.size() * 2 > slots_.size())
      grow();
    else
      slots_[slot_of(key)] = static_cast<uint32_t>(keys_.size() - 1);
    return true;
  }
  remove_slot(slot_of(keys_[oldest_]));
  keys_[oldest_] = key;
  slots_[slot_of(key)] = static_cast<uint32_t>(oldest_);
  oldest_ = (oldest_ + 1) % capacity_;
  return true;
}

KeySet& KnownEvents::set_of(const std::string& instance) {
  const auto found = std::ranges::find(instances_, instance, &Instance::name);
  if (found != instances_.end()) {
    instances_.splice(instances_.end(), instances_, found);
  } else {
    if (instances_.size() == instances_max_) instances_.pop_front();
    instances_.emplace_back(instance, KeySet(keys_max_));
  }
  return instances_.back().keys;
}

bool KnownEvents::contains(const std::string& instance, const EventKey& key) const {
  if (unattributed_.contains(key)) return true;
  const auto found = std::ranges::find(instances_, instance, &Instance::name);
  return found != instances_.end() && found->keys.contains(key);
}

bool KnownEvents::contains_anywhere(const EventKey& key) const {
  return unattributed_.contains(key) || std::ranges::any_of(instances_, [&](const Instance& one) {
           return one.keys.contains(key);
         });
}

bool KnownEvents::insert(const std::string& instance, const EventKey& key) {
  return instance.empty() ? unattributed_.insert(key) : set_of(instance).insert(key);
}

std::vector<std::string> KnownEvents::instances() const {
  std::vector<std::string> names;
  for (const Instance& instance : instances_) names.push_back(instance.name);
  return names;
}

}  // namespace notp::opa_log
