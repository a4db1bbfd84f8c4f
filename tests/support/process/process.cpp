#include "tests/support/process/process.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "common/argv.hpp"

namespace notp {
namespace {

using std::chrono::steady_clock;

constexpr milliseconds kPoll{10};
constexpr int kNotStarted = 127;

// The test's environment without the variables that configure the programs under test.
std::vector<std::string> child_environment(const ProcessOptions& options) {
  std::vector<std::string> out;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    if (!text.starts_with("NOTP_") && !text.starts_with("XDG_")) out.push_back(text);
  }
  for (const auto& [name, value] : options.environment) {
    std::erase_if(out, [&](const std::string& text) { return text.starts_with(name + "="); });
    out.push_back(name + "=" + value);
  }
  return out;
}

int open_append(const std::filesystem::path& file) {
  const char* path = file.empty() ? "/dev/null" : file.c_str();
  return ::open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
}

// Between fork and exec: async-signal-safe calls only.
[[noreturn]] void become(char* const* argv, char* const* environment, const char* folder, int out,
                         int err, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(kNotStarted);
  const int in = ::open("/dev/null", O_RDONLY);
  ::dup2(in, STDIN_FILENO);
  ::dup2(out, STDOUT_FILENO);
  ::dup2(err, STDERR_FILENO);
  if (*folder == '\0' || ::chdir(folder) == 0) ::execvpe(argv[0], argv, environment);
  ::_exit(kNotStarted);
}

// Claims the port for this test; it need not have a listener yet. False when another test has it.
// The claim is an abstract socket's name, which ends with this process.
bool claim_port(int port) {
  const int claim = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  const std::string text = "notp-test-port-" + std::to_string(port);
  text.copy(name.sun_path + 1, sizeof name.sun_path - 1);
  if (::bind(claim, reinterpret_cast<sockaddr*>(&name), sizeof name) == 0) return true;
  ::close(claim);
  return false;
}

}  // namespace

Process::Process(ProcessOptions options)
    : output_file_(options.output_file), error_file_(options.error_file) {
  std::vector<std::string> environment = child_environment(options);
  const std::vector<char*> argv = argv_of(options.command), envp = argv_of(environment);
  const int out = open_append(output_file_), err = open_append(error_file_);
  if (out < 0 || err < 0) throw std::runtime_error("cannot open a file for a program's output");
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ == 0) become(argv.data(), envp.data(), options.folder.c_str(), out, err, parent);
  ::close(out);
  ::close(err);
  if (pid_ < 0) throw std::runtime_error("cannot fork: " + std::string(std::strerror(errno)));
  pid_fd_ = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));
  if (pid_fd_ < 0) {
    kill();
    throw std::runtime_error("pidfd_open: " + std::string(std::strerror(errno)));
  }
}

Process::Process(Process&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      pid_fd_(std::exchange(other.pid_fd_, -1)),
      status_(other.status_),
      output_file_(std::move(other.output_file_)),
      error_file_(std::move(other.error_file_)) {}

Process::~Process() {
  if (pid_ > 0) kill();
  if (pid_fd_ >= 0) ::close(pid_fd_);
}

std::optional<int> Process::wait(milliseconds patience) {
  const auto deadline = steady_clock::now() + patience;
  while (!status_) {
    const auto left =
        std::chrono::duration_cast<milliseconds>(deadline - steady_clock::now()).count();
    pollfd ended{pid_fd_, POLLIN, 0};
    const int ready = ::poll(&ended, 1, static_cast<int>(std::max<int64_t>(left, 0)));
    if (ready == 0) return std::nullopt;
    int status = 0;
    if (ready < 0 || ::waitpid(pid_, &status, WNOHANG) != pid_) continue;
    status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  return status_;
}

bool Process::is_running() { return !wait(milliseconds(0)); }

void Process::signal(int number) {
  if (is_running()) ::kill(pid_, number);
}

void Process::kill() {
  if (status_) return;
  ::kill(pid_, SIGKILL);
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) continue;
  status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

std::string Process::output() const { return read_text(output_file_); }
std::string Process::error() const { return read_text(error_file_); }

bool wait_until(const std::function<bool()>& condition, milliseconds patience) {
  const auto deadline = steady_clock::now() + patience;
  while (!condition()) {
    if (steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(kPoll);
  }
  return true;
}

std::string read_text(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();  // an error of reading ends it: a process of /proc may just have ended
  return std::move(text).str();
}

int free_port() {
  // Each process starts at another port, so that parallel tests seldom collide.
  constexpr int kLowest = 20'000, kPorts = 12'000, kStride = 509;
  static int next = ::getpid() % kPorts * kStride;
  for (int attempt = 0; attempt < kPorts; ++attempt) {
    const int port = kLowest + next++ % kPorts;
    if (!claim_port(port)) continue;
    const int probe = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const bool free = ::bind(probe, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    ::close(probe);
    if (free) return port;
  }
  throw std::runtime_error("no free port on loopback");
}

}  // namespace notp
