#include "notp-server/lane_inputs/status_list_core.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "notp-server/lane_inputs/pull_limits.hpp"

namespace notp::lane_inputs {
namespace {

constexpr TimeMs kSecondMs = 1'000;
constexpr int64_t kPercent = 100;

Hash content_of(const StatusList& list) {
  return Sha256().update(list.zlib).update(fmt::format("/{}", list.bits)).finish();
}

}  // namespace

StatusListCore::StatusListCore(const std::vector<std::string>& uris, TimeMs grace_ms,
                               Random& random, Now now)
    : grace_ms_(grace_ms), random_(random) {
  for (const std::string& uri : uris) lists_.push_back({.uri = uri, .due_ms = now.boot_ms});
}

std::optional<size_t> StatusListCore::on_deadline(Now now) const {
  const auto first = std::ranges::min_element(lists_, {}, &List::due_ms);
  if (first == lists_.end() || first->due_ms > now.boot_ms) return std::nullopt;
  return first - lists_.begin();
}

TimeMs StatusListCore::next_deadline() const {
  const auto first = std::ranges::min_element(lists_, {}, &List::due_ms);
  return first == lists_.end() ? kNever : first->due_ms;
}

std::optional<lane::ListFetched> StatusListCore::fetched(size_t index, Result<StatusList> result,
                                                         Now now) {
  List& list = lists_[index];
  if (!result) {
    fail_attempt(list, std::move(result).error().message, now);
    return std::nullopt;
  }
  // A cache on the way may be behind: what was revoked since would be valid again.
  if (result->issued_ms < list.issued_ms && is_there(list, now)) {
    fail_attempt(list,
                 fmt::format("the list was issued at {}, before the one that the lane has",
                             utc_time(result->issued_ms)),
                 now);
    return std::nullopt;
  }
  list.failures = 0;
  list.error.clear();
  const TimeMs early_ms =
      static_cast<TimeMs>(random_.below(result->ttl_ms * kStatusJitterPercent / kPercent));
  list.due_ms = now.boot_ms + result->ttl_ms - early_ms;
  const TimeMs left_ms = list.until_s * kSecondMs - now.wall_ms;
  const TimeMs until_ms = std::min(result->exp_ms, now.wall_ms + result->ttl_ms + grace_ms_);
  list.pending = content_of(*result);
  list.pending_until_s = until_ms / kSecondMs;
  list.pending_issued_ms = result->issued_ms;
  const bool is_known = list.pending == list.content && left_ms > result->ttl_ms + grace_ms_ / 2;
  if (is_known && list.pending_until_s >= list.until_s) return std::nullopt;
  return lane::ListFetched{.uri = list.uri,
                           .bits = result->bits,
                           .zlib = std::move(result->zlib),
                           .until_s = list.pending_until_s};
}

void StatusListCore::taken(size_t index, const Result<void>& result, Now now) {
  List& list = lists_[index];
  if (!result) return fail_attempt(list, result.error().message, now);
  list.until_s = list.pending_until_s;
  list.content = list.pending;
  list.issued_ms = list.pending_issued_ms;
}

void StatusListCore::fail_attempt(List& list, std::string error, Now now) const {
  list.error = std::move(error);
  TimeMs retry_ms = kStatusRetryMs;
  for (int i = 0; i < list.failures && retry_ms < kStatusRetryMsMax; ++i) retry_ms *= 2;
  list.due_ms = now.boot_ms + std::min(retry_ms, kStatusRetryMsMax);
  ++list.failures;
}

StatusListCore::State StatusListCore::state(Now now) const {
  const bool all = std::ranges::all_of(lists_, [&](const List& one) { return is_there(one, now); });
  if (!all) {
    const bool tried = std::ranges::any_of(
        lists_, [&](const List& one) { return !is_there(one, now) && !one.error.empty(); });
    return tried ? State::kFailing : State::kLate;
  }
  const bool good = std::ranges::all_of(lists_, &std::string::empty, &List::error);
  return good ? State::kOk : State::kLate;
}

std::string StatusListCore::message(Now now) const {
  for (const bool missing : {true, false})
    for (const List& list : lists_)
      if (!list.error.empty() && is_there(list, now) != missing)
        return fmt::format("{}: {}", printable(list.uri), list.error);
  return state(now) == State::kOk ? "" : "no list was fetched yet";
}

}  // namespace notp::lane_inputs
