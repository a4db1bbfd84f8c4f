#include "tools/notp/completion.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

#include "tools/notp/command.hpp"

namespace notp::cli {
namespace {

struct OptionWords {
  std::vector<std::string> names;  // "-o", "--output"
  std::string description;
  bool takes_value = false;
  std::vector<std::string> choices;  // of the value; empty: a file
};

struct CommandWords {
  std::string path;  // "root init"; empty: the program
  std::string description;
  std::vector<CommandWords> children;
  std::vector<OptionWords> options;

  std::string name() const { return path.substr(path.rfind(' ') + 1); }
};

// The values of an IsMember check stand in braces in the option's type name.
std::vector<std::string> choices_of(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  const size_t open = type.find('{'), close = type.find('}');
  std::vector<std::string> choices;
  if (open == type.npos || close == type.npos) return choices;
  for (std::string_view rest = std::string_view(type).substr(open + 1, close - open - 1);;) {
    const size_t comma = rest.find(',');
    choices.emplace_back(rest.substr(0, comma));
    if (comma == rest.npos) return choices;
    rest.remove_prefix(comma + 1);
  }
}

void collect_options(const CLI::App& app, std::vector<OptionWords>& out) {
  for (const CLI::Option* option : app.get_options()) {
    OptionWords words{
        {}, option->get_description(), option->get_items_expected_max() > 0, choices_of(*option)};
    for (const std::string& name : option->get_snames()) words.names.push_back("-" + name);
    for (const std::string& name : option->get_lnames()) words.names.push_back("--" + name);
    if (!words.names.empty()) out.push_back(std::move(words));
  }
}

CommandWords collect(const CLI::App& app, const std::string& path) {
  CommandWords words{path, app.get_description(), {}, {}};
  collect_options(app, words.options);
  for (const CLI::App* child : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (child->get_name().empty()) {  // a group of options
      collect_options(*child, words.options);
      continue;
    }
    words.children.push_back(
        collect(*child, path.empty() ? child->get_name() : path + " " + child->get_name()));
  }
  return words;
}

// Every command, starting with the program.
void flatten(const CommandWords& words, std::vector<const CommandWords*>& out) {
  out.push_back(&words);
  for (const CommandWords& child : words.children) flatten(child, out);
}

// The candidates for a command: its own names and the global options.
std::vector<std::string> candidates(const CommandWords& command, const CommandWords& program) {
  std::vector<std::string> words;
  words.reserve(command.children.size());
  for (const CommandWords& child : command.children) words.push_back(child.name());
  for (const CommandWords* source : {&command, &program}) {
    for (const OptionWords& option : source->options)
      for (const std::string& name : option.names)
        if (std::ranges::find(words, name) == words.end()) words.push_back(name);
    if (&command == &program) break;
  }
  return words;
}

// Options with a fixed set of values, over the whole tree. Duplicates are dropped: an option's name
// has the same meaning everywhere.
std::vector<OptionWords> options_with_choices(const std::vector<const CommandWords*>& all) {
  std::vector<OptionWords> out;
  for (const CommandWords* command : all)
    for (const OptionWords& option : command->options) {
      const bool known = std::ranges::any_of(
          out, [&](const OptionWords& other) { return other.names == option.names; });
      if (!option.choices.empty() && !known) out.push_back(option);
    }
  return out;
}

// Follows the command line down the tree. The variable is not named "path", which zsh ties to PATH.
std::string path_cases(const std::vector<const CommandWords*>& all) {
  std::string text;
  for (const CommandWords* command : all) {
    if (command->path.empty()) continue;
    const size_t space = command->path.rfind(' ');
    const std::string parent = space == std::string::npos ? "" : command->path.substr(0, space);
    text += fmt::format("      {}) at={} ;;\n", shell_quoted(parent + "/" + command->name()),
                        shell_quoted(command->path));
  }
  return text;
}

}  // namespace

std::string bash_completion(const CLI::App& tree) {
  const CommandWords program = collect(tree, "");
  std::vector<const CommandWords*> all;
  flatten(program, all);
  std::string text =
      "# bash completion for notp: source <(notp completion bash)\n"
      "_notp() {\n"
      "  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}\n"
      "  local at='' word words=''\n"
      "  for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
      "    case \"$at/$word\" in\n" +
      path_cases(all) +
      "    esac\n"
      "  done\n"
      "  case \"$previous\" in\n";
  for (const OptionWords& option : options_with_choices(all))
    text += fmt::format("    {}) words={} ;;\n", fmt::join(option.names, "|"),
                        shell_quoted(fmt::format("{}", fmt::join(option.choices, " "))));
  text +=
      "  esac\n"
      "  if [ -z \"$words\" ]; then\n"
      "    case \"$at\" in\n";
  for (const CommandWords* command : all)
    text +=
        fmt::format("      {}) words={} ;;\n", shell_quoted(command->path),
                    shell_quoted(fmt::format("{}", fmt::join(candidates(*command, program), " "))));
  text +=
      "    esac\n"
      "  fi\n"
      "  mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n"
      "}\n"
      "complete -o default -F _notp notp\n";
  return text;
}

std::string zsh_completion(const CLI::App& tree) {
  const CommandWords program = collect(tree, "");
  std::vector<const CommandWords*> all;
  flatten(program, all);
  std::string text =
      "#compdef notp\n"
      "# zsh completion for notp: source <(notp completion zsh)\n"
      "_notp() {\n"
      "  local at='' word\n"
      "  local -a commands options\n"
      "  for word in \"${(@)words[2,CURRENT-1]}\"; do\n"
      "    case \"$at/$word\" in\n" +
      path_cases(all) +
      "    esac\n"
      "  done\n"
      "  case \"${words[CURRENT-1]}\" in\n";
  for (const OptionWords& option : options_with_choices(all))
    text += fmt::format("    {}) compadd -- {}; return ;;\n", fmt::join(option.names, "|"),
                        fmt::join(option.choices, " "));
  text +=
      "  esac\n"
      "  case \"$at\" in\n";
  for (const CommandWords* command : all) {
    std::string commands, options;
    for (const CommandWords& child : command->children)
      commands += " " + shell_quoted(child.name() + ":" + child.description);
    for (const std::string& word : candidates(*command, program))
      if (word.starts_with('-')) options += " " + word;
    text += fmt::format("    {}) commands=({}); options=({}) ;;\n", shell_quoted(command->path),
                        commands.empty() ? "" : commands.substr(1),
                        options.empty() ? "" : options.substr(1));
  }
  text +=
      "  esac\n"
      "  if [[ ${words[CURRENT]} == -* ]]; then compadd -- $options; return; fi\n"
      "  if (( ${#commands} )); then _describe command commands; else _files; fi\n"
      "}\n"
      // When installed, this file is the body of the function itself.
      "if [ \"${funcstack[1]}\" = _notp ]; then _notp \"$@\"; else compdef _notp notp; fi\n";
  return text;
}

std::string fish_completion(const CLI::App& tree) {
  const CommandWords program = collect(tree, "");
  std::vector<const CommandWords*> all;
  flatten(program, all);
  std::string text =
      "# fish completion for notp: notp completion fish | source\n"
      "function __notp_path\n"
      "  set -l at ''\n"
      "  for word in (commandline -opc)[2..-1]\n"
      "    switch \"$at/$word\"\n";
  for (const CommandWords* command : all) {
    if (command->path.empty()) continue;
    const size_t space = command->path.rfind(' ');
    const std::string parent = space == std::string::npos ? "" : command->path.substr(0, space);
    text += fmt::format("      case {}\n        set at {}\n",
                        shell_quoted(parent + "/" + command->name()), shell_quoted(command->path));
  }
  text += "    end\n  end\n  test \"$at\" = \"$argv[1]\"\nend\n";
  for (const CommandWords* command : all) {
    const std::string when =
        fmt::format("-n {}", shell_quoted("__notp_path " + shell_quoted(command->path)));
    for (const CommandWords& child : command->children)
      text += fmt::format("complete -c notp -f {} -a {} -d {}\n", when, child.name(),
                          shell_quoted(child.description));
    for (const OptionWords& option : command->options) {
      std::string names;
      for (const std::string& name : option.names)
        names += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
      text += fmt::format(
          "complete -c notp{}{}{}{} -d {}\n", command->path.empty() ? "" : " " + when, names,
          option.takes_value ? " -r" : "",
          option.choices.empty()
              ? ""
              : fmt::format(" -f -a {}",
                            shell_quoted(fmt::format("{}", fmt::join(option.choices, " ")))),
          shell_quoted(option.description));
    }
  }
  return text;
}

void add_completion(Commands& commands) {
  struct Options {
    std::string shell;
    const CLI::App* tree = nullptr;
  };
  commands.add<Options>(
      commands.root(), "completion", "Print a completion script for a shell",
      [&](CLI::App& command, Options& options) {
        options.tree = &commands.root();
        command.add_option("shell", options.shell, "bash, zsh or fish")
            ->check(CLI::IsMember({"bash", "zsh", "fish"}))
            ->required();
      },
      +[](const Context& context, const Options& options) -> Result<int> {
        const std::string script = options.shell == "bash"  ? bash_completion(*options.tree)
                                   : options.shell == "zsh" ? zsh_completion(*options.tree)
                                                            : fish_completion(*options.tree);
        context.output.result(script, json::object{{"shell", options.shell}, {"script", script}});
        return exit_code::kOk;
      });
}

}  // namespace notp::cli
