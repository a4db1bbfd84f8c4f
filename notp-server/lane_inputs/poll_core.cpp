#include "notp-server/lane_inputs/poll_core.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "common/json/json.hpp"
#include "notp-server/lane_inputs/lane_input_limits.hpp"

namespace notp::lane_inputs {
namespace {

std::unexpected<Error> not_an_answer(std::string why) {
  return fail(ErrorCode::kMessage,
              fmt::format("the transmitter's answer is not one of RFC 8936: {}", why));
}

}  // namespace

Result<PollAnswer> read_poll_answer(ByteView body) {
  const auto value = parse_json(body);
  if (!value) return not_an_answer(value.error().message);
  if (!value->is_object()) return not_an_answer("not a JSON object");
  const json::object& members = value->get_object();
  PollAnswer out;
  const json::value* const sets = members.if_contains("sets");
  if (sets == nullptr || !sets->is_object()) return not_an_answer("there is no object \"sets\"");
  if (sets->get_object().size() > kPollSetsMax)
    return fail(ErrorCode::kLimit,
                fmt::format("the transmitter sent {} events at once, more than {}, although it was "
                            "asked for {}",
                            sets->get_object().size(), kPollSetsMax, kPollEventsMax));
  for (const auto& set : sets->get_object()) {
    if (!set.value().is_string()) return not_an_answer("a token is not a text");
    if (set.key().empty() || set.key().size() > kJtiBytesMax)
      return not_an_answer(fmt::format("a jti does not have 1 to {} bytes", kJtiBytesMax));
    out.sets.emplace_back(set.key(), set.value().get_string());
  }
  return out;
}

std::string PollCore::begin(TimeMs boot_ms) {
  begun_ms_ = boot_ms;
  due_ms_ = kNever;
  json::object body{{"maxEvents", kPollEventsMax}, {"returnImmediately", !may_hold_}};
  sent_acks_ = std::min(acks_.size(), kPollReportsMax);
  json::array acks;
  for (size_t i = 0; i < sent_acks_; ++i) acks.emplace_back(acks_[i]);
  if (!acks.empty()) body["ack"] = std::move(acks);
  sent_errors_.clear();
  json::object errors;
  for (const auto& [jti, error] : errors_) {
    if (sent_errors_.size() == kPollReportsMax) break;
    sent_errors_.push_back(jti);
    errors[jti] = json::object{{"err", error.first}, {"description", error.second}};
  }
  if (!errors.empty()) body["setErrs"] = std::move(errors);
  return json::serialize(body);
}

void PollCore::answered(const std::vector<PolledSet>& sets, TimeMs boot_ms) {
  failures_ = 0;
  std::set<std::string, std::less<>> reported(
      acks_.begin(), acks_.begin() + static_cast<std::ptrdiff_t>(sent_acks_));
  reported.insert(sent_errors_.begin(), sent_errors_.end());
  acks_.erase(acks_.begin(), acks_.begin() + static_cast<std::ptrdiff_t>(sent_acks_));
  for (const std::string& jti : sent_errors_) errors_.erase(jti);
  bool is_new = false, is_all_done = true;
  for (const PolledSet& set : sets) {
    is_new |= !reported.contains(set.jti);
    if (set.outcome == PolledSet::Outcome::kTaken) acks_.push_back(set.jti);
    if (set.outcome == PolledSet::Outcome::kRefused)
      errors_.insert_or_assign(set.jti, std::pair(set.code, set.description));
    if (set.outcome == PolledSet::Outcome::kAgain) is_all_done = false;
  }
  const bool was_held = sets.empty() && may_hold_ && boot_ms - begun_ms_ >= interval_ms_;
  const bool goes_on = (is_new && is_all_done) || was_held;
  due_ms_ = goes_on ? boot_ms : boot_ms + jittered(interval_ms_);
}

PollCore::Failure PollCore::failed(const Error& error, TimeMs after_ms, TimeMs boot_ms) {
  if (may_hold_ && error.code == ErrorCode::kTimeout) {
    may_hold_ = false;
    due_ms_ = boot_ms;
    return Failure::kNo;
  }
  constexpr int kDoublingsMax = 10;
  const TimeMs wait_ms =
      std::min(kPollRetryMs << std::min(failures_, kDoublingsMax), kPollRetryMsMax);
  ++failures_;
  due_ms_ = boot_ms + std::max(jittered(wait_ms), std::min(after_ms, kPollRetryMsMax));
  return Failure::kYes;
}

// Less, so that the interval is kept.
TimeMs PollCore::jittered(TimeMs time_ms) {
  constexpr int64_t kPercent = 100;
  const TimeMs room_ms = time_ms * kPollJitterPercent / kPercent;
  return time_ms - static_cast<TimeMs>(random_.below(static_cast<uint64_t>(room_ms) + 1));
}

}  // namespace notp::lane_inputs
