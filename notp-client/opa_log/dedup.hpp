// Which events of OPA the log already has: an exact set of the newest of each instance.
#pragma once

#include <cstdint>
#include <list>
#include <span>
#include <string>
#include <vector>

#include "notp-client/opa_log/event_key.hpp"

namespace notp::opa_log {

// What an OPA can still send again: at 3,000 decisions a second those of six minutes. OPA sends an
// upload again until it is accepted, and a file is read again from the last durable position.
inline constexpr size_t kKeysMax = 1 << 20;
// Processes of OPA: of those at this agent, and of those before a restart.
inline constexpr size_t kInstancesMax = 16;

// The newest `capacity` keys in the order of their arrival: 24 bytes of memory for each. One
// thread.
class KeySet {
 public:
  explicit KeySet(size_t capacity = kKeysMax) : capacity_(capacity) {}

  bool contains(const EventKey& key) const;
  // False: it was there, and keeps its place. The oldest key makes room.
  bool insert(const EventKey& key);
  size_t size() const { return keys_.size(); }

 private:
  static constexpr uint32_t kFree = UINT32_MAX;

  size_t home_of(const EventKey& key) const { return HashOfKey()(key) & (slots_.size() - 1); }
  // Returns the slot of the key, or the free one where it belongs.
  size_t slot_of(const EventKey& key) const;
  void grow();
  void remove_slot(size_t slot);

  const size_t capacity_;
  std::vector<EventKey> keys_;   // a ring once it has capacity_ keys
  size_t oldest_ = 0;            // in the full ring
  std::vector<uint32_t> slots_;  // open addressing over keys_; a power of two, at most half full
};

// The sets of all instances; the one that was used longest ago makes room. One thread.
class KnownEvents {
 public:
  explicit KnownEvents(size_t keys_max = kKeysMax, size_t instances_max = kInstancesMax)
      : keys_max_(keys_max), instances_max_(instances_max), unattributed_(keys_max) {}

  // Keys without an instance, "", are known of every one.
  bool contains(const std::string& instance, const EventKey& key) const;
  bool contains_anywhere(const EventKey& key) const;
  bool insert(const std::string& instance, const EventKey& key);

  // The instances, without "".
  std::vector<std::string> instances() const;

 private:
  struct Instance {
    std::string name;
    KeySet keys;
  };
  KeySet& set_of(const std::string& instance);

  const size_t keys_max_, instances_max_;
  std::list<Instance> instances_;  // the one used last at the end; few
  KeySet unattributed_;
};

}  // namespace notp::opa_log
