// notp doctor: what is wrong with a set-up, why it matters, and the command that shows or mends it.
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "tools/notp/command.hpp"
#include "tools/notp/doctor/examinations.hpp"

namespace notp::cli {
namespace {

struct DoctorOptions {
  std::string registry_config, agent_config;
};

Result<int> run_doctor(const Context& context, const DoctorOptions& options) {
  doctor::Subject subject{.kind = "client", .program = "notp", .config = ""};
  auto* examine = &doctor::examine_client;
  if (!options.registry_config.empty()) {
    subject = {"registry", "notp-server", options.registry_config};
    examine = &doctor::examine_registry;
  } else if (!options.agent_config.empty()) {
    subject = {"agent", "notp-client", options.agent_config};
    examine = &doctor::examine_agent;
  }
  if (!subject.config.empty() && ::access(subject.config.c_str(), R_OK) != 0)
    return fail(ErrorCode::kUsage,
                fmt::format("{} cannot be read: {}", subject.config, std::strerror(errno)));
  doctor::Diagnosis diagnosis(std::move(subject));
  NOTP_TRY(examine(context, diagnosis));
  context.output.result(diagnosis.text(context.output), diagnosis.document());
  return diagnosis.findings().empty() ? exit_code::kOk : exit_code::kFailure;
}

void declare_doctor(CLI::App& command, DoctorOptions& options) {
  CLI::Option* const registry =
      command
          .add_option("--registry-config", options.registry_config,
                      "Check the registry of this machine by its configuration")
          ->type_name("FILE");
  command
      .add_option("--agent-config", options.agent_config,
                  "Check the agent of this machine by its configuration")
      ->type_name("FILE")
      ->excludes(registry);
  command.footer(
      "Without an option it checks the settings of this command and the registry that they name.\n"
      "Exit codes: 0 no findings, 1 findings, 2 nothing could be checked.");
}

}  // namespace

void add_doctor(Commands& commands) {
  commands.add<DoctorOptions>(commands.root(), "doctor",
                              "Find what is wrong with a set-up, and what to do", declare_doctor,
                              run_doctor);
}

}  // namespace notp::cli
