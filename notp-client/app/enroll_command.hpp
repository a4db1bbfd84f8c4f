// `notp-client enroll`: turns a one-time token into an identity and a configuration.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "common/config.hpp"
#include "notp-client/identity/enroll.hpp"

namespace notp::client {

struct EnrollCommand {
  identity::EnrollOptions options;
  std::string folder, token_file, proxy_password_file;
  std::vector<std::string> ledgers;
  bool run = false;             // the caller then runs the agent
  bool service = false;         // for the packaged agent, which is then started
  CLI::App* command = nullptr;  // once it is added
};

// `command` is bound to `app` and must live as long.
void add_enroll(CLI::App& app, EnrollCommand& command);

// Enrols and prints what was created and what remains to be done; asks for missing ledgers if there
// is a terminal. With `run`, a node that is already enrolled is not an error: a restarted container
// keeps its identity; with `service` what is missing of the rest is made. Returns the agent's
// configuration file. The codes of enroll() and of ServiceEnrollment; kUsage for the command line.
Result<std::filesystem::path> run_enroll(EnrollCommand& command, const Environment& environment);

}  // namespace notp::client
