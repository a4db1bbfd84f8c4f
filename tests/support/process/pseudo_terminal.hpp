// A terminal that a test holds the other end of, with a program on it.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include <utmp.h>

#include <csignal>
#include <cstring>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/support/process/process.hpp"

namespace notp {

// One thread.
class PseudoTerminal {
 public:
  PseudoTerminal(unsigned short columns, unsigned short rows) {
    winsize size{.ws_row = rows, .ws_col = columns, .ws_xpixel = 0, .ws_ypixel = 0};
    if (::openpty(&ours_, &theirs_, nullptr, nullptr, &size) != 0)
      throw std::runtime_error("no pseudo-terminal");
    ::fcntl(ours_, F_SETFD, FD_CLOEXEC);
    ::fcntl(ours_, F_SETFL, O_NONBLOCK);
    settings_before_ = settings();
  }
  ~PseudoTerminal() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
    ::close(ours_);
    ::close(theirs_);
  }
  PseudoTerminal(const PseudoTerminal&) = delete;
  PseudoTerminal& operator=(const PseudoTerminal&) = delete;

  // Runs a program, by its path, in a session of its own on the terminal, with this environment.
  void start(const std::vector<std::string>& command,
             const std::map<std::string, std::string>& environment) {
    std::vector<std::string> assignments;
    for (const auto& [name, value] : environment) assignments.push_back(name + "=" + value);
    std::vector<char*> words, variables;
    for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));
    for (const std::string& each : assignments)
      variables.push_back(const_cast<char*>(each.c_str()));
    words.push_back(nullptr);
    variables.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ < 0) throw std::runtime_error("no process");
    if (pid_ > 0) return;
    if (::login_tty(theirs_) == 0) ::execve(words[0], words.data(), variables.data());
    ::_exit(127);
  }
  pid_t pid() const { return pid_; }

  void type(std::string_view keys) const {
    if (::write(ours_, keys.data(), keys.size()) != static_cast<ssize_t>(keys.size()))
      throw std::runtime_error("the terminal takes no keys");
  }
  // The program is told, as by a person who draws a window larger.
  void resize(unsigned short columns, unsigned short rows) const {
    const winsize size{.ws_row = rows, .ws_col = columns, .ws_xpixel = 0, .ws_ypixel = 0};
    ::ioctl(ours_, TIOCSWINSZ, &size);
  }
  termios settings() const {
    termios out{};
    ::tcgetattr(theirs_, &out);
    return out;
  }
  bool is_as_before() const {
    const termios now = settings();
    return now.c_iflag == settings_before_.c_iflag && now.c_oflag == settings_before_.c_oflag &&
           now.c_cflag == settings_before_.c_cflag && now.c_lflag == settings_before_.c_lflag &&
           std::memcmp(now.c_cc, settings_before_.c_cc, sizeof now.c_cc) == 0;
  }

  // All that was written so far.
  const std::string& text() {
    char bytes[4096];
    while (true) {
      const ssize_t count = ::read(ours_, bytes, sizeof bytes);
      if (count <= 0) return text_;
      text_.append(bytes, static_cast<size_t>(count));
    }
  }
  // The wait status of the program; nullopt: it still runs.
  std::optional<int> wait() {
    std::optional<int> out;
    wait_until([&] {
      text();  // or it could not write its last words
      int status = 0;
      if (::waitpid(pid_, &status, WNOHANG) != pid_) return false;
      pid_ = -1;
      out = status;
      return true;
    });
    text();
    return out;
  }

 private:
  int ours_ = -1, theirs_ = -1;
  pid_t pid_ = -1;
  termios settings_before_{};
  std::string text_;
};

}  // namespace notp
