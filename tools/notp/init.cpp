// notp init: a minimal valid model to start from.
#include "tools/notp/init.hpp"

#include <fmt/format.h>

#include <filesystem>

#include "common/files.hpp"
#include "tools/notp/command.hpp"
#include "tools/notp/workspace.hpp"

namespace notp::cli {
namespace {

namespace fs = std::filesystem;

struct InitOptions {
  std::string folder = ".";
  std::string ledger;
  std::string name;
};

struct NewFile {
  std::string path;
  Bytes content;
};

// The ledger's name as a Rego package: letters, digits and '_', a letter in front.
std::string package_name(std::string_view ledger) {
  std::string name;
  for (const char c : ledger) name += c == '-' || c == '.' ? '_' : c;
  return name.front() >= '0' && name.front() <= '9' ? "m" + name : name;
}

std::string manifest_text(const std::string& name, const std::string& package) {
  return pretty_json(json::object{
             {"metadata", json::object{{"name", name}}},
             {"runtimes",
              json::object{{"rego", json::object{{"language", json::object{{"name", "rego"},
                                                                           {"version", "1.0"}}}}}}},
             {"partitions", json::object{{"/", json::object{{"runtime", "rego"}}}}},
             {"roots", json::array{package}}}) +
         "\n";
}

std::string policy_text(const std::string& package) {
  return fmt::format(
      R"(# Ask for data.{0}.allow. An undefined answer is a denial, too.
package {0}

import rego.v1

default allow := false

# A user may do what one of the user's roles may do (see data.json).
allow if {{
	some role in input.user.roles
	input.action in data.{0}.permissions[role]
}}
)",
      package);
}

std::string test_text(const std::string& package) {
  return fmt::format(
      R"(package {0}

import rego.v1

test_viewer_may_read if {{
	allow with input as {{"user": {{"roles": ["viewer"]}}, "action": "read"}}
}}

test_viewer_may_not_write if {{
	not allow with input as {{"user": {{"roles": ["viewer"]}}, "action": "write"}}
}}

test_nobody_may_nothing if {{
	not allow with input as {{}}
}}
)",
      package);
}

std::string data_text() {
  return pretty_json(json::object{
             {"permissions", json::object{{"viewer", json::array{"read"}},
                                          {"editor", json::array{"read", "write"}}}}}) +
         "\n";
}

std::string config_text(const LedgerId& ledger) {
  return fmt::format(
      "# Settings of notp for this workspace; they are no part of the model.\n"
      "# Relative paths start at this folder.\n"
      "ledger: {}\n"
      "# registry: registry.core-platform.internal:7443\n"
      "# root: root.envelope\n"
      "# signing_key: publisher.key\n"
      "# tls:\n"
      "#   certificate: me.crt\n"
      "#   key: me.key\n"
      "#   ca: ca.crt\n",
      ledger.text());
}

std::vector<NewFile> new_model(const LedgerId& ledger, const std::string& name) {
  const std::string package = package_name(ledger.name);
  return {{"manifest.json", manifest_text(name, package)},
          {fmt::format("{0}/{0}.rego", package), policy_text(package)},
          {fmt::format("{0}/{0}_test.rego", package), test_text(package)},
          {fmt::format("{}/data.json", package), data_text()},
          {".notp/config.yaml", config_text(ledger)},
          // Which release this folder is based on is a fact of one machine.
          {std::string(kIgnoreFile), Bytes(kIgnoreText)}};
}

Result<int> run_init(const Context& context, const InitOptions& options) {
  NOTP_ASSIGN(const LedgerId ledger, LedgerId::parse(options.ledger));
  const fs::path folder = options.folder;
  const std::vector<NewFile> files =
      new_model(ledger, options.name.empty() ? ledger.name : options.name);
  std::error_code error;
  for (const NewFile& file : files)
    if (fs::exists(folder / file.path, error))
      return std::unexpected(Error{
          ErrorCode::kUsage,
          fmt::format("{} exists; nothing was written", (folder / file.path).string()),
          {}}.with("hint", "choose another folder: 'notp init' never overwrites"));
  json::array written;
  std::string text = fmt::format("A model for {} in {}:\n", ledger.text(), folder.string());
  for (const NewFile& file : files) {
    NOTP_TRY(make_folders((folder / file.path).parent_path()));
    NOTP_TRY(write_file(folder / file.path, file.content));
    written.emplace_back(file.path);
    text += fmt::format("  {}\n", file.path);
  }
  text += fmt::format("Next: notp validate {}\n", folder.string());
  context.output.result(text, json::object{{"folder", folder.string()},
                                           {"ledger", ledger.text()},
                                           {"files", std::move(written)}});
  return exit_code::kOk;
}

}  // namespace

Result<void> write_minimal_model(const fs::path& folder, const LedgerId& ledger) {
  const std::vector<NewFile> files = new_model(ledger, ledger.name);
  std::error_code error;
  for (const NewFile& file : files)
    if (fs::exists(folder / file.path, error))
      return fail(ErrorCode::kUsage, fmt::format("{} exists", (folder / file.path).string()));
  for (const NewFile& file : files) {
    NOTP_TRY(make_folders((folder / file.path).parent_path()));
    NOTP_TRY(write_file(folder / file.path, file.content));
  }
  return {};
}

std::string minimal_model_package(const LedgerId& ledger) { return package_name(ledger.name); }

void add_init(Commands& commands) {
  commands.add<InitOptions>(
      commands.root(), "init", "Write a minimal valid model to start from",
      [](CLI::App& command, InitOptions& options) {
        command.add_option("folder", options.folder, "Where to write it")
            ->type_name("DIR")
            ->capture_default_str();
        command.add_option("--ledger", options.ledger, "The ledger it is for, <zone>/<name>")
            ->type_name("ZONE/NAME")
            ->required();
        command.add_option("--name", options.name, "Name in the manifest (default: the ledger's)")
            ->type_name("NAME");
      },
      run_init);
}

}  // namespace notp::cli
