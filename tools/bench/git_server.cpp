#include "tools/bench/git_server.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vector>

#include "tools/bench/child.hpp"
#include "tools/bench/control_lines.hpp"
#include "tools/bench/history.hpp"

namespace notp::bench {
namespace {

constexpr int kReapMs = 20;

}  // namespace

Result<void> serve_git(const std::filesystem::path& folder) {
  Command command =
      git_command(folder, {"daemon", "--inetd", "--export-all", "--log-destination=stderr",
                           "--base-path=" + (folder / "server").string()});
  command.log = folder / "daemon.log";
  NOTP_ASSIGN(ControlListener listener, ControlListener::open());
  print_line(fmt::format("{}", listener.port));
  std::vector<Child> daemons;
  pollfd waits[] = {{listener.socket.get(), POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
  for (;;) {
    ::poll(waits, std::size(waits), kReapMs);
    if (waits[1].revents != 0) return {};
    std::erase_if(daemons, [](Child& daemon) { return daemon.poll().has_value(); });
    for (;;) {
      const Descriptor connection(::accept4(listener.socket.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!connection.is_open()) break;
      NOTP_ASSIGN(Child daemon, Child::start(command, connection.get()));
      daemons.push_back(std::move(daemon));
    }
  }
}

}  // namespace notp::bench
