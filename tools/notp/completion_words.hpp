// What a shell offers at each place of a command line, from the tree of commands: the part of
// completion that is the same for every shell.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/command_tree.hpp"

namespace notp::cli {

// What can stand as a value.
enum class ValueKind : uint8_t {
  kChoice,  // one of a few words
  kLedger,  // one of the registry's ledgers
  kFolder,
  kFile,
  kText,  // nothing that a shell can know
};

struct Values {
  ValueKind kind = ValueKind::kText;
  std::vector<std::string> choices;  // with kChoice

  bool operator==(const Values&) const = default;
};

// The option that a value belongs to, by the command that it is given to.
struct OptionPlace {
  std::string path;  // "root init"; empty: an option of the program, which every command takes
  std::string name;  // "--out"
};

// Options with the same values.
struct ValueRule {
  Values values;
  std::vector<OptionPlace> places;
};

struct CommandWords {
  std::string path;  // empty: the program
  std::vector<const CommandTree*> commands;
  std::vector<std::string> options;  // its own, then the program's
  std::optional<Values> argument;    // the first one; those after it are offered the same

  // Where the shell is to offer files: the first argument is one, or there is nothing else.
  bool takes_files() const;
  bool takes_ledgers() const;
};

// Every command of a tree, starting with the program.
std::vector<const CommandTree*> all_commands(const CommandTree& program);
std::vector<CommandWords> words_of_commands(const CommandTree& program);
// Those of commands come before those of the program, which hold for all commands.
std::vector<ValueRule> value_rules(const CommandTree& program);
Values values_of(const CommandOption& option);

}  // namespace notp::cli
