#include "tools/bench/swarm_tally.hpp"

#include <fmt/format.h>

namespace notp::bench {
namespace {

SwarmTime after(TimeMs ms) {
  return std::chrono::steady_clock::now() + std::chrono::milliseconds(ms);
}

json::object roles_json(const ByRole& numbers) {
  return {{"agent", numbers[SwarmRole::kAgent]},
          {"mute", numbers[SwarmRole::kMute]},
          {"slow", numbers[SwarmRole::kSlow]}};
}

}  // namespace

std::string swarm_text(const SwarmCounts& counts) {
  return fmt::format(
      "{} of {} welcome; {} dials: {} found the port closed, {} timed out, {} refused; ended after "
      "Welcome: {} agents, {} mute, {} slow; {} artifacts, {} commits, {} statements{}{}",
      counts.welcome.sum(), counts.sessions.sum(), counts.dials,
      counts.dials_ended(SwarmDialEnd::kPortClosed), counts.dials_ended(SwarmDialEnd::kTimeout),
      counts.dials_ended(SwarmDialEnd::kRefused), counts.ended[SwarmRole::kAgent],
      counts.ended[SwarmRole::kMute], counts.ended[SwarmRole::kSlow], counts.artifacts,
      counts.commits, counts.statements,
      counts.first_failure.empty() ? "" : "; first failure: ", counts.first_failure);
}

json::object swarm_json(const SwarmCounts& counts) {
  return {{"sessions", roles_json(counts.sessions)},
          {"welcome", roles_json(counts.welcome)},
          {"dials", counts.dials},
          {"welcomes", counts.welcomes},
          {"port_closed", counts.dials_ended(SwarmDialEnd::kPortClosed)},
          {"timeouts", counts.dials_ended(SwarmDialEnd::kTimeout)},
          {"refused", counts.dials_ended(SwarmDialEnd::kRefused)},
          {"ended", roles_json(counts.ended)},
          {"artifacts", counts.artifacts},
          {"commits", counts.commits},
          {"statements", counts.statements},
          {"statements_verified", counts.statements_verified},
          {"first_failure", counts.first_failure}};
}

SwarmCounts SwarmTally::counts() const {
  const MutexLock lock(mutex_);
  return counts_;
}

std::optional<Error> SwarmTally::failure() const {
  const MutexLock lock(mutex_);
  return failure_;
}

// --- for suites

Result<void> SwarmTally::wait(MutexLock& lock, SwarmTime until, std::string_view what) {
  if (failure_) return std::unexpected(*failure_);
  if (std::chrono::steady_clock::now() >= until)
    return fail(ErrorCode::kTimeout, fmt::format("{}: {}", what, swarm_text(counts_)));
  changed_.wait_until(lock, until);
  return {};
}

Result<void> SwarmTally::await_welcome(TimeMs patience_ms) {
  const SwarmTime until = after(patience_ms);
  MutexLock lock(mutex_);
  while (counts_.welcome.sum() + counts_.ended[SwarmRole::kSlow] < counts_.sessions.sum())
    NOTP_TRY(wait(lock, until, "not all sessions are welcome"));
  return {};
}

Result<void> SwarmTally::await_artifacts(uint64_t count, TimeMs patience_ms) {
  const SwarmTime until = after(patience_ms);
  MutexLock lock(mutex_);
  while (counts_.artifacts < count)
    NOTP_TRY(wait(lock, until, fmt::format("not {} artifacts yet", count)));
  return {};
}

Result<void> SwarmTally::await_statements(uint64_t count, TimeMs patience_ms) {
  const SwarmTime until = after(patience_ms);
  MutexLock lock(mutex_);
  while (counts_.statements < count)
    NOTP_TRY(wait(lock, until, fmt::format("not {} statements yet", count)));
  return {};
}

Result<void> SwarmTally::await_back(uint64_t welcomes, TimeMs patience_ms) {
  {
    const SwarmTime until = after(patience_ms);
    MutexLock lock(mutex_);
    while (marked_.welcome.count() < welcomes)
      NOTP_TRY(wait(lock, until, fmt::format("not {} sessions are back", welcomes)));
  }
  return await_welcome(patience_ms);
}

void SwarmTally::mark(SwarmTime from) {
  const MutexLock lock(mutex_);
  mark_ = from;
  marked_ = {};
}

SwarmTally::Marked SwarmTally::marked() const {
  const MutexLock lock(mutex_);
  return marked_;
}

Result<void> SwarmTally::await_slow_cut(size_t count, TimeMs patience_ms) {
  const SwarmTime until = after(patience_ms);
  MutexLock lock(mutex_);
  while (marked_.slow_cut.count() < count)
    NOTP_TRY(wait(lock, until, "slow sessions are still open"));
  return {};
}

void SwarmTally::expect(uint64_t version, SwarmTime from) {
  const MutexLock lock(mutex_);
  pushes_[version] = {from, {}};
}

Result<void> SwarmTally::await_delivered(uint64_t version, TimeMs patience_ms) {
  const SwarmTime until = after(patience_ms);
  MutexLock lock(mutex_);
  const uint64_t agents = counts_.sessions[SwarmRole::kAgent];
  while (pushes_[version].figures.delivered.count() < agents)
    NOTP_TRY(wait(lock, until, fmt::format("not all agents have v{}", version)));
  return {};
}

Result<SwarmPush> SwarmTally::take(uint64_t version, TimeMs patience_ms) {
  NOTP_TRY(await_delivered(version, patience_ms));
  const SwarmTime until = after(patience_ms);
  MutexLock lock(mutex_);
  const uint64_t agents = counts_.sessions[SwarmRole::kAgent];
  while (pushes_[version].figures.active.count() < agents)
    NOTP_TRY(wait(lock, until, fmt::format("v{} is not active at all agents", version)));
  SwarmPush out = std::move(pushes_[version].figures);
  pushes_.erase(version);
  return out;
}

// --- for sessions

void SwarmTally::note(const Error& error) {
  if (counts_.first_failure.empty()) counts_.first_failure = error.message;
}

void SwarmTally::dialled() {
  const MutexLock lock(mutex_);
  ++counts_.dials;
}

void SwarmTally::dial_failed(SwarmDialEnd why, const Error& error) {
  const MutexLock lock(mutex_);
  ++counts_.dial_ends[static_cast<size_t>(why)];
  note(error);
}

void SwarmTally::welcomed(SwarmRole role) {
  const SwarmTime now = std::chrono::steady_clock::now();
  const MutexLock lock(mutex_);
  ++counts_.welcomes;
  ++counts_.welcome[role];
  if (mark_) marked_.welcome.add(ms_between(*mark_, now));
  changed_.notify_all();
}

void SwarmTally::ended(SwarmRole role, bool was_welcome, const Error& error) {
  const SwarmTime now = std::chrono::steady_clock::now();
  const MutexLock lock(mutex_);
  note(error);
  changed_.notify_all();
  if (!was_welcome) {
    ++counts_.dial_ends[static_cast<size_t>(SwarmDialEnd::kRefused)];
    return;
  }
  --counts_.welcome[role];
  ++counts_.ended[role];
  if (mark_ && role == SwarmRole::kSlow) marked_.slow_cut.add(ms_between(*mark_, now));
}

void SwarmTally::delivered(SwarmRole role, uint64_t before, uint64_t version, size_t bytes,
                           SwarmTime now) {
  const MutexLock lock(mutex_);
  ++counts_.artifacts;
  changed_.notify_all();
  if (role != SwarmRole::kAgent) return;
  // A session that was told of several at once gets only the newest.
  for (auto push = pushes_.upper_bound(before); push != pushes_.end() && push->first <= version;
       ++push) {
    push->second.figures.delivered.add(ms_between(push->second.from, now));
    push->second.figures.artifact_bytes = bytes;
  }
}

void SwarmTally::active(uint64_t before, uint64_t version, size_t commits, SwarmTime now) {
  const MutexLock lock(mutex_);
  counts_.commits += commits;
  for (auto push = pushes_.upper_bound(before); push != pushes_.end() && push->first <= version;
       ++push)
    push->second.figures.active.add(ms_between(push->second.from, now));
  changed_.notify_all();
}

void SwarmTally::attested(bool was_verified) {
  const MutexLock lock(mutex_);
  ++counts_.statements;
  changed_.notify_all();
  if (was_verified) ++counts_.statements_verified;
}

void SwarmTally::failed(const Error& error) {
  const MutexLock lock(mutex_);
  note(error);
  if (!failure_) failure_ = error;
  changed_.notify_all();
}

}  // namespace notp::bench
