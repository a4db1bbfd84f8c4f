// Stores written by earlier versions, kept as SQL: this version opens them and continues.
#include <doctest/doctest.h>

#include "protocol/trust/verify.hpp"
#include "tests/support/agent/stored_models.hpp"
#include "tests/support/kept_stores.hpp"

namespace notp {
namespace {

using namespace stored;

constexpr const char* kFile = "agent.db";
const model::LedgerId kAccess{100'000'000'001, "access"};

size_t read_whole(store::SqliteStore& store, uint64_t version,
                  const model::LedgerId& ledger = kAccess) {
  const auto tree = store.tree(ledger, version);
  REQUIRE_MESSAGE(tree, tree.error().message);
  for (const auto& [path, file] : (*tree)->files()) {
    const auto content = store.blob(file.hash);
    REQUIRE_MESSAGE(content, content.error().message);
    CHECK((*content)->size() == file.bytes);
  }
  return (*tree)->files().size();
}

std::vector<std::string> columns_of(const std::filesystem::path& file) {
  SQLite::Database database = kept::open_alone(file);
  SQLite::Statement query(database,
                          "SELECT t.name || '.' || c.name FROM sqlite_master t, "
                          "pragma_table_info(t.name) c WHERE t.type = 'table' ORDER BY 1");
  std::vector<std::string> out;
  while (query.executeStep()) out.push_back(query.getColumn(0).getString());
  return out;
}

void check_whole(const store::StoreCheck& check, size_t releases) {
  for (const store::StoreFinding& finding : check.findings)
    FAIL_CHECK(finding.part, " ", finding.subject, ": ", finding.problem);
  CHECK(check.releases == releases);
}

// What the program of format 3 has put into it, in values of today.
void check_format_3(store::SqliteStore& store) {
  const auto state = store.load();
  REQUIRE_MESSAGE(state, state.error().message);
  const store::StoredLedger& payments = state->ledgers.at(kPayments);
  CHECK(payments.floor == trust::Floor{1, 5, sha256("100000000000/payments@1.5")});
  CHECK(payments.listed == trust::Floor{1, 4, sha256("100000000000/payments@1.4")});
  REQUIRE(payments.releases.size() == 2);
  CHECK(payments.releases[0].ref.version == 5);
  CHECK_FALSE(payments.releases[0].confirmed);
  CHECK(payments.releases[0].envelope.bytes() == "envelope 5");
  CHECK(payments.releases[1].ref.version == 4);
  CHECK(payments.releases[1].confirmed);
  CHECK(payments.releases[1].stored_ms == 1'795'000'002'000);
  CHECK(state->ledgers.at(kAccess).floor.version == 1);
  REQUIRE(state->root_chain.size() == 2);
  CHECK(state->root_chain[0].envelope == "root 1");
  CHECK(state->root_chain[1].version == 2);
  CHECK(state->freshness_sequence == 1'795'000'002'500);
  REQUIRE(state->statements.size() == 1);
  CHECK(state->statements[0].envelope == "statement 1795000002500");
  CHECK(state->statements[0].accepted_ms == 1'795'000'002'500);
  // Format 3 did not know what the registry had signed of the time.
  CHECK(state->clock == trust::ClockMarks{1'795'000'004'000, 0});
  CHECK(read_whole(store, 4, kPayments) == 3);
  CHECK(read_whole(store, 5, kPayments) == 4);
  CHECK(read_whole(store, 1, kAccess) == kModel.size());
  check_whole(store.check(), 3);
}

}  // namespace

TEST_CASE("a kept store of format 5 opens, holds what it held, and takes the next release") {
  TemporaryFolder folder;
  kept::restore(folder.path() / kFile, "agent_db_5");
  {
    const store::StoreCheck check =
        store::SqliteStore::open_to_read(folder.path()).value()->check();
    check_whole(check, 2);
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
  CHECK(state->assignment == "assignment 1795959749780");
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
  kept::restore(kept.path() / kFile, "agent_db_5");
  open(made.path()).reset();
  CHECK(kept::schema_of(made.path() / kFile) == kept::schema_of(kept.path() / kFile));
}

// A command that only reads does not migrate.
void check_only_migrated_at_start(const std::filesystem::path& folder, int format) {
  const auto file = folder / kFile;
  const Bytes before = kept::content_of(file);
  const auto only_read = store::SqliteStore::open_to_read(folder);
  REQUIRE_FALSE(only_read);
  CHECK(only_read.error().code == ErrorCode::kConfig);
  CHECK(only_read.error().message.contains(
      fmt::format("its format is {}, this program reads 5", format)));
  CHECK(kept::content_of(file) == before);

  TemporaryFolder made;
  open(folder).reset();
  CHECK(kept::format_of(file) == 5);
  open(made.path()).reset();
  CHECK(columns_of(file) == columns_of(made.path() / kFile));
}

TEST_CASE("a kept store of format 4 becomes one of today, holds what it held, and goes on") {
  TemporaryFolder folder;
  kept::restore(folder.path() / kFile, "agent_db_4");
  check_only_migrated_at_start(folder.path(), 4);
  auto store = open(folder.path());
  const auto state = store->load();
  REQUIRE_MESSAGE(state, state.error().message);
  CHECK(state->ledgers.at(kAccess).floor.version == 4);
  CHECK(state->ledgers.at(kAccess).releases.size() == 2);
  CHECK(state->freshness_sequence == 1'795'959'749'779);
  CHECK(state->statements.size() == 1);
  CHECK(state->clock == trust::ClockMarks{1'795'959'751'466, 1'795'959'749'779});
  CHECK(state->assignment.empty());
  CHECK(read_whole(*store, 4) == 4);
  REQUIRE(store->keep_assignment(7, "assignment 7"));
  check_whole(store->check(), 2);
  store.reset();
  CHECK(open(folder.path())->load()->assignment == "assignment 7");
}

TEST_CASE("a kept store of format 3 becomes one of today, holds what it held, and goes on") {
  TemporaryFolder folder;
  kept::restore(folder.path() / kFile, "agent_db_3");
  check_only_migrated_at_start(folder.path(), 3);

  auto store = open(folder.path());
  check_format_3(*store);
  store::InstallRecord record = install_of(kModel, 6);
  record.kept_versions = {5};
  REQUIRE(store->install(record));
  collect_all(*store);
  CHECK(store->tree(kPayments, 4).error().code == ErrorCode::kNotFound);
  CHECK(read_whole(*store, 6, kPayments) == kModel.size());
  check_whole(store->check(), 3);
}

TEST_CASE(
    "a store of a later format is refused and not changed; the program that wrote it goes on") {
  TemporaryFolder folder;
  const auto file = folder.path() / kFile;
  REQUIRE(open(folder.path())->install(install_of(kModel, 7)));
  const int format = kept::format_of(file);
  kept::set_format(file, format + 1);
  const Bytes before = kept::content_of(file);
  const std::string message =
      fmt::format("its format is {}, this program reads {}", format + 1, format);
  for (const auto& opened :
       {store::SqliteStore::open(folder.path()), store::SqliteStore::open_to_read(folder.path())}) {
    REQUIRE_FALSE(opened);
    CHECK(opened.error().code == ErrorCode::kConfig);
    CHECK_MESSAGE(opened.error().message.contains(message), opened.error().message);
    CHECK(kept::content_of(file) == before);
  }
  kept::set_format(file, format);
  check_holds(*open(folder.path()), kModel, 7);
}

}  // namespace notp
