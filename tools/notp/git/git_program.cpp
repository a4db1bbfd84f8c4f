#include "tools/notp/git/git_program.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <utility>

#include "common/argv.hpp"
#include "common/limits.hpp"

namespace notp::cli {
namespace {

namespace fs = std::filesystem;

constexpr size_t kFolderBytesMax = 64 << 20;  // kModelFilesMax names in one folder
constexpr size_t kLineBytesMax = 4096;
constexpr size_t kErrorBytesMax = 4096;
constexpr int kWatchMs = 100;  // between two calls of GitRun::watch
// How long processes of a group may take to end after SIGKILL: a disk may be slow.
constexpr int kGroupEndMs = 5'000, kGroupPollMs = 5;

struct Pipe {
  Descriptor read, write;

  static Result<Pipe> make() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0)
      return fail(ErrorCode::kIo, fmt::format("cannot make a pipe: {}", std::strerror(errno)));
    return Pipe{Descriptor(ends[0]), Descriptor(ends[1])};
  }
};

// A descriptor of -1 means /dev/null.
struct Streams {
  int input = -1, output = -1, error = -1;
};

void redirect(posix_spawn_file_actions_t& actions, int from, int to, int flags) {
  if (from >= 0)
    posix_spawn_file_actions_adddup2(&actions, from, to);
  else
    posix_spawn_file_actions_addopen(&actions, to, "/dev/null", flags, 0);
}

Result<pid_t> start_git(const fs::path& folder, std::vector<std::string> words,
                        const Environment& environment, const Streams& streams,
                        bool leads_group = false) {
  // Disables the file-system monitor, a program that the repository's configuration names.
  words.insert(words.begin(), {"git", "-c", "core.fsmonitor=false", "-C", folder.string()});
  std::vector<std::string> variables;
  for (const auto& [name, value] : environment)
    variables.push_back(fmt::format("{}={}", name, value));
  std::vector<char*> arguments = argv_of(words), env = argv_of(variables);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  redirect(actions, streams.input, STDIN_FILENO, O_RDONLY);
  redirect(actions, streams.output, STDOUT_FILENO, O_WRONLY);
  redirect(actions, streams.error, STDERR_FILENO, O_WRONLY);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  if (leads_group) {
    sigset_t none, ours;
    ::sigemptyset(&none);
    ::sigemptyset(&ours);
    for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) ::sigaddset(&ours, number);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &ours);
    posix_spawnattr_setflags(
        &attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  pid_t child = -1;
  const int failed =
      ::posix_spawnp(&child, "git", &actions, &attributes, arguments.data(), env.data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0)
    return std::unexpected(
        Error{ErrorCode::kUsage, fmt::format("cannot run git: {}", std::strerror(failed)), {}}.with(
            "hint", "install git: it reads the repository"));
  return child;
}

int wait_for(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

int poll_timeout(TimeMs deadline_ms) {
  if (deadline_ms == kNever) return -1;
  return static_cast<int>(
      std::clamp<TimeMs>(deadline_ms - read_clock().boot_ms, 0, 24LL * 3600 * 1000));
}

std::unexpected<Error> too_late() { return fail(ErrorCode::kTimeout, "git took too long"); }

using Watch = std::function<Result<void>()>;

// Waits until an end is readable, and calls `watch` at least every kWatchMs. Returns what poll()
// does, but never 0.
Result<int> wait_for_output(std::array<pollfd, 2>& ends, TimeMs deadline_ms, const Watch& watch) {
  while (true) {
    const int left_ms = poll_timeout(deadline_ms);
    const bool may_watch = watch && (left_ms < 0 || left_ms > kWatchMs);
    const int ready = ::poll(ends.data(), ends.size(), may_watch ? kWatchMs : left_ms);
    if (ready != 0) return ready;
    if (!may_watch) return too_late();
    NOTP_TRY(watch());
  }
}

// Reads both streams to their ends.
Result<void> collect(GitAnswer& answer, int output, int error, TimeMs deadline_ms,
                     size_t output_bytes_max, const Watch& watch) {
  std::array<pollfd, 2> ends{{{output, POLLIN, 0}, {error, POLLIN, 0}}};
  std::array<char, 1 << 16> block{};
  while (ends[0].fd >= 0 || ends[1].fd >= 0) {
    NOTP_ASSIGN(const int ready, wait_for_output(ends, deadline_ms, watch));
    if (ready < 0 && errno != EINTR)
      return fail(ErrorCode::kIo, fmt::format("cannot wait for git: {}", std::strerror(errno)));
    if (ready < 0) continue;
    for (pollfd& end : ends) {
      if (end.fd < 0 || end.revents == 0) continue;
      const ssize_t got = ::read(end.fd, block.data(), block.size());
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) {
        end.fd = -1;  // poll() skips it
        continue;
      }
      const auto bytes = static_cast<size_t>(got);
      if (&end == &ends[1]) {
        answer.error.append(
            block.data(),
            std::min(bytes, kErrorBytesMax - std::min(kErrorBytesMax, answer.error.size())));
        continue;
      }
      if (answer.output.size() + bytes > output_bytes_max)
        return fail(ErrorCode::kLimit,
                    fmt::format("git says more than {} bytes", output_bytes_max));
      answer.output.append(block.data(), bytes);
    }
  }
  return {};
}

