#include "notp-server/app/main_backup.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "common/size_text.hpp"
#include "notp-server/audit_tree/tree_file_names.hpp"
#include "notp-server/backup/backup_check.hpp"
#include "notp-server/backup/make_backup.hpp"
#include "notp-server/backup/restore.hpp"

namespace notp::server {
namespace {

namespace fs = std::filesystem;

void say_at(log::Level level, const std::string& line) {
  std::fputs(log::for_stderr(level, "notp-server: " + line + "\n").c_str(), stderr);
}

void say(const std::string& line) { say_at(log::Level::kInfo, line); }

int failed(const Error& error) {
  say_at(log::Level::kError, error.message);
  return error_traits(error.code).exit;
}

backup::RegistryPlaces places_of(const ServerConfig& config, const std::string& config_file) {
  backup::RegistryPlaces out{.data_dir = config.data_dir,
                             .audit = config.audit.folder,
                             .serves_audit = config.audit.enabled,
                             .root = config.root,
                             .trust_domain = config.trust_domain,
                             .configured = {}};
  const auto add = [&](const char* key, const fs::path& file) {
    if (!file.empty()) out.configured.push_back({key, file});
  };
  add("config", config_file);
  add("root", config.root);
  add("tls.certificate", config.tls.certificate);
  add("tls.key", config.tls.private_key);
  add("tls.ca", config.tls.authorities);
  add("identity.builtin_ca", config.tls.built_in_authorities);
  add("freshness.private_key", config.freshness.private_key);
  if (config.audit.enabled)
    out.configured.push_back({"audit.tree_key", config.audit.folder / audit::kTreeKeyFile,
                              /*may_be_missing=*/true});
  if (config.lanes) add("lanes.key", config.lanes->key);
  if (!config.enroll) return out;
  add("enroll.authority_certificate", config.enroll->authority.certificate);
  add("enroll.authority_key", config.enroll->authority.private_key);
  add("enroll.authorities", config.enroll->authority.authorities);
  return out;
}

std::string description(const backup::Manifest& manifest) {
  std::string out =
      fmt::format("{}, of {}, made by {}: {} in {} files; root v{}", manifest.trust_domain,
                  utc_time(manifest.made_ms), manifest.product, size_text(manifest.bytes()),
                  manifest.files.size(), manifest.root_version);
  for (const backup::LedgerHead& head : manifest.ledgers)
    out += fmt::format("\n  {} v{}", head.ledger.text(), head.version);
  return out + "\n";
}

Result<std::string> run_backup(const BackupCommands& commands, const ServerConfig& config,
                               const std::string& config_file) {
  NOTP_ASSIGN(const backup::Manifest manifest,
              backup::make_backup({.places = places_of(config, config_file),
                                   .target = commands.folder,
                                   .with_keys = commands.with_keys,
                                   .say = say}));
  return fmt::format("{} is a backup of {}{}", commands.folder, description(manifest),
                     commands.with_keys
                         ? "It holds private keys: protect it as you protect them.\n"
                         : "It holds no keys and no configuration: keep those elsewhere, or use "
                           "--with-keys.\n");
}

Result<std::string> run_verify(const BackupCommands& commands, const ServerConfig* config) {
  const auto domain = config ? std::optional(config->trust_domain) : std::nullopt;
  NOTP_ASSIGN(const backup::Manifest manifest, backup::check_backup(commands.folder, domain, say));
  return fmt::format("{} is whole, and as it was signed: a backup of {}", commands.folder,
                     description(manifest));
}

Result<std::string> run_restore(const BackupCommands& commands, const ServerConfig& config,
                                const std::string& config_file) {
  NOTP_ASSIGN(const backup::RestoreReport report,
              backup::restore_backup({.places = places_of(config, config_file),
                                      .backup = commands.folder,
                                      .with_keys = commands.with_keys,
                                      .say = say}));
  std::string out =
      fmt::format("{} is restored: {}", config.data_dir.string(), description(report.manifest));
  for (const fs::path& file : report.configured) out += fmt::format("  {}\n", file.string());
  return out + fmt::format(
                   "{} join tokens are void now: nodes that wait to join need new ones.\n"
                   "Next: notp-server --config {} --check, and start the registry.\n"
                   "What came after {} is lost here: see 'notp nodes' for nodes that have "
                   "newer releases (code rollback),\nand run 'notp node evict' and 'notp "
                   "withdraw' again.\n",
                   report.join_tokens, config_file, utc_time(report.manifest.made_ms));
}

}  // namespace

bool BackupCommands::is_parsed() const {
  return backup->parsed() || verify->parsed() || restore->parsed();
}

bool BackupCommands::needs_no_config() const { return verify->parsed(); }

void add_backup_commands(CLI::App& app, BackupCommands& commands) {
  const auto add = [&](const char* name, const char* about, const char* folder) {
    CLI::App* command = app.add_subcommand(name, about);
    command->add_option("folder", commands.folder, folder)->type_name("DIR")->required();
    return command;
  };
  commands.backup = add("backup",
                        "back up this registry, as its user, while it runs: ledgers, roots, "
                        "pending releases, nodes, join tokens, decision records",
                        "a new folder, best on another disk");
  commands.backup->add_flag("--with-keys", commands.with_keys,
                            "also the configuration and the files that it names; without it, the "
                            "backup holds no secret that could act as this registry");
  commands.verify = add("verify-backup",
                        "read all of a backup again: hashes, Git objects, signatures, contents, "
                        "databases; with --config also the trust domain",
                        "the backup");
  commands.restore = add(
      "restore", "check a backup, and write it into this registry's empty data_dir", "the backup");
  commands.restore->add_flag("--with-keys", commands.with_keys,
                             "also the files that the configuration names and that are missing");
  app.require_subcommand(0, 1);
}

int run_backup_command(const BackupCommands& commands, const ServerConfig* config,
                       const std::string& config_file) {
  // Damage is reported as the result.
  log::configure(log::Level::kError, log::Format::kText);
  const auto done = commands.verify->parsed()   ? run_verify(commands, config)
                    : commands.backup->parsed() ? run_backup(commands, *config, config_file)
                                                : run_restore(commands, *config, config_file);
  if (!done) return failed(done.error());
  std::fputs(done->c_str(), stdout);
  return exit_code::kOk;
}

}  // namespace notp::server
