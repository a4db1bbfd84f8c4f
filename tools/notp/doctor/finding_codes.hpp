// The table of findings: code, severity, consequence, command.
#pragma once

#include <string_view>

namespace notp::cli::doctor {

struct FindingCode {
  std::string_view code;
  bool is_error = true;
  std::string_view why;
  // {subject}, {config} and {program} are replaced, quoted for a shell.
  std::string_view command;
};

// nullptr: no such code.
const FindingCode* find_code(std::string_view code);

}  // namespace notp::cli::doctor
