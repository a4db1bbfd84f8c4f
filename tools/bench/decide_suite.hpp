// The suite "decide": decisions over HTTP by the agent with the embedded PDP, compared with an
// unmodified OPA. Both have the same model and get the same questions, in turn.
#pragma once

#include <array>
#include <filesystem>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tools/bench/http_load.hpp"
#include "tools/bench/report.hpp"

namespace notp::bench {

enum class DecidePdp : uint8_t { kAgent, kOpa };
enum class DecideRowId : uint8_t {
  kTcp,  // one at a time
  kUnix,
  kTls,
  kRate,     // as fast as the connections allow
  kBatch20,  // AuthZEN batches at the agent, single questions at OPA
  kBatch100,
  kStampedRate,  // the question of the two rows below
  kSteady,       // open loop
  kSwapped,      // the same, while the model changes
  kBesideLoops,  // one at a time
  kCentral,      // open loop, many callers over TLS
  kFlooded,      // the same, beside one caller that asks as fast as it can
};
inline constexpr size_t kDecideRows = 12;

// Figures of one PDP in one row, over all rounds.
struct DecideFigures {
  Samples latency;                                // of an answer; for a batch, of the whole batch
  uint64_t decisions = 0, failed = 0, wrong = 0;  // wrong: of the failed ones
  std::string first_failure;
  std::vector<double> rates;  // decisions a second of each round
  double seconds = 0, pdp_cpu_s = 0, generator_cpu_s = 0;
  double asked_rate = 0;  // questions a second; 0: closed loop

  void add(const LoadFigures& slice, size_t decisions_each, double pdp_cpu);
  // Decisions per second: the median of the rounds.
  double rate() const;
  double cpu_us_each() const;      // of the PDP, for one decision
  double generator_share() const;  // of one core
};

struct DecideRow {
  std::string name;
  std::array<std::optional<DecideFigures>, 2> of;  // by DecidePdp; nullopt: not measured
  bool measured() const { return of[0].has_value() || of[1].has_value(); }
  const DecideFigures* figures(DecidePdp pdp) const {
    const auto& figures = of[static_cast<size_t>(pdp)];
    return figures ? &*figures : nullptr;
  }
};

// Releases observed in the row kSwapped.
struct SwapFacts {
  uint64_t published = 0;
  std::set<int64_t> seen;  // numbers of releases that answers were decided with
  uint64_t mixed = 0;      // answers that used two releases
};

// Answers to the flooding caller in the row kFlooded.
struct FloodFacts {
  uint64_t answers = 0, refused = 0;
};

struct DecideOptions {
  std::filesystem::path programs, opa;
  uint64_t seed = 1;
  double seconds = 0;         // for each row and PDP
  size_t rounds = 0;          // PDPs alternate by round
  bool central_only = false;  // the rows kCentral and kFlooded
  std::function<void(const std::string&)> progress;
};
inline constexpr double kDecideSecondsMax = 600;
inline constexpr size_t kDecideRoundsMax = 50;

struct DecideResult {
  std::array<DecideRow, kDecideRows> rows;
  std::array<SwapFacts, 2> swaps;
  std::array<EndlessQuestions::Counts, 2> loops;
  FloodFacts flood;
  std::vector<std::string> notes;  // what was left out, and why
  size_t question_bytes = 0;       // of an input, on average
  size_t connections = 0;
  double seconds = 0, swap_every_s = 0, load_before = 0;
  std::string opa;

  const DecideRow& row(DecideRowId id) const { return rows[static_cast<size_t>(id)]; }
};

Result<DecideResult> run_decide(const DecideOptions& options);
std::string decide_table(const DecideResult& result);
json::object decide_json(const DecideResult& result, const CorpusLabels& labels);

}  // namespace notp::bench
