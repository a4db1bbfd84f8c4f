// Generated programs with the answers of the pinned OPA: the agent's PDP must give the same
// answers, regardless of earlier programs.
#include <doctest/doctest.h>
#include <signal.h>

#include "common/limits.hpp"
#include "tests/conformance/program.hpp"
#include "tests/support/process/child_processes.hpp"
#include "tests/support/results.hpp"

namespace notp {
namespace {

using conformance::AgentPdp;
using conformance::Program;
using conformance::ProgramState;

constexpr uint64_t kSeed = 20'000'000, kPrograms = 500;
constexpr size_t kPrintedMax = 5;  // for each program

// Depends on the seed, so that a program behaves the same when it is run alone.
bool is_even(const Program& program) { return (program.seed().back() - '0') % 2 == 0; }

struct Run {
  AgentPdp pdp{{}};
  rego::ProcessChecker checker{
      {.worker = test_worker(), .test_ms = conformance::kPatientMs, .tests_ms = 600'000}};
  uint64_t programs = 0, version = 0, answers = 0, patches = 0, kills = 0, different = 0;

  void report(const Program& program, const std::string& where,
              const std::vector<std::string>& differences) {
    different += differences.size();
    for (size_t i = 0; i < std::min(differences.size(), kPrintedMax); ++i)
      FAIL_CHECK("program ", programs, ", NOTP_SEED=", program.seed(), " NOTP_PROGRAMS=1, ", where,
                 ": ", differences[i]);
  }

  // False when the PDP refuses it.
  bool activate(const Program& program, const std::string& where, ProgramState state) {
    const auto taken = pdp.activate(active_set_of(program, state, ++version));
    if (!taken) report(program, where, {taken.error().message});
    return taken.has_value();
  }
  void ask(const Program& program, const std::string& where, ProgramState state) {
    report(program, where, differing_answers(pdp, program, state, answers));
  }

  void patch(const Program& program) {
    const auto before = pdp.status();
    if (!activate(program, "patched", ProgramState::kPatched)) return;
    if (program.padded) {
      // The changes were sent instead of the document, to each worker that has the one before.
      const auto after = pdp.status();
      const uint64_t sent = after.documents_patched - before.documents_patched;
      CHECK(sent >= 1);
      CHECK(after.patch_bytes - before.patch_bytes < sent * limits::kPatchedDocumentBytesMin);
      patches += sent;
    }
    ask(program, "patched", ProgramState::kPatched);
  }
  // The oldest worker has decided so far; for every second program the other one is killed, too.
  void take_over(const Program& program) {
    const auto workers = pdp.workers();
    const size_t last = is_even(program) ? 1 : workers.size();
    for (size_t i = 0; i < std::min(last, workers.size()); ++i) {
      CHECK(::kill(workers[i], SIGKILL) == 0);
      ++kills;
    }
    ask(program, "taken over", ProgramState::kChanged);
  }

  void judge(Program& program) {
    ++programs;
    program.root = reference::read(program.line);
    REQUIRE(program.root);
    const auto key = program.at("patch").members.at("key")->string();
    program.padded = key == "base/data.json" && is_even(program);
    report(program, "check", differing_checks(checker, program));
    if (!activate(program, "cold", ProgramState::kCold)) return;
    ask(program, "cold", ProgramState::kCold);
    patch(program);
    if (!activate(program, "changed", ProgramState::kChanged)) return;
    ask(program, "changed", ProgramState::kChanged);
    take_over(program);
  }
};

}  // namespace

TEST_CASE("generated programs: answers, findings and test outcomes are OPA's") {
  const uint64_t seed = count_of("NOTP_SEED", kSeed), count = count_of("NOTP_PROGRAMS", kPrograms);
  Run run;
  conformance::ProgramSource source(seed, count);
  while (auto program = source.next()) run.judge(*program);
  CHECK(run.programs == count);
  CHECK(run.different == 0);
  const auto status = run.pdp.status();
  CHECK(status.deaths >= run.programs);
  CHECK(status.kills == 0);
  CHECK(status.suspects + status.quarantined == 0);
  record_result(
      "generated programs against OPA's answers",
      fmt::format("{} programs from seed {}: {} answers, {} large documents patched, {} workers "
                  "killed, {} takeovers",
                  run.programs, seed, run.answers, run.patches, run.kills, status.takeovers),
      fmt::format("{} differ", run.different));
}

}  // namespace notp
