// notp init: writes a minimal valid model, or adds what a folder of policies lacks to be a model.
#include "tools/notp/init.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>

#include "common/rego/host/process_checker.hpp"
#include "common/storage/files.hpp"
#include "protocol/model/test_code.hpp"
#include "tools/notp/command.hpp"
#include "tools/notp/publish/model_roots.hpp"
#include "tools/notp/workspace.hpp"

namespace notp::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kConfigFile = ".notp/config.yaml";

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

std::string config_text(const model::LedgerId& ledger) {
  return fmt::format(
      "# Settings of notp for this workspace; they are no part of the model.\n"
      "# Relative paths start at this folder. What is not set here comes from\n"
      "# ~/.config/notp/config.yaml, then /etc/notp/config.yaml: see 'notp config'.\n"
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

std::vector<NewFile> new_model(const model::LedgerId& ledger, const std::string& name) {
  const std::string package = package_name(ledger.name);
  ManifestDraft manifest;
  manifest.name = name;
  manifest.roots = {package};
  return {{std::string(model::kManifestPath), manifest_text(manifest)},
          {fmt::format("{0}/{0}.rego", package), policy_text(package)},
          {fmt::format("{0}/{0}_test.rego", package), test_text(package)},
          {fmt::format("{}/data.json", package), data_text()},
          {kConfigFile, config_text(ledger)},
          // The release that this folder is based on is local to one machine.
          {std::string(kIgnoreFile), Bytes(kIgnoreText)}};
}

bool has_model_files(const model::Tree& tree) {
  return std::ranges::any_of(tree.files(), [](const auto& file) {
    return file.first == model::kManifestPath || model::is_policy_file(file.first) ||
           model::is_data_file(file.first);
  });
}

// Policies from before OPA 1.0 can be published unchanged: the manifest's runtime then says so.
Result<uint8_t> rego_version_of(const FolderContent& read, ManifestDraft draft) {
  rego::CheckRequest request;
  request.needs_only = true;
  request.load = read.content.loader();
  for (const std::string& path : model::rego_paths(*read.content.tree, /*with_tests=*/true)) {
    const model::FileEntry& entry = *read.content.tree->find(path);
    request.modules.push_back(
        {path, entry.hash, entry.bytes, draft.version, model::is_test_module(path)});
  }
  rego::ProcessChecker engine(rego::CheckerOptions{});
  NOTP_ASSIGN(const rego::CheckReport as_v1, engine.check(request));
  if (as_v1.valid()) return 1;
  for (rego::CheckModule& module : request.modules) module.rego_version = 0;
  NOTP_ASSIGN(const rego::CheckReport as_v0, engine.check(request));
  return as_v0.valid() ? 0 : 1;
}

struct Adoption {
  std::vector<NewFile> files;  // missing in the folder
  std::vector<std::string> found;
};

// The additions that make a model of a folder with policies or data.
Result<Adoption> adopt(const FolderContent& read, const model::LedgerId& ledger,
                       const std::string& name) {
  Adoption adoption;
  const model::Tree& tree = *read.content.tree;
  const FileLoader load = [&](const std::string& path) { return file_content(read.content, path); };
  NOTP_ASSIGN(const FoundRoots found, find_roots(tree.files(), load));
  adoption.found.push_back(fmt::format("{}, {} of tests, {}",
                                       counted(found.policies, "policy file"), found.tests,
                                       counted(found.documents, "data document")));
  for (const std::string& each : found.no_root) adoption.found.push_back("warning: " + each);
  for (const model::ModelFinding& each : read.warnings)
    adoption.found.push_back(fmt::format("warning: {}: {}", each.path, each.message));
  if (tree.find(model::kManifestPath) == nullptr) {
    if (found.roots.empty())
      return fail(ErrorCode::kUsage,
                  "no package and no data document that a data root could be made of was found");
    ManifestDraft draft;
    draft.name = name;
    draft.roots = found.roots;
    NOTP_ASSIGN(draft.version, rego_version_of(read, draft));
    adoption.found.push_back(fmt::format("data roots: {}", fmt::join(draft.roots, ", ")));
    if (draft.version == 0)
      adoption.found.push_back(
          "Rego v0: the manifest says so; 'opa fmt --write --v0-v1' makes it v1, and version "
          "\"1.0\" in the manifest then says that");
    adoption.files.push_back({std::string(model::kManifestPath), manifest_text(draft)});
  }
  adoption.files.push_back({kConfigFile, config_text(ledger)});
  adoption.files.push_back({std::string(kIgnoreFile), Bytes(kIgnoreText)});
  return adoption;
}

// A bundle, and a folder with a manifest.json, already has a manifest.
Result<int> run_adopt(const Context& context, const InitOptions& options,
                      const model::LedgerId& ledger, const FolderContent& read) {
  const fs::path folder = options.folder;
  NOTP_ASSIGN(Adoption adoption,
              adopt(read, ledger, options.name.empty() ? ledger.name : options.name));
  std::error_code error;
  json::array written;
  std::string text = fmt::format("{} has policies or data already; found:\n", folder.string());
  for (const std::string& line : adoption.found) text += fmt::format("  {}\n", line);
  text += "added:\n";
  for (const NewFile& file : adoption.files) {
    if (fs::exists(folder / file.path, error)) continue;
    NOTP_TRY(make_folders((folder / file.path).parent_path()));
    NOTP_TRY(write_file(folder / file.path, file.content));
    written.emplace_back(file.path);
    text += fmt::format("  {}\n", file.path);
  }
  if (written.empty()) text += "  nothing: it has all that a model needs\n";
  text += fmt::format("Next: notp validate {}\n", folder.string());
  context.output.result(
      text, json::object{{"folder", folder.string()},
                         {"ledger", ledger.text()},
                         {"found", json::array(adoption.found.begin(), adoption.found.end())},
                         {"files", std::move(written)}});
  return exit_code::kOk;
}

// Writes all of them, or none if one exists.
Result<void> write_new(const fs::path& folder, const std::vector<NewFile>& files) {
  std::error_code error;
  for (const NewFile& file : files)
    if (fs::exists(folder / file.path, error))
      return std::unexpected(Error{
          ErrorCode::kUsage,
          fmt::format("{} exists; nothing was written", (folder / file.path).string()),
          {}}.with("hint", "choose another folder: 'notp init' never overwrites"));
  for (const NewFile& file : files) {
    NOTP_TRY(make_folders((folder / file.path).parent_path()));
    NOTP_TRY(write_file(folder / file.path, file.content));
  }
  return {};
}

Result<int> run_init(const Context& context, const InitOptions& options) {
  NOTP_ASSIGN(const model::LedgerId ledger, model::LedgerId::parse(options.ledger));
  const fs::path folder = options.folder;
  std::error_code error;
  if (fs::is_directory(folder, error)) {
    NOTP_ASSIGN(const FolderContent read, read_model_folder(folder.string()));
    if (has_model_files(*read.content.tree)) return run_adopt(context, options, ledger, read);
  }
  const std::vector<NewFile> files =
      new_model(ledger, options.name.empty() ? ledger.name : options.name);
  NOTP_TRY(write_new(folder, files));
  json::array written;
  std::string text = fmt::format("A model for {} in {}:\n", ledger.text(), folder.string());
  for (const NewFile& file : files) {
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

Result<void> write_minimal_model(const fs::path& folder, const model::LedgerId& ledger) {
  return write_new(folder, new_model(ledger, ledger.name));
}

std::string minimal_model_package(const model::LedgerId& ledger) {
  return package_name(ledger.name);
}

void add_init(Commands& commands) {
  commands.add<InitOptions>(
      commands.root(), "init",
      "Write a minimal valid model to start from, or what a folder of policies lacks",
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
