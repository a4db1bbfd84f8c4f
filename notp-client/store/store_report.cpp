#include "notp-client/store/store_report.hpp"

#include <fmt/format.h>

#include <set>

#include "common/storage/sqlite_attempt.hpp"
#include "notp-client/store/sqlite_rows.hpp"
#include "notp-client/store/sqlite_store.hpp"
#include "notp-client/store/store_tables.hpp"

namespace notp::store {
namespace {

constexpr int kStructureFindingsMax = 100;

constexpr const char* kStartAnew =
    "nothing in this store can be trusted any more: move the data folder away and let the agent "
    "fetch again";
constexpr const char* kFetchHead =
    "start the agent while its registry can be reached: it finds the damage and fetches again what "
    "it needs of the newest release";
constexpr const char* kOldRelease =
    "nothing, if this is not the newest release: it is no fallback any more and goes when newer "
    "ones come; otherwise start the agent while its registry can be reached, and it fetches it "
    "again";
constexpr const char* kCountsItself =
    "start the agent: it counts anew and deletes what is left over";

// Runs `body`; its errors and SQLite's become findings.
template <typename Body>
void look_at(StoreCheck& check, std::string_view part, std::string_view subject, const char* advice,
             Body&& body) {
  const auto seen = attempt("cannot read it", std::forward<Body>(body));
  if (!seen)
    check.findings.push_back(
        {std::string(part), std::string(subject), seen.error().message, advice});
}

void check_database(StoreTables& tables, StoreCheck& check) {
  look_at(check, "database", kStoreFile, kStartAnew, [&] {
    SQLite::Statement query(*tables.connection,
                            fmt::format("PRAGMA integrity_check({})", kStructureFindingsMax));
    while (query.executeStep()) {
      const std::string line = query.getColumn(0).getString();
      if (line != "ok")
        check.findings.push_back({"database", kStoreFile, printable(line), kStartAnew});
    }
    SQLite::Statement lost(*tables.connection, "PRAGMA foreign_key_check");
    while (lost.executeStep()) {
      const std::string table = lost.getColumn(0).getString();
      check.findings.push_back({"database", table, "a row belongs to no ledger",
                                table == "listed" ? kStartAnew : kFetchHead});
    }
  });
}

void check_trust(StoreTables& tables, StoreCheck& check) {
  look_at(check, "root", "chain", kStartAnew, [&] { tables.trust.roots(); });
  look_at(check, "freshness", "sequence", kStartAnew, [&] { tables.trust.sequence(); });
  look_at(check, "freshness", "assignment", kStartAnew, [&] { tables.trust.assignment(); });
  look_at(check, "clock", "marks of time", kStartAnew, [&] { tables.trust.clock(); });
  look_at(check, "freshness", "statements", kStartAnew, [&] {
    if (tables.trust.count_statements() != tables.trust.statements().size())
      check.findings.push_back({"freshness", "statements",
                                "a stored freshness statement is damaged and is ignored",
                                "start the agent while its registry can be reached: the next "
                                "statement takes its place"});
  });
}

void check_ledger(StoreTables& tables, int64_t ledger_row, const model::LedgerId& ledger,
                  StoreCheck& check) {
  const auto subject_of = [&](uint64_t version) {
    return fmt::format("{} v{}", ledger.text(), version);
  };
  trust::Floor floor;
  look_at(check, "ledger", ledger.text(), kStartAnew, [&] {
    floor = tables.trust.floor(ledger_row);
    tables.trust.listed(ledger_row, ledger);
  });
  look_at(check, "release", ledger.text(), kFetchHead, [&] {
    const std::vector<ReleaseRow> rows = tables.releases.read(ledger_row, ledger);
    std::set<int64_t> good;
    for (const ReleaseRow& row : rows) good.insert(row.install);
    SQLite::Statement all(*tables.connection,
                          "SELECT install, version FROM releases WHERE ledger = ?");
    all.bind(1, ledger_row);
    for (; all.executeStep(); ++check.releases)
      if (!good.contains(all.getColumn(0).getInt64()))
        check.findings.push_back({"release", subject_of(number(all.getColumn(1))),
                                  "its row is damaged and is not used", kFetchHead});
    if (!rows.empty() && rows.front().release.ref.version < floor.version)
      check.findings.push_back({"release", subject_of(floor.version),
                                "it is the newest that was stored, and is not there", kFetchHead});
    for (const ReleaseRow& row : rows) {
      const StoredRelease& release = row.release;
      const trust::Floor place = trust::floor_of(release.ref);
      const bool newest = place.epoch == floor.epoch && place.version == floor.version;
      if (std::pair(place.epoch, place.version) > std::pair(floor.epoch, floor.version) ||
          (newest && place.release_hash != floor.release_hash))
        check.findings.push_back({"ledger", subject_of(release.ref.version),
                                  "it is not what the floor of its ledger says", kStartAnew});
      const Result<model::Tree> tree =
          model::Tree::make(tables.files.read(ledger_row, row.install));
      if (!tree || tree->content_root() != release.ref.content_root)
        check.findings.push_back({"release", subject_of(release.ref.version),
                                  "its stored file list does not give its content root",
                                  kOldRelease});
    }
  });
}

void check_content(StoreTables& tables, StoreCheck& check) {
  look_at(check, "content", "all", kFetchHead, [&] {
    check.blobs = number(tables.connection->execAndGet("SELECT COUNT(*) FROM blobs"));
    for (const BlobRows::Damage& blob : tables.blobs.check_blobs())
      check.findings.push_back(
          {"content", tables.files.users_of(blob.id), blob.problem, kOldRelease});
  });
  look_at(check, "segment", "all", kFetchHead, [&] {
    check.segments = number(tables.connection->execAndGet("SELECT COUNT(*) FROM segments"));
    for (const BlobRows::Damage& segment : tables.blobs.check_segments())
      check.findings.push_back({"segment", fmt::format("{}", segment.id), segment.problem,
                                segment.miscounted ? kCountsItself : kOldRelease});
  });
}

LedgerStats ledger_stats(StoreTables& tables, int64_t ledger_row, const model::LedgerId& ledger) {
  LedgerStats stats;
  stats.ledger = ledger;
  stats.floor = tables.trust.floor(ledger_row);
  stats.listed = tables.trust.listed(ledger_row, ledger);
  struct Use {
    uint64_t bytes = 0;
    size_t releases = 0;
  };
  std::map<Hash, Use> uses;
  std::vector<std::map<Hash, uint64_t>> contents;
  for (ReleaseRow& row : tables.releases.read(ledger_row, ledger)) {
    ReleaseStats release{.release = std::move(row.release)};
    std::map<Hash, uint64_t>& content = contents.emplace_back();
    for (const auto& [path, file] : tables.files.read(ledger_row, row.install)) {
      ++release.files;
      release.bytes += file.bytes;
      content[file.hash] = file.bytes;
    }
    for (const auto& [hash, bytes] : content) {
      uses[hash].bytes = bytes;
      ++uses[hash].releases;
      stats.bytes += bytes;
    }
    stats.releases.push_back(std::move(release));
  }
  for (size_t i = 0; i < contents.size(); ++i)
    for (const auto& [hash, bytes] : contents[i])
      if (uses.at(hash).releases == 1) stats.releases[i].own_bytes += bytes;
  uint64_t once = 0;
  for (const auto& [hash, use] : uses) once += use.bytes;
  stats.shared_bytes = stats.bytes - once;
  return stats;
}

}  // namespace

StoreCheck check_store(StoreTables& tables) {
  StoreCheck check;
  check_database(tables, check);
  check_trust(tables, check);
  look_at(check, "ledger", "all", kStartAnew, [&] {
    for (const auto& [id, name] : tables.trust.ledgers()) {
      const auto ledger = model::LedgerId::parse(name);
      if (ledger)
        check_ledger(tables, id, *ledger, check);
      else
        check.findings.push_back({"ledger", printable(name), "its name is damaged", kStartAnew});
    }
  });
  check_content(tables, check);
  return check;
}

StoreStats measure_store(StoreTables& tables) {
  const auto count = [&](const char* sql) { return number(tables.connection->execAndGet(sql)); };
  StoreStats stats;
  for (const auto& [id, name] : tables.trust.ledgers())
    if (const auto ledger = model::LedgerId::parse(name); ledger)
      stats.ledgers.push_back(ledger_stats(tables, id, *ledger));
  const std::vector<StoredRoot> roots = tables.trust.roots();
  stats.roots = roots.size();
  stats.root_version = roots.empty() ? 0 : roots.back().version;
  stats.freshness_sequence = tables.trust.sequence();
  if (const auto statements = tables.trust.statements(); !statements.empty())
    stats.vouched_ms = statements.rbegin()->second.accepted_ms;
  stats.clock = tables.trust.clock();
  stats.blobs = count("SELECT COUNT(*) FROM blobs");
  stats.segments = count("SELECT COUNT(*) FROM segments");
  stats.segment_bytes = count("SELECT COALESCE(SUM(bytes), 0) FROM segments");
  stats.shared_segment_bytes =
      count("SELECT COALESCE(SUM(bytes * (holders - 1)), 0) FROM segments");
  stats.stored_bytes = count(
      "SELECT (SELECT COALESCE(SUM(LENGTH(content)), 0) FROM segment_contents) + "
      "(SELECT COALESCE(SUM(LENGTH(content)), 0) FROM blob_contents)");
  stats.garbage_files = count(
      "SELECT COUNT(*) FROM files WHERE NOT EXISTS(SELECT 1 FROM releases WHERE "
      "releases.ledger = files.ledger AND install BETWEEN first_install AND last_install)");
  stats.page_bytes = count("PRAGMA page_size");
  stats.pages = count("PRAGMA page_count");
  stats.free_pages = count("PRAGMA freelist_count");
  return stats;
}

}  // namespace notp::store
