// The findings of `notp doctor`. Each code has its severity, a consequence and a command in one
// table, so that a check only says what it saw. One thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tools/notp/output.hpp"

namespace notp::cli::doctor {

// What is examined, as commands name it.
struct Subject {
  std::string kind;     // "registry", "agent", "client"
  std::string program;  // "notp-server", "notp-client", "notp"; of a daemon also its systemd unit
  std::string config;   // file; empty: the settings of the CLI
};

struct Finding {
  std::string code;  // snake case, stable
  bool is_error = true;
  std::string subject;  // a file, an address, a ledger or a key of the configuration
  std::string what, why;
  std::string advice;  // may be empty
  std::string command;
};

class Diagnosis {
 public:
  explicit Diagnosis(Subject subject) : subject_(std::move(subject)) {}

  // An unknown code is a bug (asserted).
  void add(std::string_view code, std::string subject, std::string what, std::string advice = {});
  // The findings of a daemon's `--check -o json`, or of SetupReport::document(). A name that this
  // program does not know keeps its severity, and counts as "configuration".
  void add_setup(const json::array& findings);
  // A check that could not be made, and why.
  void cannot_check(std::string what);
  // What was seen, for a person who wants to know that it was looked at.
  void saw(std::string name, std::string value);

  const Subject& subject() const { return subject_; }
  const std::vector<Finding>& findings() const { return findings_; }
  bool has(std::string_view code) const;

  std::string text(const Output& output) const;
  json::value document() const;

 private:
  void add(std::string_view code, bool is_error, std::string subject, std::string what,
           std::string advice);

  Subject subject_;
  std::vector<Finding> findings_;
  std::vector<std::pair<std::string, std::string>> seen_;
  std::vector<std::string> unchecked_;
};

}  // namespace notp::cli::doctor
