#include "common/systemd/service_setup.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "common/argv.hpp"
#include "common/assert.hpp"
#include "common/descriptor.hpp"
#include "common/storage/files.hpp"

namespace notp::systemd {
namespace {

namespace fs = std::filesystem;

// sd_booted(3).
constexpr const char* kBooted = "/run/systemd/system";

std::unexpected<Error> io_error(const std::string& what) {
  return fail(ErrorCode::kIo, fmt::format("{}: {}", what, std::strerror(errno)));
}

// The caller looks at errno.
bool set_groups_and_user(const std::vector<gid_t>& groups, gid_t gid, uid_t uid) {
  return ::setgroups(groups.size(), groups.data()) == 0 && ::setegid(gid) == 0 &&
         ::seteuid(uid) == 0;
}

Result<void> run_systemctl(std::vector<std::string> words) {
  const std::string shown = fmt::format("systemctl {} {}", words.at(1), words.at(2));
  const std::vector<char*> arguments = argv_of(words);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&files, STDERR_FILENO, STDOUT_FILENO);
  pid_t child = 0;
  const int failed =
      ::posix_spawnp(&child, arguments[0], &files, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&files);
  if (failed != 0)
    return fail(ErrorCode::kIo, fmt::format("cannot run {}: {}", shown, std::strerror(failed)));
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  return std::unexpected(Error{
      ErrorCode::kIo,
      fmt::format("{} failed; see journalctl -u {} -n 50", shown, words.back()),
      {}}.with("hint", "run the same command again once that is mended"));
}

}  // namespace

const Service& registry_service() {
  static const Service service{"notp-server", "/var/lib/notp-server", "/etc/notp/server.yaml"};
  return service;
}

const Service& agent_service() {
  static const Service service{"notp-client", "/var/lib/notp-client", "/etc/notp/client.yaml"};
  return service;
}

// --- the user

Result<ServiceUser> ServiceUser::find(const Service& service) {
  if (::geteuid() != 0)
    return fail(ErrorCode::kUsage,
                fmt::format("--service makes files of the user {} and starts {}.service: run it as "
                            "root, as with sudo",
                            service.unit, service.unit));
  const passwd* const found = ::getpwnam(service.unit.c_str());
  if (found == nullptr)
    return fail(ErrorCode::kNotFound,
                fmt::format("there is no user {}: install the package {}, or run "
                            "'systemd-sysusers notp.conf'",
                            service.unit, service.unit));
  return ServiceUser(service.unit, found->pw_uid, found->pw_gid);
}

Result<void> ServiceUser::become(std::vector<gid_t>& groups_before) const {
  const int count = ::getgroups(0, nullptr);
  groups_before.resize(count > 0 ? static_cast<size_t>(count) : 0);
  if (count < 0 || ::getgroups(count, groups_before.data()) != count)
    return io_error("cannot read the groups of this process");
  if (set_groups_and_user({gid_}, gid_, uid_)) return {};
  const auto error = io_error(fmt::format("cannot act as the user {}", name_));
  become_root(groups_before);
  return error;
}

void ServiceUser::become_root(const std::vector<gid_t>& groups) {
  // The user first: only root may set groups.
  const bool is_back = ::seteuid(0) == 0 && ::setegid(::getgid()) == 0 &&
                       ::setgroups(groups.size(), groups.data()) == 0;
  NOTP_ASSERT(is_back, "a process of root's cannot become root again");
}

Result<void> ServiceUser::own(const fs::path& folder) const {
  NOTP_TRY(make_folders(folder.parent_path()));
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST)
    return io_error(fmt::format("cannot make {}", folder.string()));
  const Descriptor handle(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat facts{};
  if (!handle.is_open() || ::fstat(handle.get(), &facts) != 0)
    return io_error(fmt::format("cannot open the folder {}", folder.string()));
  if (facts.st_uid == uid_) return {};
  std::error_code error;
  if (facts.st_uid != 0 || !fs::is_empty(folder, error) || error)
    return fail(ErrorCode::kConflict,
                fmt::format("{} has another owner than {} and may have something in it: move it "
                            "away, or give all of it to that user with 'chown -R {}:{} {}'",
                            folder.string(), name_, name_, name_, folder.string()));
  if (::fchown(handle.get(), uid_, gid_) != 0 || ::fchmod(handle.get(), 0700) != 0)
    return io_error(fmt::format("cannot give {} to {}", folder.string(), name_));
  return sync_folder(folder.parent_path());
}

// --- the configuration

Result<bool> is_configured(const Service& service, const fs::path& target) {
  const fs::path& link = service.configuration;
  std::error_code error;
  if (fs::symlink_status(link, error).type() == fs::file_type::not_found) return false;
  const fs::path there = fs::read_symlink(link, error);
  if (!error && there == target) return true;
  return fail(
      ErrorCode::kConflict,
      fmt::format(
          "{} is there already and {}, not {}: this machine has a {} that is configured "
          "otherwise; move the file away to go on",
          link.string(),
          error ? std::string("a file of its own") : fmt::format("links to {}", there.string()),
          target.string(), service.unit));
}

Result<bool> configure(const Service& service, const fs::path& target) {
  NOTP_ASSIGN(const bool is_there, is_configured(service, target));
  if (is_there) return false;
  const fs::path& link = service.configuration;
  NOTP_TRY(make_folders(link.parent_path()));
  std::error_code error;
  fs::create_symlink(target, link, error);
  if (error)
    return fail(ErrorCode::kIo,
                fmt::format("cannot make the link {}: {}", link.string(), error.message()));
  NOTP_TRY(sync_folder(link.parent_path()));
  return true;
}

// --- the start

bool is_running() {
  std::error_code error;
  return fs::is_directory(fs::symlink_status(kBooted, error));
}

Result<void> start(const Service& service, bool again) {
  NOTP_TRY(run_systemctl({"systemctl", "enable", service.unit}));
  return run_systemctl({"systemctl", again ? "restart" : "start", service.unit});
}

std::string command_of(const Service& service) {
  return fmt::format("setpriv --reuid {0} --regid {0} --clear-groups {0} --config {1}",
                     service.unit, service.configuration.string());
}

}  // namespace notp::systemd