std::atomic<pid_t> running_group = 0;
static_assert(std::atomic<pid_t>::is_always_lock_free);  // a handler reads it

extern "C" void end_running_group(int number) {
  if (const pid_t group = running_group.load(); group > 0) ::kill(-group, SIGKILL);
  ::signal(number, SIG_DFL);
  ::raise(number);  // arrives when this handler returns
}

// For as long as a group of git's runs: a signal that ends this process would leave it behind.
class GroupSignals {
 public:
  GroupSignals() {
    for (size_t i = 0; i < kNumbers.size(); ++i) {
      ::sigaction(kNumbers[i], nullptr, &before_[i]);
      if (before_[i].sa_handler == SIG_DFL) ::signal(kNumbers[i], end_running_group);
    }
  }
  GroupSignals(const GroupSignals&) = delete;
  GroupSignals& operator=(const GroupSignals&) = delete;
  ~GroupSignals() {
    running_group = 0;
    for (size_t i = 0; i < kNumbers.size(); ++i)
      if (before_[i].sa_handler == SIG_DFL) ::sigaction(kNumbers[i], &before_[i], nullptr);
  }

 private:
  static constexpr std::array kNumbers = {SIGINT, SIGTERM, SIGHUP};
  std::array<struct sigaction, kNumbers.size()> before_{};
};

// Starts the leader of a group. A signal meanwhile waits until the group is known.
Result<pid_t> start_leader(const GitRun& run, const Streams& streams) {
  sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_BLOCK, &all, &before);
  const auto leader = start_git(run.folder, run.words, run.environment, streams, true);
  if (leader) running_group = *leader;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return leader;
}

// The programs that git starts inherit the limits. git has barely begun when they are set.
void limit_process(pid_t leader, const GitRun& run) {
  const auto set = [leader](__rlimit_resource what, rlim_t value) {
    const rlimit limit{value, value};
    ::prlimit(leader, what, &limit, nullptr);
  };
  set(RLIMIT_CORE, 0);  // a core file would hold credentials
  if (run.file_bytes_max > 0) set(RLIMIT_FSIZE, run.file_bytes_max);
  if (run.memory_bytes_max > 0) set(RLIMIT_DATA, run.memory_bytes_max);
}

// Waits until the leader, which has closed its streams, ends, and leaves it to be reaped: as long
// as it is there, no other process has its number. Returns its exit status, or -1 at the deadline.
int await_leader(pid_t leader, const GitRun& run) {
  while (true) {
    siginfo_t ended{};
    if (::waitid(P_PID, static_cast<id_t>(leader), &ended, WEXITED | WNOHANG | WNOWAIT) != 0)
      return 128;
    if (ended.si_pid == leader) return ended.si_code == CLD_EXITED ? ended.si_status : 128;
    if (poll_timeout(run.deadline_ms) == 0) return -1;
    ::poll(nullptr, 0, kGroupPollMs);
  }
}

