// Stores written by earlier versions, kept as SQL: this version opens them and continues.
#include <SQLiteCpp/SQLiteCpp.h>
#include <doctest/doctest.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>

#include "common/storage/files.hpp"
#include "protocol/trust/verify.hpp"
#include "tests/support/agent/stored_models.hpp"

namespace notp {
namespace {

using namespace stored;

const model::LedgerId kAccess{100'000'000'001, "access"};

void restore(const std::filesystem::path& folder, const std::string& name) {
  const char* source = std::getenv("NOTP_SOURCE");
  REQUIRE_MESSAGE(source != nullptr, "run through ctest, which sets NOTP_SOURCE");
  const auto file =
      std::filesystem::path(source) / "tests/integration/kept_stores" / (name + ".sql");
  const auto sql = read_file(file, 1 << 20);
  REQUIRE_MESSAGE(sql, sql.error().message);
  SQLite::Database database((folder / "agent.db").string(),
                            SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
  database.exec(*sql);
}

// The schema as SQLite stores it, without white space and comments.
std::vector<std::string> schema_of(const std::filesystem::path& folder) {
  SQLite::Database database((folder / "agent.db").string());
  SQLite::Statement query(database, "SELECT sql FROM sqlite_master WHERE sql NOTNULL");
  std::vector<std::string> out;
  while (query.executeStep()) {
    std::string& text = out.emplace_back();
    const std::string sql = query.getColumn(0).getString();
    for (size_t i = 0; i < sql.size(); ++i) {
      if (sql.compare(i, 2, "--") == 0) i = std::min(sql.find('\n', i), sql.size());
      if (i < sql.size() && std::isspace(static_cast<unsigned char>(sql[i])) == 0) text += sql[i];
    }
  }
  std::ranges::sort(out);
  return out;
}

size_t read_whole(store::SqliteStore& store, uint64_t version) {
  const auto tree = store.tree(kAccess, version);
  REQUIRE_MESSAGE(tree, tree.error().message);
  for (const auto& [path, file] : (*tree)->files()) {
    const auto content = store.blob(file.hash);
    REQUIRE_MESSAGE(content, content.error().message);
    CHECK((*content)->size() == file.bytes);
  }
  return (*tree)->files().size();
}

}  // namespace

TEST_CASE("a kept store of format 4 opens, holds what it held, and takes the next release") {
  TemporaryFolder folder;
  restore(folder.path(), "agent_db_4");
  {
    const store::StoreCheck check =
        store::SqliteStore::open_to_read(folder.path()).value()->check();
    for (const store::StoreFinding& finding : check.findings)
      FAIL_CHECK(finding.part, " ", finding.subject, ": ", finding.problem);
    CHECK(check.releases == 2);
    CHECK(check.segments == 5);
  }
  auto store = open(folder.path());
  const auto state = store->load();
  REQUIRE_MESSAGE(state, state.error().message);
  const store::StoredLedger& ledger = state->ledgers.at(kAccess);
  CHECK(ledger.floor.version == 4);
  CHECK(ledger.listed.version == 3);
  REQUIRE(ledger.releases.size() == 2);
  CHECK(ledger.releases[0].ref.version == 4);
  CHECK(ledger.releases[0].confirmed);
  CHECK(ledger.floor == trust::floor_of(ledger.releases[0].ref));
  CHECK(state->freshness_sequence == 1'795'959'749'779);
  CHECK(state->clock == trust::ClockMarks{1'795'959'751'466, 1'795'959'749'779});
  REQUIRE(state->root_chain.size() == 1);
  CHECK(trust::verify_pinned_root(state->root_chain[0].envelope, "core-platform.internal"));
  CHECK(read_whole(*store, 3) == 4);
  CHECK(read_whole(*store, 4) == 4);

  store::InstallRecord record = install_of(kModel, 5, 1, kAccess);
  record.kept_versions = {4};
  REQUIRE(store->install(record));
  collect_all(*store);
  CHECK(store->tree(kAccess, 3).error().code == ErrorCode::kNotFound);
  CHECK(read_whole(*store, 4) == 4);
  CHECK(read_whole(*store, 5) == kModel.size());
  CHECK(store->check().findings.empty());
}

TEST_CASE("a new store has the tables of a kept one") {
  TemporaryFolder kept, made;
  restore(kept.path(), "agent_db_4");
  open(made.path()).reset();
  CHECK(schema_of(made.path()) == schema_of(kept.path()));
}

}  // namespace notp
