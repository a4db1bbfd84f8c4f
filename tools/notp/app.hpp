// The program `notp`: command line, error messages and exit codes.
#pragma once

#include "common/config.hpp"
#include "tools/notp/command.hpp"

namespace notp::cli {

// The tree of commands. Its options write into this object, which is therefore never copied.
class App {
 public:
  App();
  CLI::App& tree() { return tree_; }
  Commands& commands() { return commands_; }
  const Flags& flags() const { return flags_; }

 private:
  Flags flags_;
  CLI::App tree_;
  Commands commands_;
};

// Runs one command line and returns the exit code. Reads clocks, writes to the standard streams.
int run(int argc, const char* const* argv, const Environment& environment);

}  // namespace notp::cli