// Kills what is left of the group, and waits for it.
void end_group(pid_t leader) {
  ::kill(-leader, SIGKILL);
  wait_for(leader);
  for (int waited_ms = 0; ::kill(-leader, 0) == 0 && waited_ms < kGroupEndMs;
       waited_ms += kGroupPollMs)
    ::poll(nullptr, 0, kGroupPollMs);
}

}  // namespace

Environment git_environment(Environment environment) {
  for (const char* name :
       {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR",
        "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_NAMESPACE", "GIT_PREFIX", "GIT_SHALLOW_FILE",
        "GIT_GRAFT_FILE", "GIT_REPLACE_REF_BASE"})
    environment.erase(name);
  environment["GIT_NO_REPLACE_OBJECTS"] = "1";
  environment["GIT_NO_LAZY_FETCH"] = "1";
  environment["GIT_TERMINAL_PROMPT"] = "0";
  environment["GIT_OPTIONAL_LOCKS"] = "0";
  environment["LC_ALL"] = "C";
  return environment;
}

Result<GitAnswer> ask_git(const fs::path& folder, std::vector<std::string> words,
                          const Environment& environment, TimeMs deadline_ms,
                          size_t output_bytes_max) {
  NOTP_ASSIGN(Pipe output, Pipe::make());
  NOTP_ASSIGN(Pipe error, Pipe::make());
  NOTP_ASSIGN(const pid_t child,
              start_git(folder, std::move(words), environment,
                        {.output = output.write.get(), .error = error.write.get()}));
  output.write.close();
  error.write.close();
  GitAnswer answer;
  auto collected =
      collect(answer, output.read.get(), error.read.get(), deadline_ms, output_bytes_max, {});
  output.read.close();
  error.read.close();
  if (!collected) ::kill(child, SIGKILL);
  answer.status = wait_for(child);
  if (!collected) return std::unexpected(std::move(collected).error());
  return answer;
}

Result<GitAnswer> ask_git(const GitRun& run) {
  NOTP_ASSIGN(Pipe output, Pipe::make());
  NOTP_ASSIGN(Pipe error, Pipe::make());
  const GroupSignals signals;
  NOTP_ASSIGN(const pid_t leader,
              start_leader(run, {.output = output.write.get(), .error = error.write.get()}));
  limit_process(leader, run);
  output.write.close();
  error.write.close();
  GitAnswer answer;
  const auto collected = collect(answer, output.read.get(), error.read.get(), run.deadline_ms,
                                 run.output_bytes_max, run.watch);
  if (collected) answer.status = await_leader(leader, run);
  end_group(leader);
  if (!collected) return std::unexpected(collected.error());
  if (answer.status < 0) return too_late();
  return answer;
}

Result<GitObjects> GitObjects::open(fs::path folder, const Environment& environment,
                                    TimeMs deadline_ms) {
  NOTP_ASSIGN(Pipe to_git, Pipe::make());
  NOTP_ASSIGN(Pipe from_git, Pipe::make());
  NOTP_ASSIGN(const pid_t child,
              start_git(folder, {"cat-file", "--batch"}, environment,
                        {.input = to_git.read.get(), .output = from_git.write.get()}));
  ::signal(SIGPIPE, SIG_IGN);
  return GitObjects(std::move(folder), child, std::move(to_git.write), std::move(from_git.read),
                    deadline_ms);
}

GitObjects::GitObjects(GitObjects&& other) noexcept
    : folder_(std::move(other.folder_)),
      child_(std::exchange(other.child_, -1)),
      input_(std::move(other.input_)),
      output_(std::move(other.output_)),
      deadline_ms_(other.deadline_ms_),
      buffer_(std::move(other.buffer_)) {}

GitObjects::~GitObjects() {
  input_.close();
  output_.close();
  if (child_ <= 0) return;
  // After a timeout, git may be blocked on a disk that does not respond.
  if (deadline_ms_ != kNever) ::kill(child_, SIGKILL);
  wait_for(child_);
}

std::unexpected<Error> GitObjects::corrupt(std::string what) const {
  return fail(ErrorCode::kCorrupt, fmt::format("{}: {}", folder_.string(), what));
}

