// A terminal that a program draws on, and gives back as it was.
#pragma once

#include <termios.h>

#include <csignal>
#include <string>
#include <vector>

#include "common/clock.hpp"
#include "common/config.hpp"
#include "tools/notp/top/screen.hpp"

namespace notp::cli {

// Takes the terminal of standard output over: its other screen, without cursor and wrapping, and no
// echo of what is typed. One at a time; one thread.
//
// Signals wait while it lives, except in wait(), so that none arrives in the middle of a picture:
// SIGINT, SIGTERM, SIGHUP and SIGQUIT end the program only when the terminal is as it was; SIGTSTP
// gives it back until the program goes on; SIGWINCH asks for a new picture.
class Terminal {
 public:
  // Whether standard output is a terminal that understands escape sequences.
  static bool is_there(const Environment& environment);

  Terminal();
  // Gives the terminal back.
  ~Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  // 80 by 24 when the terminal does not say.
  static Room room();
  void draw(const std::vector<std::string>& lines) const;

  enum class Event : uint8_t {
    kNothing,  // in this time
    kRedraw,   // the terminal has another size, or the program goes on after a pause
    kQuit      // 'q' was typed, or a signal came that ends the program
  };
  Event wait(TimeMs wait_ms);
  // The signal that ended the program; 0: none did. To be raised again when the Terminal is gone.
  int ended_by() const { return ended_by_; }

 private:
  void take();
  void give_back() const;
  void pause();
  Event take_keys();

  bool has_keyboard_ = false, reads_keys_ = false;
  termios before_{};  // of the keyboard
  sigset_t mask_before_{};
  std::vector<struct sigaction> actions_before_;  // by kSignals
  int ended_by_ = 0;
};

}  // namespace notp::cli
