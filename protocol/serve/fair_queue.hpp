// Orders work by what each identity has used, so that an identity that asks for much does not delay
// the others. Pure: no clock, no threads.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/clock.hpp"
#include "common/result.hpp"

namespace notp::serve {

struct FairLimits {
  size_t running_max = 1;          // at once, for all keys
  size_t running_per_key_max = 1;  // at once, for one key
  size_t waiting_max = 1;          // for all keys; the key with the most gives way to others
  size_t waiting_per_key_max = 1;
  // Time of work that one key may use in one burst; it is restored over this many times as long. 0:
  // unlimited.
  int64_t budget_ms = 0;
  int64_t refill_factor = 1;
  size_t keys_max = 4096;  // keys without work whose use is remembered
};

// Runs next the key that has used least among those that may run a job; a returning key starts
// level with the others, whatever it left unused. Not thread-safe.
class FairQueue {
 public:
  // Called once: with success when its turn comes, else with kOverloaded or kCancelled.
  using Job = std::move_only_function<void(Result<void>)>;
  struct Next {
    std::string key;
    Job job;
  };
  struct Refused {
    Job job;
    Error error;
  };

  // `what` names the work in refusals: "validations".
  FairQueue(std::string what, FairLimits limits) : what_(std::move(what)), limits_(limits) {}

  // Returns the job that does not fit: this one, or another one that gives way to it.
  std::optional<Refused> add(const std::string& key, Job job, TimeMs now_ms);
  // Returns the job to start now; nullopt: none may start. The caller ends each with done().
  std::optional<Next> take();
  void done(const std::string& key, int64_t took_ms, TimeMs now_ms);
  // Removes and returns all waiting jobs.
  std::vector<Job> clear();

  size_t waiting() const { return waiting_; }
  size_t running() const { return running_; }
  size_t keys() const { return entries_.size(); }

 private:
  struct Entry {
    std::deque<Job> waiting;
    size_t running = 0;
    int64_t used_ms = 0;   // orders the keys: never below the key that was started last
    int64_t spent_ms = 0;  // of the budget, at spent_at_ms
    TimeMs spent_at_ms = 0;
  };
  using Entries = std::map<std::string, Entry, std::less<>>;

  int64_t spent(const Entry& entry, TimeMs now_ms) const;
  std::optional<Error> check_room(const std::string& key, const Entry& entry, TimeMs now_ms) const;
  bool is_ready(const Entry& entry) const;
  void forget(Entries::iterator place, TimeMs now_ms);
  void make_room_for_key(TimeMs now_ms);

  const std::string what_;
  const FairLimits limits_;
  Entries entries_;
  std::set<std::pair<int64_t, std::string>> ready_;  // by use: keys that may start a job
  int64_t level_ms_ = 0;                             // use of the key that was started last
  size_t waiting_ = 0, running_ = 0;
};

}  // namespace notp::serve
