#include "tools/notp/completion_words.hpp"

#include <algorithm>

namespace notp::cli {
namespace {

void flatten(const CommandTree& tree, std::vector<const CommandTree*>& out) {
  out.push_back(&tree);
  for (const CommandTree& child : tree.children) flatten(child, out);
}

void add_names(const CommandTree& tree, std::vector<std::string>& out) {
  for (const CommandOption& option : tree.options)
    for (const std::string& name : option.names)
      if (std::ranges::find(out, name) == out.end()) out.push_back(name);
}

void add_rules(const CommandTree& tree, std::vector<ValueRule>& out) {
  for (const CommandOption& option : tree.options) {
    if (option.value.empty() || option.names.empty()) continue;
    const Values values = values_of(option);
    auto rule = std::ranges::find(out, values, &ValueRule::values);
    if (rule == out.end()) rule = out.insert(out.end(), {values, {}});
    for (const std::string& name : option.names) rule->places.push_back({tree.path, name});
  }
}

}  // namespace

bool CommandWords::takes_files() const {
  return argument && (argument->kind == ValueKind::kFile || argument->kind == ValueKind::kFolder);
}

bool CommandWords::takes_ledgers() const {
  return argument && argument->kind == ValueKind::kLedger;
}

Values values_of(const CommandOption& option) {
  if (!option.choices.empty()) return {ValueKind::kChoice, option.choices};
  const std::string& value = option.value;
  if (value.starts_with("ZONE/NAME") && !value.contains('=')) return {ValueKind::kLedger, {}};
  if (value.starts_with("[ZONE/NAME]")) return {ValueKind::kLedger, {}};
  if (value == "DIR") return {ValueKind::kFolder, {}};
  if (value.starts_with("FILE") || value == "PROGRAM") return {ValueKind::kFile, {}};
  return {};
}

std::vector<const CommandTree*> all_commands(const CommandTree& program) {
  std::vector<const CommandTree*> out;
  flatten(program, out);
  return out;
}

std::vector<CommandWords> words_of_commands(const CommandTree& program) {
  std::vector<CommandWords> out;
  for (const CommandTree* tree : all_commands(program)) {
    CommandWords& words = out.emplace_back();
    words.path = tree->path;
    for (const CommandTree& child : tree->children) words.commands.push_back(&child);
    add_names(*tree, words.options);
    add_names(program, words.options);
    const auto first = std::ranges::find_if(
        tree->options, [](const CommandOption& option) { return option.names.empty(); });
    if (first != tree->options.end()) words.argument = values_of(*first);
  }
  return out;
}

std::vector<ValueRule> value_rules(const CommandTree& program) {
  std::vector<ValueRule> of_commands, of_program;
  for (const CommandTree* tree : all_commands(program))
    add_rules(*tree, tree == &program ? of_program : of_commands);
  of_commands.insert(of_commands.end(), of_program.begin(), of_program.end());
  return of_commands;
}

}  // namespace notp::cli
