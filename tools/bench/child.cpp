#include "tools/bench/child.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "common/argv.hpp"

namespace notp::bench {
namespace {

constexpr int kPollMs = 5;
constexpr int kNotStarted = 127;
constexpr size_t kErrorTail = 2'000;

std::vector<std::string> environment_of(const Command& command) {
  std::vector<std::string> out;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    if (!text.starts_with("NOTP_") && !text.starts_with("GIT_")) out.emplace_back(text);
  }
  for (const auto& [name, value] : command.environment) {
    std::erase_if(out, [&](const std::string& text) { return text.starts_with(name + "="); });
    out.push_back(name + "=" + value);
  }
  return out;
}

struct Streams {
  int in = -1, out = -1, error = -1;
};

Result<pid_t> spawn(const Command& command, const Streams& streams) {
  std::vector<std::string> words = command.words, environment = environment_of(command);
  const std::vector<char*> argv = argv_of(words), envp = argv_of(environment);
  const std::string folder = command.folder.string();
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0)
    return fail(ErrorCode::kIo, fmt::format("cannot start {}: {}", words[0], std::strerror(errno)));
  if (pid > 0) return pid;
  // Until exec, only calls that are safe between fork and exec in a threaded program.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(kNotStarted);
  ::dup2(streams.in, STDIN_FILENO);
  ::dup2(streams.out, STDOUT_FILENO);
  ::dup2(streams.error, STDERR_FILENO);
  if (folder.empty() || ::chdir(folder.c_str()) == 0) ::execvpe(argv[0], argv.data(), envp.data());
  ::_exit(kNotStarted);
}

int status_of(int wait_status) {
  return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);
}

// Reads both pipes to the end, or until the deadline.
bool drain(int out_fd, int error_fd, std::string& out, std::string& error, TimeMs deadline_ms) {
  pollfd fds[] = {{out_fd, POLLIN, 0}, {error_fd, POLLIN, 0}};
  std::string* texts[] = {&out, &error};
  for (int open = 2; open > 0;) {
    const TimeMs left_ms = deadline_ms - read_clock().boot_ms;
    if (left_ms <= 0) return false;
    if (::poll(fds, 2, static_cast<int>(left_ms)) < 0 && errno != EINTR) return false;
    for (int i = 0; i < 2; ++i) {
      if (fds[i].fd < 0 || fds[i].revents == 0) continue;
      char buffer[1 << 14];
      const ssize_t got = ::read(fds[i].fd, buffer, sizeof buffer);
      if (got > 0) {
        texts[i]->append(buffer, static_cast<size_t>(got));
      } else {
        fds[i].fd = -1;
        --open;
      }
    }
  }
  return true;
}

}  // namespace

Command notp_command(const std::filesystem::path& programs, std::filesystem::path folder,
                     const std::filesystem::path& home, std::vector<std::string> words) {
  Command command;
  command.words = {(programs / "notp").string()};
  std::ranges::move(words, std::back_inserter(command.words));
  command.folder = std::move(folder);
  for (const char* name : {"HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"})
    command.environment.emplace_back(name, home.string());
  return command;
}

Result<Child> Child::start(const Command& command, int connection) {
  const char* log = command.log.empty() ? "/dev/null" : command.log.c_str();
  const int out = ::open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  const int nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  const bool is_inetd = connection >= 0;
  auto pid = spawn(command, {is_inetd ? connection : nothing, is_inetd ? connection : out, out});
  ::close(out);
  ::close(nothing);
  if (!pid) return std::unexpected(std::move(pid).error());
  return Child(*pid);
}

Child& Child::operator=(Child&& other) noexcept {
  std::swap(pid_, other.pid_);
  return *this;
}

Child::~Child() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) continue;
}

std::optional<int> Child::poll() {
  int status = 0;
  if (pid_ < 0) return 0;
  if (::waitpid(pid_, &status, WNOHANG) != pid_) return std::nullopt;
  pid_ = -1;
  return status_of(status);
}

Result<void> Child::stop(TimeMs patience_ms) {
  if (pid_ < 0) return {};
  ::kill(pid_, SIGTERM);
  const TimeMs deadline_ms = read_clock().boot_ms + patience_ms;
  while (read_clock().boot_ms < deadline_ms) {
    if (const auto status = poll()) {
      if (*status == 0) return {};
      return fail(ErrorCode::kInternal, fmt::format("a program ended with status {}", *status));
    }
    ::poll(nullptr, 0, kPollMs);
  }
  const Child ended = std::move(*this);
  return fail(ErrorCode::kTimeout, "a program did not stop when it was told to");
}

Result<std::string> run(const Command& command, TimeMs patience_ms) {
  int out[2], error[2];
  if (::pipe2(out, O_CLOEXEC) != 0) return fail(ErrorCode::kIo, "no pipe");
  if (::pipe2(error, O_CLOEXEC) != 0) {
    ::close(out[0]), ::close(out[1]);
    return fail(ErrorCode::kIo, "no pipe");
  }
  const int nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  const auto pid = spawn(command, {nothing, out[1], error[1]});
  for (const int fd : {out[1], error[1], nothing}) ::close(fd);
  std::string printed, complaint;
  const bool in_time =
      pid && drain(out[0], error[0], printed, complaint, read_clock().boot_ms + patience_ms);
  ::close(out[0]), ::close(error[0]);
  if (!pid) return std::unexpected(pid.error());
  if (!in_time) ::kill(*pid, SIGKILL);
  int status = 0;
  while (::waitpid(*pid, &status, 0) < 0 && errno == EINTR) continue;
  if (!in_time)
    return fail(ErrorCode::kTimeout, fmt::format("{} did not end in time", command.words[0]));
  if (status_of(status) == 0) return printed;
  if (complaint.size() > kErrorTail) complaint.erase(0, complaint.size() - kErrorTail);
  std::string words;
  for (const std::string& word : command.words) words += " " + word;
  return fail(ErrorCode::kInternal,
              fmt::format("{} ended with status {}:\n{}{}", words.substr(1), status_of(status),
                          printed.substr(0, kErrorTail), complaint));
}

}  // namespace notp::bench
