#include "tools/bench/decide_suite.hpp"

#include <fmt/format.h>
#include <stdlib.h>

#include <algorithm>

#include "tools/bench/decide_arms.hpp"
#include "tools/bench/decide_questions.hpp"
#include "tools/bench/process_facts.hpp"
#include "tools/bench/scratch_folder.hpp"

namespace notp::bench {
namespace {

constexpr size_t kQuestions = 2'000, kConnections = 16, kLoops = 4;
// Policy enforcement points of a central PDP, each with two questions a second.
constexpr size_t kPeps = 200, kFloodConnections = 64;
constexpr double kPepsRate = 400;
constexpr double kShareOfRate = 0.6, kSwapEveryS = 1, kWarmUpS = 0.3;
constexpr size_t kSliceTriesMax = 10;
// The agent terminates loops itself. OPA does not; there the client closes the connection.
constexpr TimeMs kOpaLoopMs = 1'000, kAgentLoopMs = 60'000;
constexpr std::array kPdps = {DecidePdp::kAgent, DecidePdp::kOpa};

size_t index_of(DecidePdp pdp) { return static_cast<size_t>(pdp); }

// One row: how a PDP is asked, and the number of decisions in an answer.
struct Asked {
  LoadPlan plan;
  size_t decisions_each = 1;
};
using Measure = std::function<Result<LoadFigures>(DecidePdp, const LoadPlan&)>;

class DecideSuite {
 public:
  explicit DecideSuite(const DecideOptions& options) : options_(options) {}
  Result<DecideResult> run();

 private:
  Result<void> measure_all();
  Result<void> measure_single(DecideRowId id, std::string name, Way way);
  Result<void> measure_batches(DecideRowId id, size_t batch);
  Result<void> measure_swaps();
  Result<void> measure_beside_loops();
  Result<void> measure_central();
  // Measures both PDPs alternately, for this many rounds. An empty plan skips a PDP.
  Result<void> measure(DecideRowId id, const std::array<std::optional<Asked>, 2>& asked,
                       const Measure& how);
  Result<void> slice(DecideRowId id, DecidePdp pdp, const Asked& asked, const Measure& how);
  Result<LoadFigures> load_with_swaps(DecidePdp pdp, const LoadPlan& plan);
  Result<LoadFigures> load_beside_loops(DecidePdp pdp, const LoadPlan& plan);
  Result<LoadFigures> load_beside_flood(const LoadPlan& plan, const LoadTls& who);

  Asked asked_allow(const PdpAddress& address, size_t connections) const;
  Asked asked_stamped(DecidePdp pdp, double rate, bool is_swapped);
  Verdict judge_stamped(DecidePdp pdp, size_t index, const HttpAnswer& answer, bool is_swapped);

  DecideRow& row(DecideRowId id) { return result_.rows[static_cast<size_t>(id)]; }
  PdpAddress tcp(DecidePdp pdp) const { return *arms_->address(pdp, Way::kTcp); }
  double slice_seconds() const { return options_.seconds / static_cast<double>(options_.rounds); }
  void say(const DecideRow& row) const;

