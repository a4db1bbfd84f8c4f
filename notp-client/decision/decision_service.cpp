#include "notp-client/decision/decision_service.hpp"

#include <fmt/format.h>

#include "common/assert.hpp"

namespace notp {

namespace asio = boost::asio;

DecisionService::DecisionService(Pdp& pdp, prometheus::Registry& metrics) : pdp_(pdp) {
  auto& decisions = prometheus::BuildCounter()
                        .Name("notp_decisions_total")
                        .Help("Decisions asked of the agent, by outcome")
                        .Register(metrics);
  defined_ = &decisions.Add({{"outcome", "defined"}});
  undefined_ = &decisions.Add({{"outcome", "undefined"}});
  failed_ = &decisions.Add({{"outcome", "error"}});
}

asio::awaitable<Result<std::vector<Result<Decision>>>> DecisionService::decide_all(
    Question question) {
  const size_t asked = question.inputs.size();
  if (asked == 0) co_return std::vector<Result<Decision>>();
  const size_t bytes_max = input_bytes_max_;
  for (const std::optional<Bytes>& input : question.inputs)
    if (input && input->size() > bytes_max) {
      failed_->Increment(static_cast<double>(asked));
      co_return fail(ErrorCode::kLimit, fmt::format("the input has {} bytes, {} are allowed",
                                                    input->size(), bytes_max));
    }
  auto decisions = co_await pdp_.evaluate(std::move(question));
  if (!decisions) {
    failed_->Increment(static_cast<double>(asked));
    co_return decisions;
  }
  NOTP_ASSERT(decisions->size() == asked, "one decision for each input");
  for (const Result<Decision>& one : *decisions)
    (!one ? failed_ : one->value ? defined_ : undefined_)->Increment();
  co_return decisions;
}

asio::awaitable<Result<Decision>> DecisionService::decide(std::vector<std::string> path,
                                                          std::optional<Bytes> input) {
  Question question{.path = std::move(path)};
  question.inputs.push_back(std::move(input));
  auto decisions = co_await decide_all(std::move(question));
  if (!decisions) co_return std::unexpected(std::move(decisions).error());
  co_return std::move(decisions->front());
}

}  // namespace notp
