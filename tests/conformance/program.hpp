// Generated programs with OPA's answers: the lines of tools/opa/programs.
#pragma once

#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "common/rego/check.hpp"
#include "tests/conformance/agent_pdp.hpp"
#include "tests/support/json_reference.hpp"

namespace notp::conformance {

struct Program {
  std::string line;
  reference::ValuePtr root;  // of `line`
  // Some have a document so large that only its changes are sent.
  bool padded = false;

  const reference::Value& at(const std::string& name) const { return *root->members.at(name); }
  std::string seed() const { return at("seed").scalar; }
};

// The generator process.
class ProgramSource {
 public:
  ProgramSource(uint64_t seed, uint64_t count);
  ~ProgramSource();
  ProgramSource(const ProgramSource&) = delete;
  ProgramSource& operator=(const ProgramSource&) = delete;
  // nullopt when it has ended, or its output is not JSON.
  std::optional<Program> next();

 private:
  std::FILE* pipe_;
  char* buffer_ = nullptr;
  size_t capacity_ = 0;
};

// The files of a program in one state.
struct ProgramFiles {
  std::map<std::string, Bytes> modules, documents;  // by path in the model
};
enum class ProgramState { kCold, kPatched, kChanged };
ProgramFiles files_of(const Program& program, ProgramState state);
TestComposition active_set_of(const Program& program, ProgramState state, uint64_t version);

// The differences from OPA's answers in a state, one line each; counts the comparisons.
std::vector<std::string> differing_answers(AgentPdp& pdp, const Program& program,
                                           ProgramState state, uint64_t& compared);

// The differences from OPA's findings and test outcomes: for the program, for a repetition, and for
// the damaged variants.
std::vector<std::string> differing_checks(rego::ModelChecker& checker, const Program& program);

}  // namespace notp::conformance
