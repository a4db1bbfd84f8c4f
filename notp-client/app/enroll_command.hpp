// `notp-client enroll`: from a one-time token to an identity and a configuration.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "common/config.hpp"
#include "notp-client/identity/enroll.hpp"

namespace notp {

struct EnrollCommand {
  EnrollOptions order;
  std::string folder, token_file, proxy_password_file;
  std::vector<std::string> ledgers;
  bool run = false;             // the caller then runs the agent
  CLI::App* command = nullptr;  // once it is added
};

// `command` is bound to and must live as long as `app`.
void add_enroll(CLI::App& app, EnrollCommand& command);

// Joins and prints what was made and what is still to be done; asks for ledgers that are not given
// when a terminal is there. With `run`, a node that has joined already is no fault: a container
// that is restarted goes on as who it is. Returns the file of the agent's configuration. The codes
// of enroll(); kUsage for the command line.
Result<std::filesystem::path> run_enroll(EnrollCommand& command, const Environment& environment);

}  // namespace notp
