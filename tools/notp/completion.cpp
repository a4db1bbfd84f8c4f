#include "tools/notp/completion.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "tools/notp/child_program.hpp"
#include "tools/notp/command.hpp"
#include "tools/notp/completion_words.hpp"

namespace notp::cli {
namespace {

constexpr std::string_view kNotp = "notp";
constexpr int kTreeMs = 10'000;

// Only notp can list the ledgers.
void forget_ledgers(CommandTree& tree) {
  for (CommandOption& option : tree.options)
    if (values_of(option).kind == ValueKind::kLedger) option.value = "TEXT";
  for (CommandTree& child : tree.children) forget_ledgers(child);
}

std::string joined(const std::vector<std::string>& words) {
  return fmt::format("{}", fmt::join(words, " "));
}

std::string parent_of(const std::string& path) {
  const size_t space = path.rfind(' ');
  return space == std::string::npos ? "" : path.substr(0, space);
}

// Follows the command line down the tree. The variable is not named "path", which zsh ties to PATH.
std::string path_cases(const CommandTree& program) {
  std::string text;
  for (const CommandTree* command : all_commands(program)) {
    if (command->path.empty()) continue;
    text += fmt::format("      {}) at={} ;;\n",
                        shell_quoted(parent_of(command->path) + "/" + command->name()),
                        shell_quoted(command->path));
  }
  return text;
}

// The pattern of a `case "$at:$option"`.
std::string place_pattern(const ValueRule& rule) {
  std::vector<std::string> patterns;
  for (const OptionPlace& place : rule.places)
    patterns.push_back(place.path.empty() ? "*:" + place.name
                                          : shell_quoted(place.path + ":" + place.name));
  return fmt::format("{}", fmt::join(patterns, "|"));
}

std::string bash_action(const Values& values) {
  switch (values.kind) {
    case ValueKind::kChoice:
      return fmt::format("words={}", shell_quoted(joined(values.choices)));
    case ValueKind::kLedger:
      return "words=$(_notp_ledgers)";
    case ValueKind::kFolder:
    case ValueKind::kFile:
      return "COMPREPLY=(); return";
    case ValueKind::kText:
      break;
  }
  return "compopt +o default 2>/dev/null; COMPREPLY=(); return";
}

// What stands where no option is.
std::string bash_words(const CommandWords& command) {
  std::vector<std::string> names;
  for (const CommandTree* child : command.commands) names.push_back(child->name());
  std::string text = fmt::format("words={}", shell_quoted(joined(names)));
  if (command.takes_ledgers()) return text + "; words+=\" $(_notp_ledgers)\"";
  if (command.takes_files()) return text;
  if (command.argument) return text + "; " + bash_action(*command.argument);
  return text + "; compopt +o default 2>/dev/null";
}

std::string zsh_action(const Values& values) {
  switch (values.kind) {
    case ValueKind::kChoice:
      return "compadd -- " + joined(values.choices);
    case ValueKind::kLedger:
      return "compadd -- ${(f)\"$(_notp_ledgers)\"}";
    case ValueKind::kFolder:
      return "_files -/";
    case ValueKind::kFile:
      return "_files";
    case ValueKind::kText:
      break;
  }
  return "_message value";
}

std::string fish_action(const Values& values) {
  switch (values.kind) {
    case ValueKind::kChoice:
      return " -x -a " + shell_quoted(joined(values.choices));
    case ValueKind::kLedger:
      return " -x -a '(__notp_ledgers)'";
    case ValueKind::kFolder:
      return " -x -a '(__fish_complete_directories)'";
    case ValueKind::kFile:
      return " -r -F";
    case ValueKind::kText:
      break;
  }
  return " -x";
}

// The same for an argument by its place, which belongs to no option.
std::string fish_argument(const Values& values) {
  const std::string action = fish_action(values);
  return values.kind == ValueKind::kFile ? " -F" : " -f" + action.substr(std::string(" -x").size());
}

std::string fish_options(const CommandTree& command, const std::string& name,
                         const std::string& condition) {
  std::string text;
  for (const CommandOption& option : command.options) {
    if (option.names.empty()) continue;
    std::string names;
    for (const std::string& one : option.names)
      names += one.starts_with("--") ? " -l " + one.substr(2) : " -s " + one.substr(1);
    text += fmt::format("complete -c {}{}{}{} -d {}\n", name, condition, names,
                        option.value.empty() ? "" : fish_action(values_of(option)),
                        shell_quoted(option.about));
  }
  return text;
}

// What a script begins with, and how a shell reads it; `read` has a place for the command.
std::string begin_of(const std::string& name, std::string_view shell, std::string_view read) {
  const std::string command = name == kNotp
                                  ? fmt::format("notp completion {}", shell)
                                  : fmt::format("notp completion {} --program {}", shell, name);
  return fmt::format("# {} completion for {}: {}\n", shell, name,
                     fmt::format(fmt::runtime(read), command));
}

// "_notp_server"
std::string function_of(const std::string& name) {
  std::string out = "_" + name;
  std::ranges::replace(out, '-', '_');
  return out;
}

// Of a program beside this one.
Result<CommandTree> tree_of_daemon(const std::string& name, const Environment& environment) {
  NOTP_ASSIGN(const ChildOutput said,
              run_program({program_file(name), "--command-tree"}, environment, kTreeMs));
  const auto read = [&]() -> Result<CommandTree> {
    NOTP_ASSIGN(const json::value document, parse_json(said.output));
    return command_tree_of(document);
  };
  auto tree = read();
  if (!tree)
    return std::unexpected(
        std::move(tree).error().in(fmt::format("what {} --command-tree says", name)));
  forget_ledgers(*tree);
  return tree;
}

std::string script_of(const CommandTree& program, const std::string& shell,
                      const std::string& name) {
  return shell == "bash"  ? bash_completion(program, name)
         : shell == "zsh" ? zsh_completion(program, name)
                          : fish_completion(program, name);
}

}  // namespace

std::string bash_completion(const CommandTree& program, const std::string& name) {
  const std::string function = function_of(name);
  std::string text = begin_of(name, "bash", "source <({})");
  if (name == kNotp)
    text +=
        "_notp_ledgers() {\n"
        "  local i options=()\n"
        "  for ((i = 1; i < COMP_CWORD - 1; ++i)); do\n"
        "    [ \"${COMP_WORDS[i]}\" != --config ] || options=(--config \"${COMP_WORDS[i+1]}\")\n"
        "  done\n"
        "  timeout 2 notp \"${options[@]}\" -o text ledgers 2>/dev/null | awk '$1 ~ \"/\" {print "
        "$1}'\n"
        "}\n";
  text += function +
          "() {\n"
          "  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}\n"
          "  local at='' word words=''\n"
          // bash takes --output=te apart at the "=".
          "  if [ \"$current\" = = ]; then\n"
          "    current=''\n"
          "  elif [ \"$previous\" = = ]; then\n"
          "    previous=${COMP_WORDS[COMP_CWORD-2]}\n"
          "  fi\n"
          "  for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
          "    case \"$at/$word\" in\n" +
          path_cases(program) +
          "    esac\n"
          "  done\n"
          "  case \"$at:$previous\" in\n";
  for (const ValueRule& rule : value_rules(program))
    text += fmt::format("    {}) {} ;;\n", place_pattern(rule), bash_action(rule.values));
  text += "    *) case \"$at:$current\" in\n";
  const std::vector<CommandWords> all = words_of_commands(program);
  for (const CommandWords& command : all)
    text += fmt::format("      {}-*) words={} ;;\n", shell_quoted(command.path + ":"),
                        shell_quoted(joined(command.options)));
  for (const CommandWords& command : all)
    text +=
        fmt::format("      {}*) {} ;;\n", shell_quoted(command.path + ":"), bash_words(command));
  text +=
      "    esac ;;\n"
      "  esac\n"
      "  mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n"
      "}\n";
  return text + fmt::format("complete -o default -F {} {}\n", function, name);
}

std::string zsh_completion(const CommandTree& program, const std::string& name) {
  // As its file is called.
  const std::string function = "_" + name;
  std::string text = fmt::format("#compdef {}\n", name) + begin_of(name, "zsh", "source <({})");
  if (name == kNotp)
    text +=
        "_notp_ledgers() {\n"
        "  local -a options\n"
        "  local at=${words[(I)--config]}\n"
        "  (( at )) && options=(--config \"${words[at+1]}\")\n"
        "  timeout 2 notp $options -o text ledgers 2>/dev/null | awk '$1 ~ \"/\" {print $1}'\n"
        "}\n";
  text += function +
          "() {\n"
          "  local at='' word previous=${words[CURRENT-1]}\n"
          "  local -a commands options\n"
          "  if compset -P '--*='; then previous=${words[CURRENT]%%=*}; fi\n"
          "  for word in \"${(@)words[2,CURRENT-1]}\"; do\n"
          "    case \"$at/$word\" in\n" +
          path_cases(program) +
          "    esac\n"
          "  done\n"
          "  case \"$at:$previous\" in\n";
  for (const ValueRule& rule : value_rules(program))
    text += fmt::format("    {}) {}; return ;;\n", place_pattern(rule), zsh_action(rule.values));
  text +=
      "  esac\n"
      "  case \"$at\" in\n";
  for (const CommandWords& command : words_of_commands(program)) {
    std::string commands;
    for (const CommandTree* child : command.commands)
      commands += " " + shell_quoted(child->name() + ":" + child->about);
    text += fmt::format("    {}) commands=({}); options=({})\n", shell_quoted(command.path),
                        commands.empty() ? "" : commands.substr(1), joined(command.options));
    text += "      [[ ${words[CURRENT]} == -* ]] && { compadd -- $options; return }\n";
    if (!command.commands.empty()) text += "      _describe command commands\n";
    if (command.argument) text += "      " + zsh_action(*command.argument) + "\n";
    text += "      ;;\n";
  }
  text +=
      "  esac\n"
      "}\n";
  // When installed, this file is the body of the function itself.
  return text + fmt::format(
                    "if [ \"${{funcstack[1]}}\" = {0} ]; then {0} \"$@\"; else compdef {0} "
                    "{1}; fi\n",
                    function, name);
}

std::string fish_completion(const CommandTree& program, const std::string& name) {
  const std::string at_path = fmt::format("_{}_path", function_of(name));
  const auto condition_of = [&](const std::string& path) {
    return fmt::format(" -n {}", shell_quoted(at_path + " " + shell_quoted(path)));
  };
  std::string text = begin_of(name, "fish", "{} | source");
  if (name == kNotp)
    text +=
        "function __notp_ledgers\n"
        "  set -l words (commandline -opc)\n"
        "  set -l options\n"
        "  set -l at (contains -i -- --config $words)\n"
        "  and set options --config $words[(math $at + 1)]\n"
        "  timeout 2 notp $options -o text ledgers 2>/dev/null | awk '$1 ~ \"/\" {print $1}'\n"
        "end\n";
  text += "function " + at_path +
          "\n"
          "  set -l at ''\n"
          "  for word in (commandline -opc)[2..-1]\n"
          "    switch \"$at/$word\"\n";
  for (const CommandTree* command : all_commands(program)) {
    if (command->path.empty()) continue;
    text += fmt::format("      case {}\n        set at {}\n",
                        shell_quoted(parent_of(command->path) + "/" + command->name()),
                        shell_quoted(command->path));
  }
  text += "    end\n  end\n  test \"$at\" = \"$argv[1]\"\nend\n";
  for (const CommandWords& command : words_of_commands(program)) {
    const std::string condition = condition_of(command.path);
    for (const CommandTree* child : command.commands)
      text += fmt::format("complete -c {} -f{} -a {} -d {}\n", name, condition, child->name(),
                          shell_quoted(child->about));
    if (command.argument)
      text +=
          fmt::format("complete -c {}{}{}\n", name, condition, fish_argument(*command.argument));
    else if (command.commands.empty())
      text += fmt::format("complete -c {} -f{}\n", name, condition);
  }
  for (const CommandTree* command : all_commands(program))
    text += fish_options(*command, name, command->path.empty() ? "" : condition_of(command->path));
  return text;
}

void add_completion(Commands& commands) {
  struct Options {
    std::string shell, program{kNotp};
    CLI::App* tree = nullptr;
  };
  commands.add<Options>(
      commands.root(), "completion", "Print a completion script for a shell",
      [&](CLI::App& command, Options& options) {
        options.tree = &commands.root();
        command.add_option("shell", options.shell, "bash, zsh or fish")
            ->check(CLI::IsMember({"bash", "zsh", "fish"}))
            ->required();
        command
            .add_option("--program", options.program,
                        "The program that is completed (default: notp); a daemon is asked for its "
                        "options")
            ->check(CLI::IsMember({"notp", "notp-server", "notp-client"}))
            ->type_name("NAME");
      },
      +[](const Context& context, const Options& options) -> Result<int> {
        CommandTree program;
        if (options.program == kNotp) {
          program = command_tree(*options.tree);
        } else {
          NOTP_ASSIGN(program, tree_of_daemon(options.program, context.environment));
        }
        const std::string script = script_of(program, options.shell, options.program);
        context.output.result(script, json::object{{"shell", options.shell}, {"script", script}});
        return exit_code::kOk;
      });
}

}  // namespace notp::cli