  const DecideOptions& options_;
  DecideResult result_;
  std::unique_ptr<DecideArms> arms_;
  std::vector<RbacQuestion> questions_;
};

Asked DecideSuite::asked_allow(const PdpAddress& address, size_t connections) const {
  return {{.address = address,
           .connections = connections,
           .requests = data_messages(address, kRbacAllow, questions_),
           .judge =
               [this](size_t index, const HttpAnswer& answer) {
                 return judge_allowed(answer, questions_[index].allowed);
               },
           .seconds = slice_seconds()}};
}

Verdict DecideSuite::judge_stamped(DecidePdp pdp, size_t index, const HttpAnswer& answer,
                                   bool is_swapped) {
  constexpr unsigned kOk = 200;
  if (answer.status != kOk) return Verdict::kRefused;
  const auto said = stamped_answer(answer);
  if (!said) return Verdict::kWrong;
  if (is_swapped) {
    SwapFacts& facts = result_.swaps[index_of(pdp)];
    if (said->rule != said->document) ++facts.mixed;
    facts.seen.insert(said->rule);
  }
  return said->allowed == questions_[index].allowed ? Verdict::kRight : Verdict::kWrong;
}

Asked DecideSuite::asked_stamped(DecidePdp pdp, double rate, bool is_swapped) {
  return {{.address = tcp(pdp),
           .connections = kConnections,
           .requests = data_messages(tcp(pdp), kRbacStamped, questions_),
           .judge =
               [this, pdp, is_swapped](size_t index, const HttpAnswer& answer) {
                 return judge_stamped(pdp, index, answer, is_swapped);
               },
           .rate = rate,
           .seconds = slice_seconds()}};
}

Result<void> DecideSuite::slice(DecideRowId id, DecidePdp pdp, const Asked& asked,
                                const Measure& how) {
  auto& figures = row(id).of[index_of(pdp)];
  if (!figures) {
    figures.emplace();
    figures->asked_rate = asked.plan.rate;
    LoadPlan warm_up = asked.plan;
    warm_up.seconds = std::min(warm_up.seconds, kWarmUpS);
    NOTP_TRY(run_load(warm_up));
  }
  // On a busy machine a short slice may end before its first answer; it counts with rate 0.
  std::string failure;
  for (size_t tries = 0; tries < kSliceTriesMax; ++tries) {
    NOTP_ASSIGN(const double cpu_before, cpu_seconds_of(arms_->pid(pdp)));
    NOTP_ASSIGN(const LoadFigures measured, how(pdp, asked.plan));
    NOTP_ASSIGN(const double cpu_after, cpu_seconds_of(arms_->pid(pdp)));
    figures->add(measured, asked.decisions_each, cpu_after - cpu_before);
    if (measured.answers != 0) return {};
    failure = measured.first_failure;
  }
  return fail(ErrorCode::kUnavailable,
              fmt::format("{}: no right answer: {}", row(id).name, failure));
}

Result<void> DecideSuite::measure(DecideRowId id, const std::array<std::optional<Asked>, 2>& asked,
                                  const Measure& how) {
  for (size_t round = 0; round < options_.rounds; ++round)
    for (size_t turn = 0; turn < kPdps.size(); ++turn) {
      // The PDPs take turns to be first.
      const DecidePdp pdp = kPdps[(round + turn) % kPdps.size()];
      if (const auto& one = asked[index_of(pdp)]) NOTP_TRY(slice(id, pdp, *one, how));
    }
  say(row(id));
  return {};
}

Result<LoadFigures> load_alone(DecidePdp, const LoadPlan& plan) { return run_load(plan); }

Result<void> DecideSuite::measure_single(DecideRowId id, std::string name, Way way) {
  row(id).name = std::move(name);
  std::array<std::optional<Asked>, 2> asked;
  for (const DecidePdp pdp : kPdps)
    if (const auto address = arms_->address(pdp, way))
      asked[index_of(pdp)] = asked_allow(*address, 1);
  return measure(id, asked, load_alone);
}

Result<void> DecideSuite::measure_batches(DecideRowId id, size_t batch) {
  row(id).name = fmt::format("AuthZEN batches of {}", batch);
  const PdpAddress agent = tcp(DecidePdp::kAgent);
  Asked batches{{.address = agent,
                 .connections = kConnections,
                 .requests = batch_messages(agent, questions_, batch),
                 .judge =
                     [this, batch](size_t index, const HttpAnswer& answer) {
                       return judge_all(answer, questions_, batch, index);
                     },
                 .seconds = slice_seconds()},
                batch};
  return measure(id, {std::move(batches), asked_allow(tcp(DecidePdp::kOpa), kConnections)},
                 load_alone);
}

Result<LoadFigures> DecideSuite::load_with_swaps(DecidePdp pdp, const LoadPlan& plan) {
  Swapper swapper(*arms_, pdp, result_.swap_every_s);
  auto figures = run_load(plan);
  NOTP_ASSIGN(const uint64_t swapped, swapper.stop());
  result_.swaps[index_of(pdp)].published += swapped;
  NOTP_TRY(arms_->await_swapped(pdp));
  return figures;
}

// Measures each at the same share of its maximum rate; alternates runs with and without swaps, so
// that both see the same machine.
Result<void> DecideSuite::measure_swaps() {
  row(DecideRowId::kStampedRate).name = "16 connections, with release";
  row(DecideRowId::kSteady).name = "at 60 % of it";
  row(DecideRowId::kSwapped).name = "at 60 % of it, swaps";
  NOTP_TRY(measure(
      DecideRowId::kStampedRate,
      {asked_stamped(DecidePdp::kAgent, 0, false), asked_stamped(DecidePdp::kOpa, 0, false)},
      load_alone));
  std::array<double, 2> rates{};
  for (const DecidePdp pdp : kPdps)
    rates[index_of(pdp)] = kShareOfRate * row(DecideRowId::kStampedRate).figures(pdp)->rate();
  for (size_t round = 0; round < options_.rounds; ++round)
    for (const DecidePdp pdp : kPdps) {
      const double rate = rates[index_of(pdp)];
      NOTP_TRY(slice(DecideRowId::kSteady, pdp, asked_stamped(pdp, rate, false), load_alone));
      NOTP_TRY(slice(
          DecideRowId::kSwapped, pdp, asked_stamped(pdp, rate, true),
          [this](DecidePdp which, const LoadPlan& plan) { return load_with_swaps(which, plan); }));
    }
  say(row(DecideRowId::kSteady));
  say(row(DecideRowId::kSwapped));
  return {};
}

Result<LoadFigures> DecideSuite::load_beside_loops(DecidePdp pdp, const LoadPlan& plan) {
  const bool is_agent = pdp == DecidePdp::kAgent;
  const PdpAddress address = tcp(pdp);
  EndlessQuestions loops(address,
                         post_message(address, fmt::format("/v1/data/{}", kRbacEndless), "{}"),
                         kLoops, is_agent ? kAgentLoopMs : kOpaLoopMs);
  auto figures = run_load(plan);
  result_.loops[index_of(pdp)].add(loops.stop(/*cut_now=*/!is_agent));
  return figures;
}

Result<void> DecideSuite::measure_beside_loops() {
  row(DecideRowId::kBesideLoops).name = "one at a time, 4 endless";
  return measure(
      DecideRowId::kBesideLoops,
      {asked_allow(tcp(DecidePdp::kAgent), 1), asked_allow(tcp(DecidePdp::kOpa), 1)},
      [this](DecidePdp pdp, const LoadPlan& plan) { return load_beside_loops(pdp, plan); });
}

Result<LoadFigures> DecideSuite::load_beside_flood(const LoadPlan& plan, const LoadTls& who) {
  Flood flood(
      {.address = plan.address,
       .connections = kFloodConnections,
       .identities = {who},
       .requests = {post_message(plan.address, fmt::format("/v1/data/{}", kRbacCostly), "{}")},
       .judge = {},
       .seconds = kDecideSecondsMax});
  flood.await_begun();
  auto figures = run_load(plan);
  NOTP_ASSIGN(const LoadFigures flooded, flood.stop());
  result_.flood.answers += flooded.answers;
  result_.flood.refused += flooded.failed;
  return figures;
}

// Measures the agent only: under such a flood OPA does not even answer handshakes. Alternates runs
// with and without the flood, so that both see the same machine.
Result<void> DecideSuite::measure_central() {
  row(DecideRowId::kCentral).name = "200 PEPs, TLS";
  row(DecideRowId::kFlooded).name = "200 PEPs, TLS, one floods";
  const auto address = arms_->address(DecidePdp::kAgent, Way::kTls);
  if (!address) return {};
  NOTP_ASSIGN(std::vector<LoadTls> peps, arms_->make_peps(kPeps + 1));
  const LoadTls flooder = std::move(peps.back());
  peps.pop_back();
  Asked asked = asked_allow(*address, kPeps);
  asked.plan.identities = std::move(peps);
  asked.plan.rate = kPepsRate;
  for (size_t round = 0; round < options_.rounds; ++round) {
    NOTP_TRY(slice(DecideRowId::kCentral, DecidePdp::kAgent, asked, load_alone));
    NOTP_TRY(
        slice(DecideRowId::kFlooded, DecidePdp::kAgent, asked,
              [&](DecidePdp, const LoadPlan& plan) { return load_beside_flood(plan, flooder); }));
  }
  say(row(DecideRowId::kCentral));
  say(row(DecideRowId::kFlooded));
  return {};
}

Result<void> DecideSuite::measure_all() {
  if (options_.central_only) return measure_central();
  NOTP_TRY(measure_single(DecideRowId::kTcp, "one at a time, TCP", Way::kTcp));
  NOTP_TRY(measure_single(DecideRowId::kUnix, "one at a time, Unix socket", Way::kUnix));
  NOTP_TRY(measure_single(DecideRowId::kTls, "one at a time, TLS", Way::kTls));
  row(DecideRowId::kRate).name = "16 connections";
  NOTP_TRY(measure(DecideRowId::kRate,
                   {asked_allow(tcp(DecidePdp::kAgent), kConnections),
                    asked_allow(tcp(DecidePdp::kOpa), kConnections)},
                   load_alone));
  NOTP_TRY(measure_batches(DecideRowId::kBatch20, 20));
  NOTP_TRY(measure_batches(DecideRowId::kBatch100, 100));
  NOTP_TRY(measure_swaps());
  NOTP_TRY(measure_beside_loops());
  return measure_central();
}

void DecideSuite::say(const DecideRow& row) const {
  if (!options_.progress) return;
  std::string line = row.name + ":";
  for (const DecidePdp pdp : kPdps)
    if (const DecideFigures* figures = row.figures(pdp))
      line += fmt::format(" {} {:.0f} a second, p50 {:.3f} ms, p99 {:.3f} ms;",
                          pdp == DecidePdp::kAgent ? "agent" : "OPA", figures->rate(),
                          figures->latency.p50(), figures->latency.p99());
  options_.progress(line);
}

Result<DecideResult> DecideSuite::run() {
  NOTP_ASSIGN(const auto scratch, ScratchFolder::make());
  ::getloadavg(&result_.load_before, 1);
  result_.opa = opa_version(options_.opa);
  result_.connections = kConnections;
  result_.seconds = options_.seconds;
  result_.swap_every_s = std::min(kSwapEveryS, slice_seconds() / 2);
  NOTP_ASSIGN(arms_, DecideArms::start(options_, scratch->path(), result_.notes));
  questions_ = arms_->model().questions(kQuestions);
  size_t bytes = 0;
  for (const RbacQuestion& question : questions_) bytes += question.input.size();
  result_.question_bytes = bytes / questions_.size();
  NOTP_TRY(measure_all());
  NOTP_TRY(arms_->stop());
  return std::move(result_);
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::ranges::sort(values);
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

}  // namespace

void DecideFigures::add(const LoadFigures& slice, size_t decisions_each, double pdp_cpu) {
  latency.add(slice.latency);
  decisions += slice.answers * decisions_each;
  failed += slice.failed;
  wrong += slice.wrong;
  if (first_failure.empty()) first_failure = slice.first_failure;
  rates.push_back(ratio(static_cast<double>(slice.answers * decisions_each), slice.seconds));
  seconds += slice.seconds;
  pdp_cpu_s += pdp_cpu;
  generator_cpu_s += slice.generator_cpu_s;
}

double DecideFigures::rate() const { return median(rates); }

double DecideFigures::cpu_us_each() const {
  return ratio(pdp_cpu_s * 1e6, static_cast<double>(decisions));
}

double DecideFigures::generator_share() const { return ratio(generator_cpu_s, seconds); }

Result<DecideResult> run_decide(const DecideOptions& options) { return DecideSuite(options).run(); }

}  // namespace notp::bench
