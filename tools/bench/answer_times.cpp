#include "tools/bench/answer_times.hpp"

#include "notp-client/decision/decision_recorder.hpp"
#include "tests/support/decision_records.hpp"
#include "tools/bench/stopwatch.hpp"

namespace notp::bench {
namespace {

constexpr size_t kInputBytes = 1'024;
constexpr size_t kDistinctInputs = 256;
constexpr int64_t kEvaluationNs = 90'000;
constexpr std::string_view kSignature =
    "b3BlbnNlc2FtZS1hLXNpZ25hdHVyZS1vZi1lczI1NmlzLTY0LWJ5dGVzLWxvbmctYW5kLW5vdC1yZWNvcmRlZC1oZXJl";

pdp::ActiveSetPtr masking_set() {
  const model::LedgerId ledger{100'000'000'001, "gateway"};
  model::DecisionTerms terms;
  terms.mask = {{model::MaskOp::kRemove, "/input/attributes/source/port", {}},
                {model::MaskOp::kRemove, "/input/claims/exp", {}},
                {model::MaskOp::kUpsert, "/input/attributes/request/headers/user-agent", "\"-\""}};
  auto out = std::make_shared<pdp::ActiveSet>();
  pdp::ActiveRelease& release = out->ledgers[ledger];
  release.ref = {ledger, 1, 41, sha256("a release"), sha256("its content")};
  release.data_roots = {"gateway"};
  release.terms = std::make_shared<const model::DecisionTerms>(std::move(terms));
  return out;
}

// What a gateway sends: the sample's input before its token was masked.
Bytes input_of(uint64_t seed, uint64_t i) {
  SeededRandom random(seed + i);
  Bytes input = *samples::decision_parts::gateway(random).input;
  const size_t end_of_token = input.find(".\",\"claims\"");
  input.insert(end_of_token + 1, kSignature);
  const size_t end = input.size() - 1;
  constexpr std::string_view kMore = ",\"more\":\"\"";
  const size_t bytes = end + 1 + kMore.size();
  const Bytes filling(bytes < kInputBytes ? kInputBytes - bytes : 0, 'x');
  input.insert(end, ",\"more\":\"" + filling + "\"");
  return input;
}

}  // namespace

Result<Samples> measure_answers(spool::DecisionLog& log, uint64_t seed, size_t count) {
  prometheus::Registry metrics;
  decision::DecisionRecorder recorder(log,
                                      {.has_nd_cache = true,
                                       .labels = {},
                                       .engine = "embedded",
                                       .engine_version = [] { return "1.22.2"; }},
                                      metrics);
  const pdp::ActiveSetPtr active = masking_set();
  std::vector<decision::DecisionRequest> requests;
  for (size_t i = 0; i < kDistinctInputs; ++i)
    requests.push_back(
        {.api = decision::DecisionApi::kData,
         .question = {.path = {"gateway", "authz", "allow"}, .inputs = {input_of(seed, i)}},
         .pep = {.uid = 998, .gid = 998, .pid = 1'200},
         .trace_id = "4bf92f3577b34da6a3ce929d0e0e4736",
         .span_id = "00f067aa0ba902b7"});
  const pdp::Decision allowed{.value = "true",
                              .active = active,
                              .time_ns = samples::kDecisionsStartNs,
                              .evaluation_ns = kEvaluationNs,
                              .has_input = true};
  Samples out;
  for (size_t i = 0; i < count; ++i) {
    decision::DecisionRequest& request = requests[i % requests.size()];
    request.started = decision::SteadyClock::now();
    const pdp::Decisions decisions = std::vector<Result<pdp::Decision>>{allowed};
    const Stopwatch watch;
    NOTP_TRY(recorder.record(request, decisions, active));
    out.add(watch.ms());
  }
  return out;
}

}  // namespace notp::bench
