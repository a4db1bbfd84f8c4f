#include "notp-server/lane_inputs/set_taker.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "notp-server/lane_inputs/lane_input_limits.hpp"
#include "notp-server/lane_inputs/refusal.hpp"

namespace notp::lane_inputs {

namespace asio = boost::asio;

namespace {

constexpr std::string_view kUnknownKeyRule = "set.key";

bool is_of_stream(const SecurityEvent& event) {
  return event.effect == EventEffect::kVerification || event.effect == EventEffect::kStreamUpdated;
}

}  // namespace

bool SetOutcome::is_refused() const { return error && !rule_of(*error).empty(); }

SetTaker::SetTaker(SetRules rules, const SourceParts& parts, const std::string& source,
                   std::shared_ptr<SourceStats> stats, OnStreamEvent on_stream_event)
    : issuer_(rules.issuer),
      issuer_keys_(parts.issuer_keys),
      unknown_key_(parts.unknown_key),
      stats_(std::move(stats)),
      on_stream_event_(std::move(on_stream_event)),
      gate_(parts.intake, source),
      rules_(std::move(rules)) {}

void SetTaker::set_audiences(std::vector<std::string> audiences) {
  const MutexLock lock(mutex_);
  rules_.audiences = std::move(audiences);
}

SetRules SetTaker::rules() const {
  const MutexLock lock(mutex_);
  return rules_;
}

bool SetTaker::expects_audience_of(const jose::Token& token) const {
  const MutexLock lock(mutex_);
  return has_audience(token, rules_.audiences);
}

asio::awaitable<std::vector<SetOutcome>> SetTaker::take(std::vector<Result<jose::Token>> tokens) {
  const Now now = read_clock();
  const SetRules rules = this->rules();
  std::vector<SetOutcome> outcomes;
  outcomes.reserve(tokens.size());
  for (const Result<jose::Token>& token : tokens) outcomes.push_back(verify(token, rules, now));
  co_await commit(outcomes);
  count(outcomes);
  for (const SetOutcome& outcome : outcomes)
    if (outcome.event && is_of_stream(*outcome.event) && on_stream_event_)
      on_stream_event_(*outcome.event);
  co_return outcomes;
}

SetOutcome SetTaker::verify(const Result<jose::Token>& token, const SetRules& rules, Now now) {
  if (!token) return {.event = {}, .error = token.error()};
  const auto keys = issuer_keys_(issuer_);
  if (keys == nullptr)
    return {.event = {},
            .error = Error{ErrorCode::kUnavailable,
                           fmt::format("there are no keys of {} yet; it is to be one of "
                                       "sources.issuers, and published once",
                                       issuer_),
                           {}}};
  // A refusal is for good, and the transmitter's stream, which says for whom its events are, is
  // asked about at each start: what it kept until then arrives before the answer.
  if (rules.audiences.empty())
    return {.event = {},
            .error = Error{ErrorCode::kUnavailable,
                           "the stream of this source is not known yet, and so not whom its "
                           "events are for",
                           {}}};
  auto event = accept_set(*token, *keys, rules, now.wall_ms);
  if (event) return {.event = *std::move(event), .error = {}};
  return outcome_of(std::move(event).error(), *token, now);
}

SetOutcome SetTaker::outcome_of(Error error, const jose::Token& token, Now now) {
  // A token without a kid names no key that could come.
  if (rule_of(error) != kUnknownKeyRule || token.kid.empty())
    return {.event = {}, .error = std::move(error)};
  if (unknown_key_) unknown_key_(issuer_, token.kid);
  const MutexLock lock(mutex_);
  if (!waits_.is_worth_waiting(token.kid, now.boot_ms))
    return {.event = {}, .error = std::move(error)};
  return {.event = {},
          .error = Error{ErrorCode::kUnavailable,
                         fmt::format("{}; the issuer's keys are fetched again", error.message),
                         {}},
          .awaits_key = true};
}

asio::awaitable<void> SetTaker::commit(std::vector<SetOutcome>& outcomes) {
  std::vector<lane::IncomingEvent> events;
  std::vector<size_t> places;
  for (size_t at = 0; at < outcomes.size(); ++at) {
    const auto& event = outcomes[at].event;
    if (!event || !event->revoked) continue;
    events.push_back({.key = event->jti, .what = *event->revoked});
    places.push_back(at);
  }
  if (events.empty()) co_return;
  const auto taken = co_await gate_.take(std::move(events));
  for (size_t i = 0; i < places.size(); ++i) {
    SetOutcome& outcome = outcomes[places[i]];
    if (!taken) {
      outcome = {.event = {}, .error = taken.error()};
    } else if (i < taken->refused.size() && taken->refused[i]) {
      const Error& why = *taken->refused[i];
      outcome = {.event = {},
                 .error = why.code == ErrorCode::kMessage
                              ? refuse("lane.refused", why.message).error()
                              : why};
    }
  }
}

void SetTaker::count(const std::vector<SetOutcome>& outcomes) {
  const Now now = read_clock();
  for (const SetOutcome& outcome : outcomes)
    if (outcome.is_refused()) stats_->refused(*outcome.error);
  stats_->taken(static_cast<uint64_t>(std::ranges::count_if(outcomes, &SetOutcome::is_done)), now);
}

}  // namespace notp::lane_inputs
