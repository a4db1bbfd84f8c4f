// Runs the program notp as from a shell, with its output streams and exit status.
#pragma once

#include <doctest/doctest.h>

#include <cstdlib>

#include "common/json/json.hpp"
#include "tests/support/process/process.hpp"
#include "tests/support/temporary_folder.hpp"

namespace notp {

struct Ran {
  int status = -1;
  std::string output, error;
};

// A folder with its own home, so that no user's configuration applies.
class Shell {
 public:
  Ran run(std::vector<std::string> command,
          std::vector<std::pair<std::string, std::string>> environment = {}) {
    environment.emplace_back("HOME", path("home").string());
    const std::filesystem::path out = path("out" + std::to_string(runs_)),
                                err = path("err" + std::to_string(runs_));
    ++runs_;
    Process process({.command = std::move(command),
                     .folder = folder_.path(),
                     .environment = std::move(environment),
                     .output_file = out,
                     .error_file = err});
    const auto status = process.wait();
    REQUIRE(status);
    return {*status, process.output(), process.error()};
  }
  Ran notp(std::vector<std::string> arguments,
           std::vector<std::pair<std::string, std::string>> environment = {}) {
    const char* bin = std::getenv("NOTP_BIN");
    REQUIRE(bin != nullptr);
    arguments.insert(arguments.begin(), (std::filesystem::path(bin) / "notp").string());
    return run(std::move(arguments), std::move(environment));
  }
  std::filesystem::path path(const std::string& name) const { return folder_.path() / name; }

 private:
  TemporaryFolder folder_;
  int runs_ = 0;
};

inline json::value parsed(const std::string& text) {
  auto value = parse_json(text);
  REQUIRE_MESSAGE(value, text);
  return *std::move(value);
}

inline std::string error_code(const Ran& ran) {
  return json::value_to<std::string>(parsed(ran.error).at("error").at("code"));
}

}  // namespace notp
