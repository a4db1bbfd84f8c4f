// Shell completion, generated from the tree of commands, so that it always matches it.
#pragma once

#include <string>

#include "common/command_tree.hpp"

namespace notp::cli {

// Each script offers commands, options where a word begins with "-", the values of options and
// arguments that have a fixed set, the ledgers that `notp ledgers` lists, and files. A registry
// that does not answer within two seconds offers no ledgers. `name` is that of the program's file;
// ledgers are offered for `notp` alone, whose settings say which registry to ask.
std::string bash_completion(const CommandTree& program, const std::string& name = "notp");
std::string zsh_completion(const CommandTree& program, const std::string& name = "notp");
std::string fish_completion(const CommandTree& program, const std::string& name = "notp");

}  // namespace notp::cli
