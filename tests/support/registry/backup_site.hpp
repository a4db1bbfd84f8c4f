// A registry's data folder with something in every store, and backups of it.
#pragma once

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "common/storage/files.hpp"
#include "common/storage/sqlite.hpp"
#include "notp-server/backup/backup_check.hpp"
#include "notp-server/backup/make_backup.hpp"
#include "notp-server/backup/restore.hpp"
#include "notp-server/enroll/join_tokens.hpp"
#include "tests/support/registry/git_ledgers.hpp"

namespace notp {

inline const model::LedgerId kSecondLedger{273165098782, "users"};

class BackupSite {
 public:
  TemporaryFolder folder;
  const fs::path data = folder.path() / "data", target = folder.path() / "backup";

  BackupSite() {
    for (const char* name : {"roots", "audit"}) REQUIRE(make_folders(data / name).has_value());
    const Bytes root = samples::signed_by(samples::root(), {1}).encode();
    put("data/roots/1.envelope", root);
    put("root.envelope", root);
    put("server.key", "the key");
    put("data/pending/1/users/0a.artifact", "an artifact");
    put("data/pending/1/users/0a.json", "{}");
    put("data/pending/1/users/0b.json", "{}");  // its artifact is being removed
    for (const char* name : {"fleet.db", "audit/2026-01-01.db", "audit/2026-01-02.db",
                             "audit/logs.db", "audit/tree.db"})
      make_database(data / name);
    put("data/audit/2025-12-31.db.damaged", "evidence");
    put("data/audit/tree-0a.db.old", "an earlier tree");
    add_tokens();
  }

  void put(const std::string& path, ByteView content) const {
    REQUIRE(make_folders((folder.path() / path).parent_path()).has_value());
    REQUIRE(write_file(folder.path() / path, content).has_value());
  }
  // Three releases of one ledger, and one of another.
  void publish() const {
    const auto registry = open(data);
    for (int step = 1; step <= 3; ++step) publish_files(*registry, texts(step));
    publish_files(*registry, texts(7), kSecondLedger);
  }
  backup::RegistryPlaces places(const fs::path& data_dir) const {
    return {.data_dir = data_dir,
            .audit = data_dir / "audit",
            .serves_audit = true,
            .root = folder.path() / "root.envelope",
            .trust_domain = std::string(samples::kDomain),
            .configured = {{"tls.key", folder.path() / "server.key"},
                           {"root", folder.path() / "root.envelope"},
                           {"audit.tree_key", data_dir / "audit/tree.key",
                            /*may_be_missing=*/true}}};
  }
  Result<backup::Manifest> back_up(
      const backup::Say& say = [](const std::string&) {}, bool with_keys = true) const {
    return backup::make_backup(
        {.places = places(data), .target = target, .with_keys = with_keys, .say = say});
  }
  // It must succeed.
  backup::Manifest backed_up() const {
    auto made = back_up();
    REQUIRE_MESSAGE(made.has_value(), (made ? "" : made.error().message));
    return *std::move(made);
  }
  Result<backup::RestoreReport> restore(const fs::path& into, bool with_keys = false) const {
    return backup::restore_backup({.places = places(into),
                                   .backup = target,
                                   .with_keys = with_keys,
                                   .say = [](const std::string&) {}});
  }
  Result<backup::Manifest> check() const {
    return backup::check_backup(target, std::string(samples::kDomain), [](const std::string&) {});
  }

 private:
  static void make_database(const fs::path& file) {
    const auto database = open_database(file);
    REQUIRE(database.has_value());
    (*database)->exec("CREATE TABLE t (a TEXT); INSERT INTO t VALUES (hex(randomblob(30000)))");
  }
  void add_tokens() const {
    const auto tokens = enroll::JoinTokens::open(data / "join-tokens.db");
    REQUIRE(tokens.has_value());
    for (const char* secret : {"one", "two"})
      REQUIRE((*tokens)
                  ->add({.secret = sha256(secret),
                         .node = secret,
                         .issuer = "eve",
                         .expires_ms = 2'000,
                         .replaces = false},
                        1'000)
                  .has_value());
  }
};

// The content of each file below a folder.
inline std::map<std::string, std::string> contents_below(const fs::path& folder) {
  std::map<std::string, std::string> out;
  const auto paths = backup::files_below(folder);
  REQUIRE(paths.has_value());
  for (const std::string& path : *paths)
    out[path] = read_file(folder / path, 1 << 30).value_or("cannot be read");
  return out;
}

}  // namespace notp
