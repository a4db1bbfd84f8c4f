// What happens in a swarm, counted and timed; the suites wait here.
#pragma once

#include <array>
#include <chrono>
#include <map>
#include <optional>
#include <string>

#include "common/clock.hpp"
#include "common/mutex.hpp"
#include "common/result.hpp"
#include "tools/bench/samples.hpp"

namespace notp::bench {

using SwarmTime = std::chrono::steady_clock::time_point;

// What a session does.
enum class SwarmRole : uint8_t {
  kAgent,  // takes releases, and answers each with its Commits
  // Takes a release, and never sends a Commit: a registry then sends it no other one.
  kMute,
  // Takes a release and commits it, so that the next one comes; then sends Pings and never reads a
  // byte again. Does not come back when it was cut.
  kSlow,
};
inline constexpr std::array kSwarmRoles{SwarmRole::kAgent, SwarmRole::kMute, SwarmRole::kSlow};
// One number for each role.
struct ByRole {
  uint64_t& operator[](SwarmRole role) { return numbers[static_cast<size_t>(role)]; }
  uint64_t operator[](SwarmRole role) const { return numbers[static_cast<size_t>(role)]; }
  uint64_t sum() const { return numbers[0] + numbers[1] + numbers[2]; }
  std::array<uint64_t, kSwarmRoles.size()> numbers{};
};

// Why a dial came to no session.
enum class SwarmDialEnd : uint8_t { kPortClosed, kTimeout, kRefused };

// Since the swarm began.
struct SwarmCounts {
  ByRole sessions;  // of the plan
  ByRole welcome;   // now
  uint64_t dials = 0, welcomes = 0;
  std::array<uint64_t, 3> dial_ends{};  // by SwarmDialEnd
  ByRole ended;                         // sessions that ended after Welcome
  uint64_t artifacts = 0, commits = 0;
  uint64_t statements = 0, statements_verified = 0;  // of freshness: expanded all, verified some
  std::string first_failure;  // of a dial or a session that ended; empty: none

  uint64_t dials_ended(SwarmDialEnd why) const { return dial_ends[static_cast<size_t>(why)]; }
};
// One line, for people.
std::string swarm_text(const SwarmCounts& counts);
json::object swarm_json(const SwarmCounts& counts);

// A release on its way to the sessions; times in ms.
struct SwarmPush {
  Samples delivered;  // until an agent has the whole artifact
  Samples active;     // until an agent's ACTIVE is handed to its session
  uint64_t artifact_bytes = 0;
};

// Thread-safe.
class SwarmTally {
 public:
  explicit SwarmTally(const ByRole& sessions) { counts_.sessions = sessions; }

  SwarmCounts counts() const;
  // What an agent has refused; nullopt: nothing.
  std::optional<Error> failure() const;

  // --- for suites. Each wait: kTimeout with what has happened; the error of what an agent refuses.

  // Waits until all sessions are welcome at once, except slow ones that have ended.
  Result<void> await_welcome(TimeMs patience_ms);
  // Waits until so many artifacts have come, whatever their versions.
  Result<void> await_artifacts(uint64_t count, TimeMs patience_ms);
  // The same for statements of freshness.
  Result<void> await_statements(uint64_t count, TimeMs patience_ms);
  // From now on each Welcome and each end of a slow session counts, from `from`.
  void mark(SwarmTime from);
  struct Marked {
    Samples welcome;   // ms, one for each Welcome
    Samples slow_cut;  // ms, one for each slow session that ended
  };
  Marked marked() const;
  // Waits until there were so many Welcomes since the mark, and all sessions are welcome.
  Result<void> await_back(uint64_t welcomes, TimeMs patience_ms);
  // Waits until so many slow sessions have ended since the mark.
  Result<void> await_slow_cut(size_t count, TimeMs patience_ms);
  // Before it is published: the release with this version counts from `from`.
  void expect(uint64_t version, SwarmTime from);
  // Waits until all agents have it.
  Result<void> await_delivered(uint64_t version, TimeMs patience_ms);
  // Waits until all agents have it, and have said so.
  Result<SwarmPush> take(uint64_t version, TimeMs patience_ms);

  // --- for sessions

  void dialled();
  void dial_failed(SwarmDialEnd why, const Error& error);
  void welcomed(SwarmRole role);
  void ended(SwarmRole role, bool was_welcome, const Error& error);
  // A session that held `before` has the artifact of `version`, at `now`.
  void delivered(SwarmRole role, uint64_t before, uint64_t version, size_t bytes, SwarmTime now);
  // An agent that had said so of `before` has sent its Commits.
  void active(uint64_t before, uint64_t version, size_t commits, SwarmTime now);
  void attested(bool was_verified);
  // An agent would refuse what the registry sent: all waits end with this.
  void failed(const Error& error);

 private:
  struct Push {
    SwarmTime from;
    SwarmPush figures;
  };
  // Waits for the next change. Fails when the time is over, or a session has failed.
  Result<void> wait(MutexLock& lock, SwarmTime until, std::string_view what) NOTP_REQUIRES(mutex_);
  void note(const Error& error) NOTP_REQUIRES(mutex_);

  mutable Mutex mutex_;
  ConditionVariable changed_;
  SwarmCounts counts_ NOTP_GUARDED_BY(mutex_);
  std::optional<SwarmTime> mark_ NOTP_GUARDED_BY(mutex_);
  Marked marked_ NOTP_GUARDED_BY(mutex_);
  std::map<uint64_t, Push> pushes_ NOTP_GUARDED_BY(mutex_);
  std::optional<Error> failure_ NOTP_GUARDED_BY(mutex_);
};

}  // namespace notp::bench
