#include "notp-server/lane_inputs/poller.hpp"

#include <utility>

#include "notp-server/lane_inputs/lane_input_limits.hpp"
#include "notp-server/lane_inputs/refusal.hpp"

namespace notp::lane_inputs {

namespace asio = boost::asio;

namespace {

constexpr unsigned kOk = 200;
constexpr size_t kDescriptionBytesMax = 256;

// The name of a token in the answer is what is acknowledged: it has to be the token's.
Result<jose::Token> read_named(const std::string& jti, const std::string& compact) {
  auto token = read_set(compact);
  if (token && claim_text(*token, "jti") != jti)
    return refuse("set.jti", "the token has another jti than its name in the answer");
  return token;
}

PolledSet polled(std::string jti, const SetOutcome& outcome) {
  if (outcome.is_done()) return {std::move(jti), PolledSet::Outcome::kTaken, {}, {}};
  if (!outcome.is_refused()) return {std::move(jti), PolledSet::Outcome::kAgain, {}, {}};
  return {std::move(jti), PolledSet::Outcome::kRefused, std::string(set_error_code(*outcome.error)),
          printable(outcome.error->message, kDescriptionBytesMax)};
}

}  // namespace

asio::awaitable<Result<void>> Poller::poll_once() {
  http::Call call{.method = "POST",
                  .url = url_,
                  .headers = {{"Content-Type", "application/json"}, {"Accept", "application/json"}},
                  .body = core_.begin(read_clock().boot_ms),
                  .deadline_ms = kPollCallMs,
                  .answer_bytes_max = kPollAnswerBytesMax};
  auto response = co_await client_.call(std::move(call));
  if (!response) co_return fail_poll(std::move(response).error());
  if (response->status != kOk)
    co_return fail_poll(status_error("POST for events", *response), retry_after_ms(*response));
  auto answer = read_poll_answer(response->content());
  if (!answer) co_return fail_poll(std::move(answer).error());
  const std::vector<PolledSet> sets = co_await take(*std::move(answer));
  core_.answered(sets, read_clock().boot_ms);
  co_return Result<void>();
}

asio::awaitable<std::vector<PolledSet>> Poller::take(PollAnswer answer) {
  std::vector<PolledSet> out;
  if (answer.sets.empty()) {
    stats_.succeeded(read_clock());
    co_return out;
  }
  std::vector<Result<jose::Token>> tokens;
  for (const auto& [jti, compact] : answer.sets) tokens.push_back(read_named(jti, compact));
  const std::vector<SetOutcome> outcomes = co_await taker_.take(std::move(tokens));
  const Error* later = nullptr;
  for (size_t i = 0; i < outcomes.size(); ++i) {
    out.push_back(polled(std::move(answer.sets[i].first), outcomes[i]));
    if (outcomes[i].error && !outcomes[i].is_refused()) later = &*outcomes[i].error;
  }
  if (later != nullptr)
    stats_.failed(*later, read_clock());
  else
    stats_.succeeded(read_clock());
  co_return out;
}

Result<void> Poller::fail_poll(Error error, TimeMs after_ms) {
  const Now now = read_clock();
  if (core_.failed(error, after_ms, now.boot_ms) == PollCore::Failure::kNo) return {};
  stats_.failed(error, now);
  return std::unexpected(std::move(error));
}

}  // namespace notp::lane_inputs
