// Collects all faults of a configuration and of the files that it names, so that a person sees them
// at once. `--check` prints the report, and a start acts on the same findings.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/json/json.hpp"
#include "common/result.hpp"

namespace notp {

// The name of a finding that needs none of its own.
inline constexpr std::string_view kConfigurationFault = "configuration";

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
  // Which fault it is, in snake case; stable: scripts and `notp doctor` tell findings by it.
  std::string_view name = kConfigurationFault;

  std::string text() const;  // "subject: problem; advice"
};

// Advice about a file that cannot be read.
inline constexpr const char* kPutFileThere =
    "put the file there, readable by this program's user, or name another";

class SetupReport {
 public:
  using Kind = SetupFinding::Kind;

  void add(Kind kind, std::string subject, std::string problem, std::string advice,
           ErrorCode code = ErrorCode::kConfig, std::string_view name = kConfigurationFault);
  // The same for an error whose message names its subject.
  void add(Kind kind, const Error& error, std::string advice = {},
           std::string_view name = kConfigurationFault);

  const std::vector<SetupFinding>& findings() const { return findings_; }
  // Counts all but warnings.
  size_t errors() const;

  // Returns every refused finding, a line each; their code, or kConfig when the codes differ.
  Result<void> may_start() const;
  // Logs useless findings and warnings, as events `setup_problem` and `setup_warning`.
  void log_rest() const;
  // For a person: a line each, and "the configuration is valid" when there are no errors.
  std::string text() const;
  // For a program: [{"name", "severity": "error" or "warning", "subject", "problem", "advice"}].
  json::array document() const;

 private:
  std::vector<SetupFinding> findings_;
};

// Checks a program's data folder: it exists and is writable, or can be made. A read-only disk is a
// warning. Changes nothing.
void check_data_folder(const std::string& folder, SetupReport& report);

}  // namespace notp
