// Models and install records for tests of the agent's store on a real file.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/random.hpp"
#include "notp-client/store/sqlite_store.hpp"
#include "tests/support/temporary_folder.hpp"

namespace notp::stored {

inline const model::LedgerId kPayments{100'000'000'000, "payments"};
inline const model::LedgerId kKeys{100'000'000'000, "keys"};

using Model = std::map<std::string, Bytes>;

// For a ledger without version gaps: the new release and its predecessors, `releases` in all.
inline store::InstallRecord keep_last(size_t releases, store::InstallRecord record) {
  record.kept_versions.clear();
  for (uint64_t version = record.release.version; --version > 0 && --releases > 0;)
    record.kept_versions.insert(version);
  return record;
}

inline store::InstallRecord install_of(const Model& model, uint64_t version, uint64_t epoch = 1,
                                       const model::LedgerId& ledger = kPayments) {
  store::InstallRecord record;
  model::Files files;
  for (const auto& [path, content] : model) {
    const Hash hash = model::blob_hash(content);
    files[path] = {hash, content.size()};
    record.new_blobs[hash] = std::make_shared<const Bytes>(content);
  }
  auto tree = model::Tree::make(files);
  REQUIRE(tree);
  record.tree = std::make_shared<const model::Tree>(*std::move(tree));
  record.release.trust_domain = "core-platform.internal";
  record.release.ledger = ledger;
  record.release.epoch = epoch;
  record.release.version = version;
  record.release.content_root = record.tree->content_root();
  record.ref =
      trust::ref_of(record.release, sha256(fmt::format("{}@{}.{}", ledger.text(), epoch, version)));
  record.envelope = fmt::format("envelope {}", version);
  record.now_ms = 1'000 + static_cast<TimeMs>(version);
  return keep_last(8, std::move(record));
}

// As in an agent: only the content that the store does not have.
inline store::InstallRecord delta_of(const Model& from, const Model& to, uint64_t version) {
  store::InstallRecord record = install_of(to, version);
  for (const auto& [path, content] : from) record.new_blobs.erase(model::blob_hash(content));
  return record;
}

inline std::unique_ptr<store::SqliteStore> open(const std::filesystem::path& folder) {
  auto store = store::SqliteStore::open(folder);
  if (!store) FAIL(store.error().message);
  return *std::move(store);
}

inline void check_holds(store::SqliteStore& store, const Model& model, uint64_t version) {
  const auto tree = store.tree(kPayments, version);
  REQUIRE_MESSAGE(tree, tree.error().message);
  CHECK((*tree)->files().size() == model.size());
  for (const auto& [path, entry] : (*tree)->files()) {
    REQUIRE(model.contains(path));
    const auto content = store.blob(entry.hash);
    REQUIRE_MESSAGE(content, content.error().message);
    CHECK(**content == model.at(path));
  }
}

inline void collect_all(store::SqliteStore& store) {
  for (int steps = 0;; ++steps) {
    REQUIRE(steps < 10'000);
    const auto more = store.collect_garbage();
    REQUIRE_MESSAGE(more, more.error().message);
    if (!*more) return;
  }
}

inline std::vector<uint64_t> versions(store::SqliteStore& store) {
  const auto state = store.load();
  REQUIRE_MESSAGE(state, state.error().message);
  std::vector<uint64_t> out;
  if (const auto ledger = state->ledgers.find(kPayments); ledger != state->ledgers.end())
    for (const auto& release : ledger->second.releases) out.push_back(release.ref.version);
  return out;
}

inline int64_t count(const std::filesystem::path& folder, const std::string& table) {
  SQLite::Database database((folder / "agent.db").string());
  return database.execAndGet("SELECT COUNT(*) FROM " + table).getInt64();
}

inline void damage(const std::filesystem::path& folder, const std::string& sql) {
  SQLite::Database database((folder / "agent.db").string(), SQLite::OPEN_READWRITE);
  REQUIRE(database.exec(sql) > 0);
}

inline Bytes document(size_t bytes, uint64_t seed) {
  SeededRandom random(seed);
  Bytes text = "[";
  while (text.size() < bytes)
    text += fmt::format("{{\"id\":{},\"role\":\"r{}\"}},", random.next_u64(), random.below(20));
  text.back() = ']';
  return text;
}

inline const Model kModel = {
    {"manifest.json", "{}"}, {"a.rego", "package a"}, {"b/c.rego", "package b.c"}};

}  // namespace notp::stored
