#include "tools/bench/git_fan_control.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <vector>

#include "common/descriptor.hpp"
#include "common/storage/files.hpp"
#include "tools/bench/agent_arm.hpp"
#include "tools/bench/child.hpp"
#include "tools/bench/control_program.hpp"
#include "tools/bench/history.hpp"
#include "tools/bench/process_facts.hpp"
#include "tools/bench/stopwatch.hpp"

namespace notp::bench {
namespace {

namespace fs = std::filesystem;
using std::chrono::steady_clock;

constexpr TimeMs kGitMs = 60'000;
constexpr int kPollMs = 20;
constexpr size_t kFiles = 20, kFileBytes = 1'000, kRefBytesMax = 100;

// Of programs that this process has waited for, with theirs.
double ended_processor_s() {
  rusage usage{};
  ::getrusage(RUSAGE_CHILDREN, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

class GitFan {
 public:
  explicit GitFan(const GitFanOptions& options) : options_(options) {}

  Result<GitFanResult> measure() {
    NOTP_TRY(make_server());
    NOTP_TRY(make_clones());
    GitFanResult result{.clients = options_.clients, .rounds = options_.rounds};
    NOTP_ASSIGN(result.version, run(git_command(options_.folder, {"version"}), kGitMs));
    result.version.erase(result.version.find_last_not_of('\n') + 1);
    for (size_t round = 0; round < options_.rounds; ++round) NOTP_TRY(push(round + 1, result));
    const double fetches = static_cast<double>(options_.clients * options_.rounds);
    result.daemon_us = result.daemon_us / fetches;
    result.client_us = result.client_us / fetches;
    return result;
  }

 private:
  Result<void> git(const fs::path& folder, std::vector<std::string> words) const {
    NOTP_TRY(run(git_command(folder, std::move(words)), kGitMs));
    return {};
  }
  Result<void> commit(size_t number) const {
    NOTP_TRY(write_file(work() / "limits.json", fmt::format("{{\"limit\": {}}}\n", number)));
    NOTP_TRY(git(work(), {"add", "."}));
    return git(work(), {"-c", "user.name=bench", "-c", "user.email=bench@bench.internal", "commit",
                        "-q", "-m", fmt::format("release {}", number)});
  }

  Result<void> make_server() {
    NOTP_TRY(make_folders(work()));
    NOTP_TRY(make_folders(options_.folder / "server"));
    NOTP_TRY(git(options_.folder, {"init", "-q", "--bare", "-b", "main", "server/model.git"}));
    NOTP_TRY(git(work(), {"init", "-q", "-b", "main", "."}));
    for (size_t i = 0; i < kFiles; ++i)
      NOTP_TRY(write_file(work() / fmt::format("policy-{}.rego", i), std::string(kFileBytes, 'x')));
    NOTP_TRY(commit(0));
    NOTP_TRY(push_main());
    std::error_code failed;
    const auto programs = fs::read_symlink("/proc/self/exe", failed).parent_path();
    NOTP_ASSIGN(server_, ControlProgram::start("git-daemon",
                                               {.programs = programs, .folder = options_.folder}));
    return {};
  }

  Result<void> make_clones() const {
    NOTP_TRY(git(options_.folder,
                 {"clone", "-q", "--bare", "--no-tags", "--template=", url(), "clone-0"}));
    for (size_t i = 1; i < options_.clients; ++i) {
      std::error_code failed;
      fs::copy(clone(0), clone(i), fs::copy_options::recursive, failed);
      if (failed) return fail(ErrorCode::kIo, "a clone cannot be copied: " + failed.message());
    }
    return {};
  }

  Result<void> push_main() const {
    return git(work(),
               {"push", "-q", (options_.folder / "server/model.git").string(), "HEAD:main"});
  }

  // The commit goes to the server; then all fetch at once.
  Result<void> push(size_t number, GitFanResult& result) const {
    NOTP_TRY(commit(number));
    NOTP_ASSIGN(const double daemon_before_s, cpu_seconds_of(server_->pid()));
    const auto begin = steady_clock::now();
    NOTP_TRY(push_main());
    const double clients_before_s = ended_processor_s();
    std::vector<Child> fetches;
    std::vector<Descriptor> ends;
    for (size_t i = 0; i < options_.clients; ++i) {
      Command command =
          git_command(clone(i), {"-c", "gc.auto=0", "-c", "maintenance.auto=false", "fetch", "-q",
                                 "--no-tags", url(), "main:refs/heads/main"});
      command.log = options_.folder / "fetch.log";
      NOTP_ASSIGN(Child child, Child::start(command));
      ends.emplace_back(static_cast<int>(::syscall(SYS_pidfd_open, child.pid(), 0)));
      fetches.push_back(std::move(child));
    }
    NOTP_TRY(await(fetches, ends, begin, result.fetched));
    result.all.add(ms_between(begin, steady_clock::now()));
    result.client_us += (ended_processor_s() - clients_before_s) * 1e6;
    NOTP_TRY(check_clones());
    NOTP_ASSIGN(const double daemon_s, cpu_seconds_of(server_->pid()));
    result.daemon_us += (daemon_s - daemon_before_s) * 1e6;
    return {};
  }

  Result<void> await(std::vector<Child>& fetches, const std::vector<Descriptor>& ends,
                     steady_clock::time_point begin, Samples& fetched) const {
    std::vector<pollfd> waits;
    for (const Descriptor& end : ends) waits.push_back({end.get(), POLLIN, 0});
    for (size_t left = fetches.size(); left > 0;) {
      if (ms_between(begin, steady_clock::now()) > static_cast<double>(kGitMs))
        return fail(ErrorCode::kTimeout, fmt::format("{} of the clients still fetch", left));
      ::poll(waits.data(), waits.size(), kPollMs);
      for (size_t i = 0; i < waits.size(); ++i) {
        if (waits[i].fd < 0 || (waits[i].revents & POLLIN) == 0) continue;
        const auto status = fetches[i].poll();
        if (!status) continue;
        if (*status != 0)
          return fail(ErrorCode::kInternal,
                      fmt::format("git fetch ended with status {}: {}", *status,
                                  log_tail(options_.folder / "fetch.log")));
        fetched.add(ms_between(begin, steady_clock::now()));
        waits[i].fd = -1;
        --left;
      }
    }
    return {};
  }

  Result<void> check_clones() const {
    NOTP_ASSIGN(const std::string head, run(git_command(work(), {"rev-parse", "HEAD"}), kGitMs));
    for (size_t i = 0; i < options_.clients; ++i) {
      NOTP_ASSIGN(const Bytes ref, read_file(clone(i) / "refs/heads/main", kRefBytesMax));
      if (ref != head) return fail(ErrorCode::kInternal, "a clone does not have the commit");
    }
    return {};
  }

  fs::path work() const { return options_.folder / "work"; }
  fs::path clone(size_t number) const { return options_.folder / fmt::format("clone-{}", number); }
  std::string url() const { return fmt::format("git://127.0.0.1:{}/model.git", server_->port()); }

  const GitFanOptions options_;
  std::optional<ControlProgram> server_;
};

}  // namespace

Result<GitFanResult> measure_git_fan(const GitFanOptions& options) {
  return GitFan(options).measure();
}

json::object git_fan_json(const GitFanResult& result) {
  return {{"version", result.version},    {"clients", result.clients},
          {"rounds", result.rounds},      {"fetched", result.fetched.to_json()},
          {"all", result.all.to_json()},  {"daemon_us", result.daemon_us},
          {"client_us", result.client_us}};
}

std::string git_fan_text(const GitFanResult& result) {
  return fmt::format(
      "{}: {} clients fetch at once when the commit is there: all after {:.0f} ms, p50 {:.0f} ms; "
      "the daemon {:.0f} us each, a client {:.0f} us\n",
      result.version, result.clients, result.all.p50(), result.fetched.p50(), result.daemon_us,
      result.client_us);
}

}  // namespace notp::bench
