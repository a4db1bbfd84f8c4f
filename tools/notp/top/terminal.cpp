#include "tools/notp/top/terminal.hpp"

#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <string_view>

namespace notp::cli {
namespace {

constexpr std::array kSignals = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH};
constexpr std::string_view kTake =
    "\033[?1049h"  // the other screen
    "\033[?25l"    // no cursor
    "\033[?7l"     // a line that is too long is cut
    "\033[2J";
constexpr std::string_view kGiveBack = "\033[?7h\033[?25h\033[?1049l";
constexpr char kQuitKey = 'q';

// Signals are blocked except in ppoll(), so that nothing runs at the same time as the handler.
volatile std::sig_atomic_t ending_signal = 0;
volatile std::sig_atomic_t has_to_pause = 0;
volatile std::sig_atomic_t has_other_size = 0;

extern "C" void note_signal(int signal) {
  if (signal == SIGWINCH)
    has_other_size = 1;
  else if (signal == SIGTSTP)
    has_to_pause = 1;
  else
    ending_signal = signal;
}

sigset_t all_signals() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int signal : kSignals) ::sigaddset(&set, signal);
  return set;
}

void print(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

}  // namespace

bool Terminal::is_there(const Environment& environment) {
  const auto kind = environment.find("TERM");
  return ::isatty(STDOUT_FILENO) == 1 && kind != environment.end() && !kind->second.empty() &&
         kind->second != "dumb";
}

Room Terminal::room() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0)
    return {};
  return {size.ws_col, size.ws_row};
}

Terminal::Terminal() {
  const sigset_t blocked = all_signals();
  ::pthread_sigmask(SIG_BLOCK, &blocked, &mask_before_);
  ending_signal = 0;
  has_to_pause = 0;
  has_other_size = 0;
  struct sigaction action{};
  action.sa_handler = note_signal;
  ::sigfillset(&action.sa_mask);
  for (const int signal : kSignals) ::sigaction(signal, &action, &actions_before_.emplace_back());
  has_keyboard_ = ::isatty(STDIN_FILENO) == 1 && ::tcgetattr(STDIN_FILENO, &before_) == 0;
  reads_keys_ = has_keyboard_;
  take();
}

Terminal::~Terminal() {
  give_back();
  for (size_t i = 0; i < kSignals.size(); ++i)
    ::sigaction(kSignals[i], &actions_before_[i], nullptr);
  ::pthread_sigmask(SIG_SETMASK, &mask_before_, nullptr);
}

void Terminal::take() {
  if (has_keyboard_) {
    termios quiet = before_;
    quiet.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    quiet.c_cc[VMIN] = 0;
    quiet.c_cc[VTIME] = 0;
    ::tcsetattr(STDIN_FILENO, TCSADRAIN, &quiet);
  }
  print(kTake);
}

void Terminal::give_back() const {
  print(kGiveBack);
  // What was typed and not read is not for the shell.
  if (has_keyboard_) ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
}

// The shell has the terminal until it continues the program.
void Terminal::pause() {
  give_back();
  struct sigaction action{}, ours{};
  action.sa_handler = SIG_DFL;
  ::sigaction(SIGTSTP, &action, &ours);
  sigset_t stop;
  ::sigemptyset(&stop);
  ::sigaddset(&stop, SIGTSTP);
  ::raise(SIGTSTP);
  ::pthread_sigmask(SIG_UNBLOCK, &stop, nullptr);  // it stops here
  ::pthread_sigmask(SIG_BLOCK, &stop, nullptr);
  ::sigaction(SIGTSTP, &ours, nullptr);
  // The shell may have changed it.
  if (has_keyboard_) ::tcgetattr(STDIN_FILENO, &before_);
  take();
}

void Terminal::draw(const std::vector<std::string>& lines) const {
  std::string picture = "\033[H";
  for (const std::string& line : lines) {
    if (&line != &lines.front()) picture += "\r\n";
    picture += line + "\033[K";
  }
  print(picture + "\033[J");
}

Terminal::Event Terminal::take_keys() {
  std::array<char, 64> keys{};
  const ssize_t count = ::read(STDIN_FILENO, keys.data(), keys.size());
  if (count < 0) return Event::kNothing;
  if (count == 0) {
    reads_keys_ = false;  // it was taken away
    return Event::kNothing;
  }
  const std::string_view typed(keys.data(), static_cast<size_t>(count));
  return typed.contains(kQuitKey) ? Event::kQuit : Event::kNothing;
}

Terminal::Event Terminal::wait(TimeMs wait_ms) {
  pollfd keyboard{.fd = reads_keys_ ? STDIN_FILENO : -1, .events = POLLIN, .revents = 0};
  const timespec most{.tv_sec = wait_ms / 1000, .tv_nsec = wait_ms % 1000 * 1'000'000};
  const int ready = ::ppoll(&keyboard, 1, &most, &mask_before_);
  if (ending_signal != 0) {
    ended_by_ = ending_signal;
    return Event::kQuit;
  }
  if (has_to_pause != 0) {
    has_to_pause = 0;
    pause();
    return Event::kRedraw;
  }
  if (has_other_size != 0) {
    has_other_size = 0;
    return Event::kRedraw;
  }
  return ready > 0 ? take_keys() : Event::kNothing;
}

}  // namespace notp::cli
