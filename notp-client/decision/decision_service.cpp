#include "notp-client/decision/decision_service.hpp"

#include <fmt/format.h>

#include <boost/asio/this_coro.hpp>

#include "common/assert.hpp"
#include "common/log.hpp"
#include "common/uuid.hpp"
#include "notp-client/decision/durable_wait.hpp"

namespace notp::decision {

namespace asio = boost::asio;

namespace {

std::string_view name_of(DecisionApi api) {
  switch (api) {
    case DecisionApi::kData:
      return "data";
    case DecisionApi::kPlainData:
      return "plain_data";
    case DecisionApi::kDefault:
      return "default";
    case DecisionApi::kAuthzen:
      return "authzen";
    case DecisionApi::kHealth:
      return "health";
  }
  return {};
}

std::string_view outcome_of(const pdp::Decisions& decisions, size_t index) {
  if (!decisions) return error_traits(decisions.error().code).name;
  const Result<pdp::Decision>& decision = (*decisions)[index];
  if (!decision) return error_traits(decision.error().code).name;
  return decision->value ? "defined" : "undefined";
}

// The revision of the set that decided; empty: none did.
std::string revision_of(const pdp::Decisions& decisions, size_t index) {
  const pdp::Decision* decision =
      decisions && (*decisions)[index] ? &*(*decisions)[index] : nullptr;
  return decision && decision->active ? decision->active->revision() : std::string();
}

// The id by which the PDP has logged it, else a random one.
std::string id_of(const pdp::Decisions& decisions) {
  if (decisions && decisions->size() == 1 && decisions->front() && !decisions->front()->id.empty())
    return decisions->front()->id;
  return random_uuid();
}

// The input is not read; if present it counts as valid.
std::vector<Result<pdp::Decision>> undefined_for(const pdp::Question& question,
                                                 const pdp::ActiveSetPtr& active) {
  std::vector<Result<pdp::Decision>> out;
  out.reserve(question.inputs.size());
  for (const pdp::InputText& input : question.inputs)
    out.push_back(pdp::Decision{.active = active, .has_input = input.has_value()});
  return out;
}

}  // namespace

Result<pdp::Decision> DecisionOutcome::only() && {
  if (!decisions) return std::unexpected(std::move(decisions).error());
  NOTP_ASSERT(decisions->size() == 1, "a request with one input");
  return std::move(decisions->front());
}

DecisionService::DecisionService(pdp::Pdp& pdp, prometheus::Registry& metrics, bool logs_decisions,
                                 DecisionRecorder* recorder)
    : pdp_(pdp), logs_decisions_(logs_decisions), recorder_(recorder) {
  auto& decisions = prometheus::BuildCounter()
                        .Name("notp_agent_decisions_total")
                        .Help("Decisions asked of the agent, by outcome")
                        .Register(metrics);
  defined_ = &decisions.Add({{"outcome", "defined"}});
  undefined_ = &decisions.Add({{"outcome", "undefined"}});
  failed_ = &decisions.Add({{"outcome", "error"}});
}

void DecisionService::set_rules(DecisionRules rules) {
  rules_.set(std::make_shared<const DecisionRules>(std::move(rules)));
}

std::optional<pdp::Decisions> DecisionService::decide_here(const pdp::Question& question) const {
  if (question.inputs.empty()) return pdp::Decisions();
  const size_t bytes_max = rules()->input_bytes_max;
  for (const pdp::InputText& input : question.inputs)
    if (input && input->size() > bytes_max)
      return fail(ErrorCode::kLimit,
                  fmt::format("the input has {} bytes, {} are allowed", input->size(), bytes_max));
  const pdp::DecisionBasisPtr basis = pdp_.basis();
  if (!basis->withheld.cover(question.path)) return std::nullopt;
  return undefined_for(question, basis->active);
}

asio::awaitable<DecisionOutcome> DecisionService::decide(DecisionRequest request) {
  if (request.started == SteadyClock::time_point()) request.started = SteadyClock::now();
  if (recorder_) recorder_->prepare(request);
  DecisionOutcome outcome;
  if (auto here = decide_here(request.question))
    outcome.decisions = *std::move(here);
  else
    outcome.decisions = co_await ask_pdp(request);
  if (recorder_) {
    if (const auto awaited = record(request, outcome)) {
      // Once cancelled, Asio would throw at the wait, and nothing would be counted.
      const auto state = co_await asio::this_coro::cancellation_state;
      Result<void> durable = std::unexpected(not_awaited());
      if (state.cancelled() == asio::cancellation_type::none)
        durable = co_await when_durable(recorder_->log(), *awaited);
      if (!durable) outcome.decisions = std::unexpected(std::move(durable).error());
    }
  } else if (logs_decisions_ || request.api == DecisionApi::kData) {
    outcome.id = id_of(outcome.decisions);
  }
  conclude(request, outcome);
  co_return outcome;
}

asio::awaitable<pdp::Decisions> DecisionService::ask_pdp(DecisionRequest& request) {
  if (token_ask_) co_await token_ask_->ask(request.question);
  if (txn_watch_) request.txns = co_await txn_watch_->look(request.question);
  if (token_ask_ || txn_watch_) {
    // Once cancelled, Asio would throw at the next wait, and nothing would be counted.
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none)
      co_return fail(ErrorCode::kCancelled, "the caller did not wait for its decision");
  }
  co_return co_await pdp_.evaluate(request.question);
}

std::optional<record::Position> DecisionService::record(const DecisionRequest& request,
                                                        DecisionOutcome& outcome) {
  auto recorded = recorder_->record(request, outcome.decisions, pdp_.basis()->active);
  if (!recorded) {
    outcome.decisions = std::unexpected(std::move(recorded).error());
    return std::nullopt;
  }
  outcome.id = std::move(recorded->id);
  return recorded->awaited;
}

void DecisionService::conclude(const DecisionRequest& request,
                               const DecisionOutcome& outcome) const {
  const pdp::Decisions& decisions = outcome.decisions;
  const size_t inputs = request.question.inputs.size();
  NOTP_ASSERT(!decisions || decisions->size() == inputs, "one decision for each input");
  if (!decisions) {
    failed_->Increment(static_cast<double>(inputs));
  } else {
    for (const Result<pdp::Decision>& one : *decisions)
      (!one ? failed_ : one->value ? defined_ : undefined_)->Increment();
  }
  if (logs_decisions_) log_decisions(request, outcome, SteadyClock::now() - request.started);
}

void DecisionService::log_decisions(const DecisionRequest& request, const DecisionOutcome& outcome,
                                    SteadyClock::duration taken) const {
  const auto taken_us = std::chrono::duration_cast<std::chrono::microseconds>(taken).count();
  for (size_t i = 0; i < request.question.inputs.size(); ++i)
    log::debug(
        "decision",
        {{"decision_id", outcome.id},
         {"api", name_of(request.api)},
         {"caller", request.question.caller},
         {"path", printable(pdp::reference_text(request.question.path), limits::kPathBytesMax)},
         {"outcome", outcome_of(outcome.decisions, i)},
         {"revision", revision_of(outcome.decisions, i)},
         {"taken_us", taken_us}});
}

}  // namespace notp::decision
