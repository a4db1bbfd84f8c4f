// Decides when the status lists of one source are fetched, and what of them the lane gets. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/crypto/digest.hpp"
#include "common/random.hpp"
#include "notp-server/lane/intake.hpp"
#include "notp-server/lane_inputs/status_list.hpp"

namespace notp::lane_inputs {

// One thread at a time. One fetch is under way at a time.
class StatusListCore {
 public:
  using State = lane::SourceState::State;

  // A list counts for `grace_ms` after its ttl while no newer one can be fetched, and never after
  // its exp. `random` outlives it. The first fetches are due at once.
  StatusListCore(const std::vector<std::string>& uris, TimeMs grace_ms, Random& random, Now now);

  // Returns the list to fetch now; the caller says what came before it asks again.
  std::optional<size_t> on_deadline(Now now) const;
  TimeMs next_deadline() const;  // boot time
  const std::string& uri(size_t list) const { return lists_[list].uri; }

  // What a fetch of the list brought. Returns what the lane is to take; nullopt: it has this list
  // already, for long enough. The same list is sent again only when half of its grace has passed:
  // every node gets it then.
  std::optional<lane::ListFetched> fetched(size_t list, Result<StatusList> result, Now now);
  // The lane took it, or not.
  void taken(size_t list, const Result<void>& result, Now now);

  State state(Now now) const;
  std::string message(Now now) const;  // of a state that is not kOk

 private:
  struct List {
    std::string uri;
    TimeMs due_ms = 0;     // boot time
    int failures = 0;      // in a row
    std::string error;     // of the last attempt; empty: it was good
    int64_t until_s = 0;   // of what the lane has; 0: nothing
    Hash content;          // of what the lane has
    TimeMs issued_ms = 0;  // the same
    // What was handed out and is not taken yet.
    int64_t pending_until_s = 0;
    Hash pending;
    TimeMs pending_issued_ms = 0;
  };

  void fail_attempt(List& list, std::string error, Now now) const;
  bool is_there(const List& list, Now now) const { return list.until_s * 1'000 > now.wall_ms; }

  const TimeMs grace_ms_;
  Random& random_;
  std::vector<List> lists_;
};

}  // namespace notp::lane_inputs
