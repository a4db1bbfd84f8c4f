#include "notp-server/sources/issuer_core.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include "common/assert.hpp"
#include "notp-server/sources/document.hpp"
#include "notp-server/sources/issuer_limits.hpp"

namespace notp::sources {

uint64_t IssuerFacts::fetches_total() const {
  return std::accumulate(fetches.begin(), fetches.end(), uint64_t{0},
                         [](uint64_t sum, const auto& count) { return sum + count.second; });
}

IssuerCore::IssuerCore(Random& random, Now now) : random_(random) { due_.fetch_ms = now.boot_ms; }

void IssuerCore::held(std::vector<std::string> kids, uint64_t version) {
  std::ranges::sort(kids);
  facts_.kids = std::move(kids);
  facts_.version = version;
}

// --- effects

std::optional<IssuerEffect> IssuerCore::on_deadline(Now now) {
  if (busy_ != Busy::kNo) return std::nullopt;
  if (now.boot_ms >= due_.publish_ms) {
    due_.publish_ms = kNever;
    busy_ = Busy::kPublishing;
    return PublishOrder{*keys_};
  }
  if (!due_.refresh && now.boot_ms < std::min(due_.unknown_ms, due_.fetch_ms)) return std::nullopt;
  return begin_fetch(now);
}

// Whatever the reason, the fetch answers all reports that came before it.
FetchOrder IssuerCore::begin_fetch(Now now) {
  FetchOrder order;
  if (due_.refresh)
    order.reason = FetchReason::kRefresh;
  else if (now.boot_ms >= due_.unknown_ms)
    order.reason = FetchReason::kUnknownKey;
  if (order.reason == FetchReason::kUnknownKey) begun_.unknown_ms = now.boot_ms;
  // Neither the place nor the ETag is held to when it may be why keys are missing.
  const bool is_as_before = failures_.fetches == 0 && !is_doubted_;
  const bool is_discovered = is_as_before && !facts_.jwks_uri.empty() &&
                             order.reason != FetchReason::kRefresh &&
                             now.boot_ms - discovered_ms_ < limits::kDiscoveryAgeMs;
  if (is_discovered) order.jwks_uri = facts_.jwks_uri;
  if (is_as_before && keys_ && !etag_.empty()) {
    order.etag = etag_;
    order.etag_uri = facts_.jwks_uri;
  }
  due_.refresh = false;
  due_.unknown_ms = kNever;
  begun_.fetch_ms = now.boot_ms;
  facts_.fetched_ms = now.wall_ms;
  reported_.clear();
  busy_ = Busy::kFetching;
  return order;
}

TimeMs IssuerCore::next_deadline() const {
  if (busy_ != Busy::kNo) return kNever;
  if (due_.refresh) return 0;
  return std::min({due_.fetch_ms, due_.unknown_ms, due_.publish_ms});
}

// --- events

void IssuerCore::fetched(Result<FetchedKeys> result, Now now) {
  NOTP_ASSERT(busy_ == Busy::kFetching, "a fetch ends that did not begin");
  busy_ = Busy::kNo;
  if (result && !result->keys && !keys_)
    result = fail(ErrorCode::kMessage, "the provider answers 304 to an unconditional request");
  if (result)
    keep(*std::move(result), now);
  else
    fail_fetch(std::move(result).error(), now);
  // A report during the fetch may be of a key that is newer than its answer.
  for (const std::string& kid : std::exchange(reported_, {}))
    if (!is_known(kid)) due_.unknown_ms = std::min(due_.unknown_ms, unknown_allowed_ms(now));
}

void IssuerCore::keep(FetchedKeys fetched, Now now) {
  ++facts_.fetches[fetched.keys ? FetchOutcome::kGood : FetchOutcome::kUnchanged];
  facts_.good_ms = now.wall_ms;
  facts_.error.reset();
  // Known for as long as it was asked for it.
  if (fetched.jwks_uri != facts_.jwks_uri || failures_.fetches != 0 ||
      now.boot_ms - discovered_ms_ >= limits::kDiscoveryAgeMs)
    discovered_ms_ = now.boot_ms;
  facts_.jwks_uri = std::move(fetched.jwks_uri);
  // The provider may have moved its keys and still serve the old set where they were, or answer 304
  // for a set that has changed.
  const bool was_for_unknown = begun_.unknown_ms == begun_.fetch_ms;
  const bool is_new = fetched.keys && fetched.keys != keys_;
  is_doubted_ = was_for_unknown && !is_new;
  if (fetched.keys) {
    keys_ = *std::move(fetched.keys);
    etag_ = fetched.etag.size() <= limits::kEtagBytesMax ? std::move(fetched.etag) : std::string();
  }
  failures_.fetches = 0;
  failures_.is_suspect = false;
  if (failures_.publishes == 0) failures_.since_ms.reset();
  due_.fetch_ms =
      now.boot_ms + jittered(std::clamp(fetched.max_age_ms.value_or(limits::kSourceAgeMs),
                                        limits::kSourceAgeMsMin, limits::kSourceAgeMsMax));
  due_.publish_ms = now.boot_ms;
}

void IssuerCore::fail_fetch(Error error, Now now) {
  const bool is_refused = !rule_of(error).empty();
  ++facts_.fetches[is_refused ? FetchOutcome::kRefused : FetchOutcome::kFailed];
  facts_.error = std::move(error);
  // A broken connection does not take back what was seen before.
  failures_.is_suspect |= is_refused;
  if (!failures_.since_ms) failures_.since_ms = now.boot_ms;
  due_.fetch_ms = now.boot_ms + retry_ms(failures_.fetches++);
}

void IssuerCore::published(Result<PublishedKeys> result, Now now) {
  NOTP_ASSERT(busy_ == Busy::kPublishing, "a publish ends that did not begin");
  busy_ = Busy::kNo;
  if (result) {
    facts_.version = result->version;
    facts_.releases += result->is_new ? 1 : 0;
    facts_.kids = keys_->kids;
    failures_.publishes = 0;
    if (failures_.fetches != 0) return;
    failures_.since_ms.reset();
    facts_.error.reset();
    return;
  }
  facts_.error = std::move(result).error();
  if (!failures_.since_ms) failures_.since_ms = now.boot_ms;
  due_.publish_ms = now.boot_ms + retry_ms(failures_.publishes++);
}

void IssuerCore::unknown_key(std::string_view kid, Now now) {
  ++facts_.unknown_keys;
  if (is_known(kid)) return;
  if (busy_ != Busy::kFetching) {
    due_.unknown_ms = std::min(due_.unknown_ms, unknown_allowed_ms(now));
    return;
  }
  if (reported_.size() < limits::kReportedKidsMax &&
      std::ranges::find(reported_, kid) == reported_.end())
    reported_.emplace_back(kid);
}

Result<void> IssuerCore::refresh(Now now) {
  if (begun_.fetch_ms && now.boot_ms < *begun_.fetch_ms + limits::kRefreshFloorMs)
    return fail(ErrorCode::kOverloaded, "the keys were fetched a moment ago; ask again in 5 s");
  due_.refresh = true;
  return {};
}

void IssuerCore::root_changed(Now now) {
  if (keys_) due_.publish_ms = std::min(due_.publish_ms, now.boot_ms);
}

bool IssuerCore::is_known(std::string_view kid) const {
  return keys_ ? keys_->has(kid) : std::ranges::binary_search(facts_.kids, kid);
}

TimeMs IssuerCore::unknown_allowed_ms(Now now) const {
  if (!begun_.unknown_ms) return now.boot_ms;
  return std::max(now.boot_ms, *begun_.unknown_ms + limits::kUnknownKeyFloorMs);
}

// --- times

TimeMs IssuerCore::jittered(TimeMs time_ms) {
  const TimeMs most_ms = time_ms * limits::kSourceJitterPercent / 100;
  return time_ms - most_ms +
         static_cast<TimeMs>(random_.below(static_cast<uint64_t>(2 * most_ms + 1)));
}

TimeMs IssuerCore::retry_ms(int failures) {
  constexpr int kDoublingsMax = 16;
  return jittered(std::min(limits::kSourceRetryMs << std::min(failures, kDoublingsMax),
                           limits::kSourceRetryMsMax));
}

wire::IssuerState IssuerCore::state(Now now) const {
  if (failures_.is_suspect) return wire::IssuerState::kSuspect;
  if (failures_.since_ms)
    return now.boot_ms - *failures_.since_ms >= limits::kSourceFailingMs
               ? wire::IssuerState::kFailing
               : wire::IssuerState::kLate;
  return facts_.good_ms == 0 ? wire::IssuerState::kLate : wire::IssuerState::kOk;
}

TimeMs IssuerCore::state_changes_ms(Now now) const {
  if (failures_.is_suspect || !failures_.since_ms) return kNever;
  const TimeMs failing_ms = *failures_.since_ms + limits::kSourceFailingMs;
  return now.boot_ms < failing_ms ? failing_ms : kNever;
}

TimeMs IssuerCore::next_fetch_ms(Now now) const {
  if (due_.refresh || busy_ == Busy::kFetching) return now.boot_ms;
  return std::max(now.boot_ms, std::min(due_.fetch_ms, due_.unknown_ms));
}

}  // namespace notp::sources
