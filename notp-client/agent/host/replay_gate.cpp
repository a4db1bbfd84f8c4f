#include "notp-client/agent/host/replay_gate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "common/log.hpp"
#include "notp-client/agent/host/gate_records.hpp"
#include "protocol/record/replay_verdict.hpp"

namespace notp::agent {

namespace asio = boost::asio;

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::array<const char*, 5> kOutcomeNames = {"passed", "held", "few", "failed",
                                                      "replaced"};

// The set that decided and whose record is deleted: this process has written records with it, so
// its engine is that of this program.
record::ActiveSet set_of_this_run(const std::string& opa_version) {
  record::ActiveSet set;
  set.releases.emplace_back();
  set.engine = "embedded";
  set.engine_version = opa_version;
  return set;
}

rego::RecordedQuestion question_of(const record::DecisionContent& decision) {
  return {.path = record::segments_of(decision.path),
          .input = decision.input,
          .eval_time_ns = decision.eval_time_ns,
          .nd_builtin_cache = decision.nd_builtin_cache,
          .is_strict = record::was_strict(decision)};
}

// Whether the policy failed as it was evaluated, and not before.
bool is_of_evaluation(std::string_view code) {
  return code.starts_with("eval_") && code != "eval_cancel_error";
}

}  // namespace

// One judgement, on the gate's thread.
class ReplayGate::Judgement {
 public:
  struct Verdict {
    Outcome outcome = Outcome::kFew;
    GateTally tally;
    std::string why;  // there is no judgement; for a person
  };

  Judgement(const ReplayGateParts& parts, const GateRequest& request,
            const std::atomic<bool>& cancelled)
      : parts_(parts), request_(request), cancelled_(cancelled) {}

  // For each of the request's releases. An error: the gate itself failed.
  Result<std::vector<Verdict>> run(const model::BlobLoader& contents);

 private:
  using Records = std::map<model::LedgerId, std::vector<GateRecord>>;

  bool go_on() const { return !cancelled_ && steady_clock::now() < end_; }
  int64_t left_ms() const {
    return std::chrono::duration_cast<milliseconds>(end_ - steady_clock::now()).count();
  }
  Result<Records> read() const;
  Result<void> compare(const GatedRelease& release, const std::vector<GateRecord>& records,
                       GateTally& tally);
  Result<void> compare(const GatedRelease& release, const GateRecord& record,
                       const record::ActiveSet& active, GateTally& tally);
  std::string shown(const model::LedgerId& ledger, const record::ReplayedResult& now) const;

  const ReplayGateParts& parts_;
  const GateRequest& request_;
  const std::atomic<bool>& cancelled_;
  const steady_clock::time_point begin_ = steady_clock::now(),
                                 end_ = begin_ + milliseconds(kGateMs);
  std::unique_ptr<rego::Replayer> replayer_;
};

Result<std::vector<ReplayGate::Judgement::Verdict>> ReplayGate::Judgement::run(
    const model::BlobLoader& contents) {
  std::vector<Verdict> verdicts(request_.releases.size());
  NOTP_ASSIGN(Records records, read());
  const bool any = std::ranges::any_of(
      records, [](const auto& each) { return each.second.size() >= kGateComparableMin; });
  if (any && go_on()) {
    NOTP_ASSIGN(rego::SnapshotPtr snapshot, parts_.snapshot(request_.candidate, contents));
    rego::ReplayOptions options = parts_.worker;
    options.activate_ms = std::max<int64_t>(1, left_ms());
    NOTP_ASSIGN(replayer_, rego::Replayer::start(std::move(snapshot), std::move(options)));
  }
  for (size_t i = 0; i < verdicts.size(); ++i) {
    const GatedRelease& release = request_.releases[i];
    Verdict& verdict = verdicts[i];
    const std::vector<GateRecord>& own = records[release.ledger];
    if (own.size() >= kGateComparableMin) NOTP_TRY(compare(release, own, verdict.tally));
    const GateJudgement judgement = verdict.tally.judgement(release.terms);
    verdict.outcome = cancelled_                            ? Outcome::kReplaced
                      : judgement == GateJudgement::kHolds  ? Outcome::kHeld
                      : judgement == GateJudgement::kPasses ? Outcome::kPassed
                                                            : Outcome::kFew;
    if (verdict.outcome == Outcome::kFew)
      verdict.why = fmt::format("{} of {} recorded decisions can be compared, {} are needed",
                                verdict.tally.comparable, own.size(), kGateComparableMin);
  }
  return verdicts;
}

Result<ReplayGate::Judgement::Records> ReplayGate::Judgement::read() const {
  GateReading reading{.wanted = {},
                      .bytes_max = kGateBytesMax,
                      .until = begin_ + milliseconds(kGateReadMs),
                      .go_on = [this] { return go_on(); }};
  for (const GatedRelease& release : request_.releases)
    reading.wanted[release.ledger] = release.terms.decisions;
  return newest_records(*parts_.log, reading);
}

Result<void> ReplayGate::Judgement::compare(const GatedRelease& release,
                                            const std::vector<GateRecord>& records,
                                            GateTally& tally) {
  const record::ActiveSet this_run = set_of_this_run(replayer_->opa_version());
  for (const GateRecord& record : records) {
    if (!go_on()) return {};
    const record::ActiveSet* active = record.active.get();
    if (active == nullptr && record.run == records.front().run) active = &this_run;
    if (record::obstacle_of(record.decision, active))
      tally.add_uncounted();
    else
      NOTP_TRY(compare(release, record, *active, tally));
  }
  return {};
}

