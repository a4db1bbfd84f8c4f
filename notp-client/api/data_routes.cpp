#include "notp-client/api/data_routes.hpp"

#include "notp-client/api/asked_decision.hpp"

namespace notp::api {

DataRoutes::DataRoutes(RequestGate& gate, decision::DecisionService& decisions,
                       std::function<std::string()> engine_version)
    : gate_(gate), decisions_(decisions), engine_version_(std::move(engine_version)) {}

void DataRoutes::add_to(http::Router& router) {
  router.add("GET POST", "/v1/data/*", [this](const http::Request& r) { return data(r); });
  router.add("POST", "/v0/data/*", [this](const http::Request& r) {
    return plain_data(r, decision::DecisionApi::kPlainData);
  });
  router.add("POST", "/", [this](const http::Request& r) {
    return plain_data(r, decision::DecisionApi::kDefault);
  });
}

DataRoutes::Answer DataRoutes::data(const http::Request& request) {
  const auto started = decision::SteadyClock::now();
  const auto admitted = gate_.admit(request);
  if (!admitted) co_return admitted.error();
  DataQuestion asked = parse_data_question(request);
  if (auto refused = gate_.refuse_path(request, admitted->caller, asked.question.path))
    co_return *std::move(refused);
  asked.question.caller = admitted->caller.name;
  decision::DecisionOutcome outcome = co_await decisions_.decide(decision_request(
      decision::DecisionApi::kData, std::move(asked.question), request, admitted->caller, started));
  const std::string id = std::move(outcome.id);
  std::optional<std::string> version;
  if (asked.provenance) version = engine_version_();
  co_return data_answer({.pretty = asked.pretty,
                         .warns_without_input = asked.is_post,
                         .decision_id = id,
                         .engine_version = std::move(version)},
                        std::move(outcome).only());
}

DataRoutes::Answer DataRoutes::plain_data(const http::Request& request, decision::DecisionApi api) {
  const auto started = decision::SteadyClock::now();
  const auto admitted = gate_.admit(request);
  if (!admitted) co_return admitted.error();
  DataQuestion asked = parse_plain_question(request);
  if (api == decision::DecisionApi::kDefault)
    asked.question.path = decisions_.rules()->default_path;
  const auto path = asked.question.path;
  if (auto refused = gate_.refuse_path(request, admitted->caller, path))
    co_return *std::move(refused);
  asked.question.caller = admitted->caller.name;
  decision::DecisionOutcome outcome = co_await decisions_.decide(
      decision_request(api, std::move(asked.question), request, admitted->caller, started));
  co_return plain_answer(path, std::move(outcome).only(), asked.pretty);
}

}  // namespace notp::api
