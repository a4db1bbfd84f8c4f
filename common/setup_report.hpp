// Collects all faults of a configuration and of the files that it names, so that a person sees them
// at once. `--check` prints the report, and a start acts on the same findings.
#pragma once

#include <string>
#include <vector>

#include "common/result.hpp"

namespace notp {

struct SetupFinding {
  enum class Kind : uint8_t {
    kRefused,  // a start refuses it
    kUseless,  // a start ignores it: a peer would refuse it, or it would have no effect
    kWarning,  // works today
  };
  Kind kind = Kind::kRefused;
  std::string subject;  // a file, or a key of the configuration
  std::string problem;
  std::string advice;  // the remedy
  ErrorCode code = ErrorCode::kConfig;

  std::string text() const;  // "subject: problem; advice"
};

// Advice about a file that cannot be read.
inline constexpr const char* kPutFileThere =
    "put the file there, readable by this program's user, or name another";

class SetupReport {
 public:
  using Kind = SetupFinding::Kind;

  void add(Kind kind, std::string subject, std::string problem, std::string advice,
           ErrorCode code = ErrorCode::kConfig);
  // The same for an error whose message names its subject.
  void add(Kind kind, const Error& error, std::string advice = {});

  const std::vector<SetupFinding>& findings() const { return findings_; }
  // Counts all but warnings.
  size_t errors() const;

  // Returns every refused finding, a line each; their code, or kConfig when the codes differ.
  Result<void> may_start() const;
  // Logs useless findings and warnings, as events `setup_problem` and `setup_warning`.
  void log_rest() const;
  // For a person: a line each, and "the configuration is valid" when there are no errors.
  std::string text() const;

 private:
  std::vector<SetupFinding> findings_;
};

// Checks a program's data folder: it exists and is writable, or can be made. A read-only disk is a
// warning. Changes nothing.
void check_data_folder(const std::string& folder, SetupReport& report);

}  // namespace notp