Result<Bytes> GitObjects::read_bytes(size_t count) {
  std::array<char, 1 << 16> block{};
  while (buffer_.size() < count) {
    pollfd end{output_.get(), POLLIN, 0};
    const int ready = ::poll(&end, 1, poll_timeout(deadline_ms_));
    if (ready == 0) return too_late();
    if (ready < 0 && errno == EINTR) continue;
    const ssize_t got = ::read(output_.get(), block.data(), block.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return corrupt("git ended before it had answered");
    buffer_.append(block.data(), static_cast<size_t>(got));
  }
  Bytes out = buffer_.substr(0, count);
  buffer_.erase(0, count);
  return out;
}

Result<void> GitObjects::skip_bytes(uint64_t count) {
  constexpr uint64_t kBlock = 1 << 20;
  for (; count > kBlock; count -= kBlock) NOTP_TRY(read_bytes(kBlock));
  NOTP_TRY(read_bytes(count));
  return {};
}

Result<std::string> GitObjects::read_line() {
  while (true) {
    const size_t end = buffer_.find('\n');
    if (end != buffer_.npos) {
      std::string line = buffer_.substr(0, end);
      buffer_.erase(0, end + 1);
      return line;
    }
    if (buffer_.size() > kLineBytesMax) return corrupt("git answers in a way that is not known");
    const size_t had = buffer_.size();
    NOTP_ASSIGN(Bytes more, read_bytes(had + 1));
    buffer_.insert(0, more);
  }
}

// gitformat: "<id> SP <type> SP <size> LF <content> LF", or "<name> SP missing LF".
Result<std::optional<GitObjects::Object>> GitObjects::read(const std::string& name,
                                                           size_t bytes_max) {
  const std::string question = name + "\n";
  if (::write(input_.get(), question.data(), question.size()) !=
      static_cast<ssize_t>(question.size()))
    return corrupt("git does not take a question");
  NOTP_ASSIGN(const std::string line, read_line());
  if (line.ends_with(" missing")) return std::nullopt;
  const size_t first = line.find(' '), second = line.rfind(' ');
  uint64_t size = 0;
  const char* end = line.data() + line.size();
  if (first == line.npos || second == first ||
      std::from_chars(line.data() + second + 1, end, size).ptr != end)
    return corrupt(fmt::format("git says '{}' of {}", printable(line), name));
  if (size > bytes_max) {
    NOTP_TRY(skip_bytes(size + 1));
    return fail(ErrorCode::kLimit, fmt::format("{} bytes, {} are allowed", size, bytes_max));
  }
  Object object{line.substr(0, first), line.substr(first + 1, second - first - 1), {}};
  NOTP_ASSIGN(object.content, read_bytes(size));
  NOTP_TRY(read_bytes(1));
  return object;
}

// A tree object: for each entry "<mode> SP <name> NUL <id>", the id in bytes.
Result<std::vector<GitObjects::Entry>> GitObjects::read_tree(const std::string& id) {
  const auto object = read(id, kFolderBytesMax);
  if (!object && object.error().code == ErrorCode::kLimit)
    return corrupt(fmt::format("the folder {} has {}", id, object.error().message));
  if (!object) return std::unexpected(object.error());
  if (!*object || (*object)->type != "tree") return corrupt(fmt::format("{} is no folder", id));
  const size_t id_bytes = (*object)->id.size() / 2;
  std::vector<Entry> entries;
  for (ByteView rest = (*object)->content; !rest.empty();) {
    const size_t space = rest.find(' '), zero = rest.find('\0');
    if (zero == rest.npos || space >= zero || rest.size() - zero - 1 < id_bytes)
      return corrupt(fmt::format("the folder {} cannot be read", id));
    entries.push_back({std::string(rest.substr(0, space)),
                       std::string(rest.substr(space + 1, zero - space - 1)),
                       to_hex(rest.substr(zero + 1, id_bytes))});
    rest.remove_prefix(zero + 1 + id_bytes);
  }
  return entries;
}

}  // namespace notp::cli
