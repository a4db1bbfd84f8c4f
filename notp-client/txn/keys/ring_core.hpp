// The life of the keys that sign Txn-Tokens. Pure.
//
//   prepared   its private part is on the disk; its public part is in the service's key set
//   published  this node decides with a release of the keys ledger that has it
//   in use     it signs: all nodes that may verify have that release
//   retired    it signs no more, and stays in the key set until the last token that it signed ends
//
// Then it is removed. One key signs at a time; spares are published ahead, so that a key that is
// revoked has a successor at once.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/clock.hpp"
#include "common/result.hpp"
#include "notp-client/txn/keys/ring_limits.hpp"
#include "notp-client/txn/txn_limits.hpp"
#include "protocol/wire/messages/nodes.hpp"

namespace notp::txn {

enum class KeyState : uint8_t { kPrepared, kPublished, kInUse, kRetired };
std::string_view key_state_name(KeyState state);

// What is kept of a key, beside its private part. Times are wall time; 0: not yet.
struct KeyRecord {
  std::string kid;
  std::string alg;
  KeyState state = KeyState::kPrepared;
  TimeMs made_ms = 0, used_ms = 0, retired_ms = 0;
  bool operator==(const KeyRecord&) const = default;
};

// What this node decides with.
struct ActiveKeys {
  uint64_t version = 0;  // of the keys ledger; 0: none
  TimeMs fresh_ms = 0;   // of its terms; 0: none
  std::set<std::string, std::less<>> kids;
};

struct RingOptions {
  TimeMs rotate_ms = 0;  // how long a key signs
  // The longest life of a token, when it is not known until when those of a key live.
  TimeMs life_ms = limits::kTxnReplacedLifeMsMax;
};

namespace ring_effect {
// A new key is wanted: on_made() or on_make_failed() follows.
struct Make {};
// The records are to be durable: else on_persist_failed() follows.
struct Persist {};
// The private part is to be deleted; its record is gone before.
struct Delete {
  std::string kid;
};
// How far has this release of the keys ledger come? on_status() may follow.
struct Ask {
  uint64_t version = 0;
};
// The registry is to fetch the key set: it does not have a key of this name. It lacks one, or has
// one that was revoked: then the name is nobody's, since of those that it knows it needs no hint.
struct Hint {
  std::string kid;
};
// Another key signs from now on.
struct Changed {
  std::string kid;      // empty: none does
  bool waited = false;  // for nodes that did not acknowledge it until the time was over
};
}  // namespace ring_effect
using RingEffect = std::variant<ring_effect::Make, ring_effect::Persist, ring_effect::Delete,
                                ring_effect::Ask, ring_effect::Hint, ring_effect::Changed>;

// Time passes by the boot clock alone; a wall clock that jumps neither hastens nor delays anything.
// After a restart a retired key is kept for its whole time again, and what was known of
// publications has to be seen again: only the key in use goes on at once. One thread.
class RingCore {
 public:
  // `records` as they were persisted, oldest first, each with its private part.
  RingCore(RingOptions options, std::vector<KeyRecord> records, Now now);

  // The private part of a new key is durable, and so is its record as kPrepared.
  void on_made(KeyRecord record, Now now);
  void on_make_failed(Now now);
  void on_persist_failed(Now now);
  // This node decides with another release, or for the first time.
  void on_active(ActiveKeys active, Now now);
  // The answer to Ask; an older one counts as well.
  void on_status(uint64_t version, const wire::ReleaseStatus& status, Now now);
  // Tokens of this key live until then (boot clock), as far as their lives are known.
  void on_signed(std::string_view kid, TimeMs until_boot_ms);
  // Removes a key of any state; the next usable key signs in its place. kNotFound. Its effects
  // begin with Persist. The registry gets hints while this node decides with a release that has it.
  Result<void> revoke(std::string_view kid, Now now);
  void on_deadline(Now now);

  std::vector<RingEffect> take_effects() { return std::exchange(effects_, {}); }
  TimeMs next_deadline() const { return deadline_ms_; }  // boot clock

  // The kid of the key that signs; empty: none may yet.
  std::string_view current() const;
  // All keys of the key set, oldest first.
  std::vector<KeyRecord> records() const;
  // Whether all nodes that may verify had it, or had their time: it signs when its turn comes.
  bool is_ready(std::string_view kid) const;

 private:
  struct Key {
    KeyRecord record;
    uint64_t version = 0;     // in which it was first seen; 0: it is not published
    TimeMs wait_boot_ms = 0;  // until when nodes are waited for; with version
    TimeMs ack_boot_ms = 0;   // when all nodes last had it; with acknowledged
    bool acknowledged = false;
    TimeMs until_boot_ms = 0;  // of its tokens, as far as is known
    bool lives_known = false;  // on_signed() was called
    TimeMs begin_boot_ms = 0;  // in use or retired: since then
    bool is_spare() const {
      return record.state == KeyState::kPrepared || record.state == KeyState::kPublished;
    }
  };

  void drive(Now now);
  void remove_ended(Now now);
  void rotate(Now now);
  void make_spares();
  void ask(Now now);
  void hint(Now now);
  void set_deadline(Now now);
  bool is_ready(const Key& key, TimeMs boot_ms) const;
  bool may_follow(const Key& next, TimeMs boot_ms) const;
  // Boot time of the next rotation; 0: no key signs.
  TimeMs due_ms() const;
  TimeMs end_ms(const Key& retired) const;
  void retire(Key& key, Now now);
  Key* find(KeyState state);
  const Key* find(KeyState state) const;
  size_t spares_wanted() const;

  const RingOptions options_;
  std::vector<Key> keys_;  // oldest first
  bool making_ = false;
  std::string gone_;                           // revoked last, and maybe published; empty: none
  bool gone_is_active_ = false;                // the release that decides has it
  bool unkept_ = false;                        // records were not persisted
  TimeMs retry_boot_ms_ = 0;                   // not before it, after a failure
  TimeMs ask_boot_ms_ = 0, hint_boot_ms_ = 0;  // not before
  TimeMs seen_boot_ms_ = 0;                    // the last time of any call
  TimeMs deadline_ms_ = 0;
  std::vector<RingEffect> effects_;
};

}  // namespace notp::txn
