// The commands and options of a program as data, from its CLI11 tree: what manual pages and shell
// completions are made from, so that both always match the program. No thread, no I/O but print().
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "common/json/json.hpp"
#include "common/result.hpp"

namespace notp {

struct CommandOption {
  std::vector<std::string> names;  // "-o", "--output"; empty: an argument by its place
  std::string argument;            // name of such an argument
  std::string about;
  std::string value;                 // what stands for the value, as in "FILE"; empty: a flag
  std::vector<std::string> choices;  // the only values; empty: any
  std::vector<std::string> checks;   // of the value, in CLI11's words: "INT in [1 - 65535]"
  std::string default_text;
  std::string variable;  // of the environment
  std::string group;     // as in "Filters"; "Options" unless the program says more
  bool required = false;
  bool repeats = false;
  std::vector<std::string> excludes;  // names of options that cannot be given with it
};

struct CommandTree {
  std::string path;  // "root init"; empty: the program
  std::string about;
  std::string footer;          // empty when it is the parent's
  bool needs_command = false;  // one of the children
  std::vector<CommandTree> children;
  std::vector<CommandOption> options;
  std::vector<std::string> one_of;  // groups of which exactly one option is required

  std::string name() const { return path.substr(path.rfind(' ') + 1); }
};

// Everything that --help shows, in its order; what is hidden there is left out.
CommandTree command_tree(CLI::App& app);

// One object; an empty member is left out.
json::object to_json(const CommandTree& tree);
// What another program printed for --command-tree. kMessage: it is no such thing.
Result<CommandTree> command_tree_of(const json::value& document);

// Adds the flag --command-tree, which --help does not show: prints the tree as JSON and ends the
// program as --version does, whatever else is missing on the command line. Call on the complete
// program or before; the tree is read when the flag is met.
void add_command_tree_flag(CLI::App& app);

}  // namespace notp
