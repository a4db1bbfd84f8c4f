#include "common/command_tree.hpp"

#include <iostream>

namespace notp {
namespace {

// An IsMember check is called "{a,b}".
std::vector<std::string> choices_of(std::string_view check) {
  std::vector<std::string> choices;
  check = check.substr(1, check.size() - 2);
  while (true) {
    const size_t comma = check.find(',');
    choices.emplace_back(check.substr(0, comma));
    if (comma == check.npos) return choices;
    check.remove_prefix(comma + 1);
  }
}

// CLI11 tells the number of checks only by refusing to give one more.
std::vector<std::string> checks_of(CLI::Option& option) {
  std::vector<std::string> checks;
  try {
    for (int i = 0;; ++i)
      if (std::string text = option.get_validator(i)->get_description(); !text.empty())
        checks.push_back(std::move(text));
  } catch (const CLI::OptionNotFound&) {
    return checks;
  }
}

CommandOption option_of(CLI::Option& option) {
  CommandOption out;
  for (const std::string& name : option.get_snames()) out.names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) out.names.push_back("--" + name);
  if (out.names.empty()) out.argument = option.get_name(/*positional=*/true);
  out.about = option.get_description();
  out.checks = checks_of(option);
  if (option.get_items_expected_max() > 0) {
    out.value = option.get_type_name();  // followed by its checks
    for (const std::string& check : out.checks)
      out.value.resize(out.value.size() - check.size() - 1);
    out.default_text = option.get_default_str();
  }
  std::erase_if(out.checks, [&](const std::string& check) {
    if (!check.starts_with('{') || !check.ends_with('}')) return false;
    out.choices = choices_of(check);
    return true;
  });
  out.variable = option.get_envname();
  out.group = option.get_group();
  out.required = option.get_required();
  out.repeats = option.get_items_expected_max() > 1;
  for (const CLI::Option* other : option.get_excludes()) out.excludes.push_back(other->get_name());
  return out;
}

void collect_options(CLI::App& app, const std::string& group, std::vector<CommandOption>& out) {
  for (CLI::Option* option :
       app.get_options([](const CLI::Option* one) { return !one->get_group().empty(); })) {
    out.push_back(option_of(*option));
    if (!group.empty()) out.back().group = group;
  }
}

CommandTree collect(CLI::App& app, const std::string& path) {
  CommandTree tree;
  tree.path = path;
  tree.about = app.get_description();
  if (app.get_parent() == nullptr || app.get_parent()->get_footer() != app.get_footer())
    tree.footer = app.get_footer();
  tree.needs_command = app.get_require_subcommand_min() > 0;
  collect_options(app, "", tree.options);
  for (CLI::App* child : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (child->get_group().empty()) continue;  // hidden
    if (child->get_name().empty()) {           // a group of options
      collect_options(*child, child->get_group(), tree.options);
      if (child->get_require_option_min() == 1 && child->get_require_option_max() == 1)
        tree.one_of.push_back(child->get_group());
      continue;
    }
    tree.children.push_back(
        collect(*child, path.empty() ? child->get_name() : path + " " + child->get_name()));
  }
  return tree;
}

void put(json::object& out, std::string_view name, const std::string& text) {
  if (!text.empty()) out[name] = text;
}

void put(json::object& out, std::string_view name, const std::vector<std::string>& texts) {
  if (!texts.empty()) out[name] = json::array(texts.begin(), texts.end());
}

void put(json::object& out, std::string_view name, bool value) {
  if (value) out[name] = true;
}

json::object to_json(const CommandOption& option) {
  json::object out;
  put(out, "names", option.names);
  put(out, "argument", option.argument);
  put(out, "about", option.about);
  put(out, "value", option.value);
  put(out, "choices", option.choices);
  put(out, "checks", option.checks);
  put(out, "default", option.default_text);
  put(out, "variable", option.variable);
  put(out, "group", option.group);
  put(out, "required", option.required);
  put(out, "repeats", option.repeats);
  put(out, "excludes", option.excludes);
  return out;
}

// --- and back

constexpr int kDepthMax = 8;  // of commands below commands

std::string text_of(const json::object& object, std::string_view name) {
  const json::value* const found = object.if_contains(name);
  return found != nullptr && found->is_string() ? std::string(found->get_string()) : std::string();
}

bool flag_of(const json::object& object, std::string_view name) {
  const json::value* const found = object.if_contains(name);
  return found != nullptr && found->is_bool() && found->get_bool();
}

std::vector<std::string> texts_of(const json::object& object, std::string_view name) {
  std::vector<std::string> out;
  const json::value* const found = object.if_contains(name);
  if (found == nullptr || !found->is_array()) return out;
  for (const json::value& one : found->get_array())
    if (one.is_string()) out.emplace_back(one.get_string());
  return out;
}

CommandOption option_of(const json::object& object) {
  return {.names = texts_of(object, "names"),
          .argument = text_of(object, "argument"),
          .about = text_of(object, "about"),
          .value = text_of(object, "value"),
          .choices = texts_of(object, "choices"),
          .checks = texts_of(object, "checks"),
          .default_text = text_of(object, "default"),
          .variable = text_of(object, "variable"),
          .group = text_of(object, "group"),
          .required = flag_of(object, "required"),
          .repeats = flag_of(object, "repeats"),
          .excludes = texts_of(object, "excludes")};
}

Result<CommandTree> tree_of(const json::value& document, int depth) {
  const auto members = [&](std::string_view name) -> const json::array* {
    const json::object* const object = document.if_object();
    const json::value* const found = object != nullptr ? object->if_contains(name) : nullptr;
    return found != nullptr ? found->if_array() : nullptr;
  };
  const json::array* const options = members("options");
  const json::array* const children = members("children");
  if (options == nullptr || children == nullptr || depth > kDepthMax)
    return fail(ErrorCode::kMessage, "it is no tree of commands");
  const json::object& object = document.get_object();
  CommandTree out{.path = text_of(object, "path"),
                  .about = text_of(object, "about"),
                  .footer = text_of(object, "footer"),
                  .needs_command = flag_of(object, "needs_command"),
                  .children = {},
                  .options = {},
                  .one_of = texts_of(object, "one_of")};
  for (const json::value& option : *options)
    if (option.is_object()) out.options.push_back(option_of(option.get_object()));
  for (const json::value& child : *children) {
    NOTP_ASSIGN(CommandTree below, tree_of(child, depth + 1));
    out.children.push_back(std::move(below));
  }
  return out;
}

}  // namespace

Result<CommandTree> command_tree_of(const json::value& document) { return tree_of(document, 0); }

CommandTree command_tree(CLI::App& app) { return collect(app, ""); }

json::object to_json(const CommandTree& tree) {
  json::object out;
  put(out, "path", tree.path);
  put(out, "about", tree.about);
  put(out, "footer", tree.footer);
  put(out, "needs_command", tree.needs_command);
  put(out, "one_of", tree.one_of);
  json::array options, children;
  for (const CommandOption& option : tree.options) options.push_back(to_json(option));
  for (const CommandTree& child : tree.children) children.push_back(to_json(child));
  out["options"] = std::move(options);
  out["children"] = std::move(children);
  return out;
}

void add_command_tree_flag(CLI::App& app) {
  app.add_flag_callback("--command-tree",
                        [&app] {
                          std::cout << json::serialize(to_json(command_tree(app))) << '\n';
                          throw CLI::Success();
                        })
      ->group("");
}

}  // namespace notp
