#include "tools/bench/control_program.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <charconv>

#include "tools/bench/agent_arm.hpp"
#include "tools/bench/control_tls.hpp"

namespace notp::bench {
namespace {

constexpr TimeMs kStartMs = 30'000;

}  // namespace

Result<ControlProgram> ControlProgram::start(const std::string& what,
                                             const ControlOptions& options) {
  NOTP_TRY(make_control_certificates(options.folder));
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
    return fail(ErrorCode::kIo, "no pair of sockets");
  Descriptor ours(ends[0]), theirs(ends[1]);
  Command command;
  command.words = {(options.programs / "notp-bench-controls").string(), what,
                   options.folder.string()};
  command.log = options.folder / (what + ".log");
  NOTP_ASSIGN(Child process, Child::start(command, theirs.get()));
  ControlProgram program(std::move(process), std::move(ours));
  theirs.close();
  auto line = program.read_line(kStartMs);
  if (!line)
    return fail(ErrorCode::kUnavailable, fmt::format("the control {} does not start: {}\n{}", what,
                                                     line.error().message, log_tail(command.log)));
  std::from_chars(line->data(), line->data() + line->size(), program.port_);
  return program;
}

Result<void> ControlProgram::tell(const std::string& line) {
  const std::string text = line + "\n";
  if (::send(lines_.get(), text.data(), text.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(text.size()))
    return fail(ErrorCode::kUnavailable, "the control's server has ended");
  return {};
}

Result<std::string> ControlProgram::read_line(TimeMs patience_ms) {
  const TimeMs deadline_ms = read_clock().boot_ms + patience_ms;
  for (;;) {
    if (const size_t end = unread_.find('\n'); end != std::string::npos) {
      std::string line = unread_.substr(0, end);
      unread_.erase(0, end + 1);
      return line;
    }
    pollfd readable{.fd = lines_.get(), .events = POLLIN, .revents = 0};
    const TimeMs left_ms = deadline_ms - read_clock().boot_ms;
    if (left_ms <= 0) return fail(ErrorCode::kTimeout, "the control's server does not answer");
    ::poll(&readable, 1, static_cast<int>(left_ms));
    if (readable.revents == 0) continue;
    std::array<char, 4'096> buffer;
    const ssize_t got = ::read(lines_.get(), buffer.data(), buffer.size());
    if (got <= 0) return fail(ErrorCode::kUnavailable, "the control's server has ended");
    unread_.append(buffer.data(), static_cast<size_t>(got));
  }
}

Result<std::string> ControlProgram::ask(const std::string& line, TimeMs patience_ms) {
  NOTP_TRY(tell(line));
  return read_line(patience_ms);
}

}  // namespace notp::bench
