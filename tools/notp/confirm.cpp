#include "tools/notp/confirm.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <string>

namespace notp::cli {

bool stdin_is_terminal() { return ::isatty(STDIN_FILENO) == 1; }

Result<void> confirm(const Output& output, std::string_view question) {
  if (output.is_json() || !stdin_is_terminal())
    return std::unexpected(Error{
        ErrorCode::kUsage,
        fmt::format("no terminal is there to answer '{}'", question),
        {}}.with("hint", "look at what it says first, then give --yes"));
  fmt::print(stderr, "{} [y/N] ", question);
  std::fflush(stderr);
  std::string answer;
  std::getline(std::cin, answer);
  if (answer == "y" || answer == "Y" || answer == "yes") return {};
  return fail(ErrorCode::kCancelled, "nothing was done");
}

}  // namespace notp::cli
