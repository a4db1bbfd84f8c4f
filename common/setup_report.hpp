// What is wrong with a configuration and the files that it names: collected whole, so that a person
// sees all of it at once. `--check` prints it, and a start acts on the same findings.
#pragma once

#include <string>
#include <vector>

#include "common/result.hpp"

namespace notp {

struct SetupFinding {
  enum class Kind : uint8_t {
    kRefused,  // a start refuses it
    kUseless,  // a start goes on without it: a peer would refuse it, or nothing would come of it
    kWarning,  // works today
  };
  Kind kind = Kind::kRefused;
  std::string subject;  // a file, or a key of the configuration
  std::string problem;
  std::string advice;  // what to do
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
  // The same of an error whose message names what it is about.
  void add(Kind kind, const Error& error, std::string advice = {});

  const std::vector<SetupFinding>& findings() const { return findings_; }
  // All but warnings.
  size_t errors() const;

  // Every refused finding, a line each; their code, or kConfig when there are several.
  Result<void> may_start() const;
  // What a start goes on without, and warnings, as events `setup_problem` and `setup_warning`.
  void log_rest() const;
  // For a person: a line each, and "the configuration is valid" when there is no error.
  std::string text() const;

 private:
  std::vector<SetupFinding> findings_;
};

// A program's data folder: it is there and can be written, or can be made. One on a disk that takes
// no writes is a warning. Changes nothing.
void check_data_folder(const std::string& folder, SetupReport& report);

}  // namespace notp
