#include "tools/notp/doctor/daemon_check.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>

#include "common/argv.hpp"
#include "common/descriptor.hpp"
#include "common/storage/files.hpp"
#include "tools/notp/child_program.hpp"
#include "tools/notp/doctor/machine.hpp"
#include "tools/notp/temporary_folder.hpp"

namespace notp::cli::doctor {
namespace {

namespace fs = std::filesystem;

constexpr size_t kOutputBytesMax = 4 << 20;
// It starts and stops a worker, on a machine that may be busy.
constexpr int kCheckMs = 60'000;

// Beside this program, where an installation and a build put it; else by PATH.
std::string program_file(const std::string& name) {
  std::error_code error;
  const fs::path beside = fs::read_symlink("/proc/self/exe", error).parent_path() / name;
  return !error && ::access(beside.c_str(), X_OK) == 0 ? beside.string() : name;
}

Result<pid_t> start(std::vector<std::string> command, const Environment& environment,
                    const fs::path& output, const fs::path& errors) {
  std::vector<std::string> variables;
  for (const auto& [name, value] : environment)
    variables.push_back(fmt::format("{}={}", name, value));
  auto child = start_program(std::move(command), argv_of(variables).data(), output, errors);
  if (child) return child;
  return std::unexpected(std::move(child).error().with(
      "hint", "run it on the machine where that program is installed"));
}

// Waits until the child ends, or kills it.
Result<void> wait_for(pid_t child, const std::string& program) {
  const Descriptor handle(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
  pollfd end{handle.get(), POLLIN, 0};
  int ready = 0;
  do {
    ready = ::poll(&end, 1, kCheckMs);
  } while (ready < 0 && errno == EINTR);  // as after SIGSTOP and SIGCONT
  const bool ended = ready == 1;
  if (!ended) ::kill(child, SIGKILL);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (ended) return {};
  return fail(ErrorCode::kTimeout,
              fmt::format("{} --check has not ended within {} s", program, kCheckMs / 1000));
}

}  // namespace

Result<std::optional<json::value>> check_by_daemon(const Context& context, Diagnosis& diagnosis) {
  const Subject& subject = diagnosis.subject();
  NOTP_ASSIGN(const TemporaryFolder scratch, TemporaryFolder::make("doctor"));
  const fs::path output = scratch.path() / "output", errors = scratch.path() / "errors";
  const std::string program = program_file(subject.program);
  NOTP_ASSIGN(const pid_t child,
              start({program, "--check", "-o", "json", "--config", subject.config},
                    context.environment, output, errors));
  NOTP_TRY(wait_for(child, program));
  NOTP_ASSIGN(const Bytes text, read_file(output, kOutputBytesMax));
  NOTP_ASSIGN(const Bytes said, read_file(errors, kOutputBytesMax));
  auto document = parse_json(text);
  if (!document || !document->is_object() || !document->as_object().contains("findings")) {
    const std::string why = said.empty() ? "--check said nothing that can be read" : said;
    diagnosis.add("configuration_invalid", subject.config,
                  why.substr(0, why.find_last_not_of('\n') + 1));
    return std::nullopt;
  }
  diagnosis.add_setup(document->as_object()["findings"].as_array());
  check_keys_and_disks(config::Section(*document), diagnosis);
  return std::optional<json::value>(*std::move(document));
}

}  // namespace notp::cli::doctor