Result<void> ReplayGate::Judgement::compare(const GatedRelease& release, const GateRecord& record,
                                            const record::ActiveSet& active, GateTally& tally) {
  const record::DecisionContent& decision = record.decision;
  auto replayed = replayer_->evaluate(question_of(decision),
                                      std::clamp<int64_t>(left_ms(), 1, kGateQuestionMs));
  if (!replayed && replayed.error().code == ErrorCode::kUnavailable)
    return std::unexpected(std::move(replayed).error());
  // What does not compile is for the PDP to refuse.
  if (!replayed || (replayed->error && !is_of_evaluation(replayed->error_code))) {
    tally.add_uncounted();
    return {};
  }
  const record::ReplayedResult now{.result = std::move(replayed->result),
                                   .error_code = std::move(replayed->error_code),
                                   .unrecorded = std::move(replayed->unrecorded),
                                   .engine_version = replayer_->opa_version()};
  switch (record::verdict_of(decision, active, now).replay) {
    case record::Replay::kSame:
      tally.add_same();
      break;
    case record::Replay::kCannot:
      tally.add_uncounted();
      break;
    case record::Replay::kDiffers:
      tally.add_different(
          {.decision_id = record.decision_id,
           .path = decision.path,
           .before = gate_result(decision.result, decision.error ? decision.error->code : ""),
           .now = shown(release.ledger, now)});
  }
  return {};
}

// The message goes further than this process: what a record must not hold is not in it.
std::string ReplayGate::Judgement::shown(const model::LedgerId& ledger,
                                         const record::ReplayedResult& now) const {
  if (!now.result) return gate_result(now.result, now.error_code);
  const auto masked = parts_.mask(*request_.candidate, ledger, *now.result);
  return masked && *masked ? gate_result(*masked, {})
                           : std::string(record::outcome_name(record::outcome_of(now.result)));
}

// --- the gate

ReplayGate::ReplayGate(ReplayGateParts parts) : parts_(std::move(parts)) {
  auto& family =
      prometheus::BuildCounter()
          .Name("notp_agent_gate_total")
          .Help("Releases that the replay gate of their manifest has judged, by outcome.")
          .Register(parts_.metrics);
  for (size_t i = 0; i < kOutcomes; ++i)
    counters_.at(i) = &family.Add({{"outcome", kOutcomeNames.at(i)}});
}

ReplayGate::~ReplayGate() { stop(); }

void ReplayGate::cancel() {
  if (cancelled_) *cancelled_ = true;
}

void ReplayGate::stop() {
  stopping_ = true;
  cancel();
  if (pool_) pool_->join();
}

asio::awaitable<GateReport> ReplayGate::judge(GateRequest request, model::BlobLoader contents) {
  GateReport report;
  if (stopping_) co_return report;
  if (parts_.log == nullptr) {
    for (const GatedRelease& release : request.releases)
      conclude(release, Outcome::kFew, {}, "this node records no decisions of the embedded engine");
    co_return report;
  }
  if (!pool_) pool_ = std::make_unique<transport::OffloadPool>(1);
  cancel();
  const auto cancelled = std::make_shared<std::atomic<bool>>(false);
  cancelled_ = cancelled;
  auto verdicts =
      co_await transport::offload(*pool_, [&parts = parts_, &request, &contents, cancelled] {
        return Judgement(parts, request, *cancelled).run(contents);
      });
  for (size_t i = 0; i < request.releases.size(); ++i) {
    const GatedRelease& release = request.releases[i];
    if (*cancelled) {
      conclude(release, Outcome::kReplaced, {}, {});
    } else if (!verdicts && verdicts.error().code == ErrorCode::kPdpRejected) {
      // The PDP refuses it, too, and says why.
      conclude(release, Outcome::kFew, {}, verdicts.error().message);
    } else if (!verdicts) {
      conclude(release, Outcome::kFailed, {}, verdicts.error().message);
      report.failures.push_back(Error(verdicts.error())
                                    .in(fmt::format("the gate of {} v{} could not judge, and the "
                                                    "release was not held",
                                                    release.ledger.text(), release.version)));
    } else {
      const auto& [outcome, tally, why] = (*verdicts)[i];
      conclude(release, outcome, tally, why);
      if (outcome == Outcome::kHeld && !report.held)
        report.held = gate_held(release.ledger, release.version, tally, release.terms);
    }
  }
  co_return report;
}

void ReplayGate::conclude(const GatedRelease& release, Outcome outcome, const GateTally& tally,
                          const std::string& why) {
  counters_.at(static_cast<size_t>(outcome))->Increment();
  if (outcome == Outcome::kReplaced) return;
  const bool is_judged = outcome == Outcome::kPassed || outcome == Outcome::kHeld;
  log::write(is_judged ? log::Level::kInfo : log::Level::kWarn,
             is_judged ? "gate_judged" : "gate_not_judged",
             {{"ledger", release.ledger.text()},
              {"version", release.version},
              {"judgement", kOutcomeNames.at(static_cast<size_t>(outcome))},
              {"compared", tally.comparable},
              {"differing", tally.differing},
              {"uncounted", tally.uncounted},
              {"message", why}});
}

}  // namespace notp::agent
