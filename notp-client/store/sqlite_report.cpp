// The part of SqliteStore that tells a person how the store is.
#include <fmt/format.h>

#include <set>

#include "notp-client/store/sqlite_attempt.hpp"
#include "notp-client/store/sqlite_rows.hpp"
#include "notp-client/store/sqlite_store.hpp"

namespace notp {
namespace {

using sqlite_columns::view;
using sqlite_store::attempt;
using sqlite_store::number;

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

// What `body` refuses or SQLite cannot read becomes a finding.
template <typename Body>
void look_at(StoreCheck& check, std::string_view part, std::string_view subject, const char* advice,
             Body&& body) {
  const auto seen = attempt("cannot read it", std::forward<Body>(body));
  if (!seen)
    check.findings.push_back(
        {std::string(part), std::string(subject), seen.error().message, advice});
}

}  // namespace

StoreCheck SqliteStore::check() {
  StoreCheck check;
  check_database(check);
  check_trust(check);
  look_at(check, "ledger", "all", kStartAnew, [&] {
    for (const auto& [id, name] : ledger_names()) {
      const auto ledger = LedgerId::parse(name);
      if (ledger)
        check_ledger(id, *ledger, check);
      else
        check.findings.push_back({"ledger", printable(name), "its name is damaged", kStartAnew});
    }
  });
  check_content(check);
  return check;
}

void SqliteStore::check_database(StoreCheck& check) {
  look_at(check, "database", kStoreFile, kStartAnew, [&] {
    SQLite::Statement query(database(),
                            fmt::format("PRAGMA integrity_check({})", kStructureFindingsMax));
    while (query.executeStep()) {
      const std::string line = query.getColumn(0).getString();
      if (line != "ok")
        check.findings.push_back({"database", kStoreFile, printable(line), kStartAnew});
    }
    SQLite::Statement lost(database(), "PRAGMA foreign_key_check");
    while (lost.executeStep()) {
      const std::string table = lost.getColumn(0).getString();
      check.findings.push_back({"database", table, "a row belongs to no ledger",
                                table == "listed" ? kStartAnew : kFetchHead});
    }
  });
}

void SqliteStore::check_trust(StoreCheck& check) {
  look_at(check, "root", "chain", kStartAnew, [&] { read_roots(); });
  look_at(check, "freshness", "sequence", kStartAnew, [&] { read_sequence(); });
  look_at(check, "clock", "marks of time", kStartAnew, [&] { read_clock(); });
  look_at(check, "freshness", "statements", kStartAnew, [&] {
    const auto all = database().execAndGet("SELECT COUNT(*) FROM statements").getInt64();
    if (static_cast<size_t>(all) != read_statements().size())
      check.findings.push_back({"freshness", "statements",
                                "a stored statement is damaged and vouches for nothing",
                                "start the agent while its registry can be reached: the next "
                                "statement takes its place"});
  });
}

void SqliteStore::check_ledger(int64_t ledger_id, const LedgerId& ledger, StoreCheck& check) {
  const auto subject_of = [&](uint64_t version) {
    return fmt::format("{} v{}", ledger.text(), version);
  };
  Floor floor;
  look_at(check, "ledger", ledger.text(), kStartAnew, [&] {
    floor = read_floor(ledger_id);
    read_listed(ledger_id, ledger);
  });
  look_at(check, "release", ledger.text(), kFetchHead, [&] {
    const std::vector<ReleaseRow> rows = read_releases(ledger_id, ledger);
    std::set<int64_t> good;
    for (const ReleaseRow& row : rows) good.insert(row.install);
    SQLite::Statement all(database(), "SELECT install, version FROM releases WHERE ledger = ?");
    all.bind(1, ledger_id);
    for (; all.executeStep(); ++check.releases)
      if (!good.contains(all.getColumn(0).getInt64()))
        check.findings.push_back({"release", subject_of(number(all.getColumn(1))),
                                  "its row is damaged and is not used", kFetchHead});
    if (!rows.empty() && rows.front().release.ref.version < floor.version)
      check.findings.push_back({"release", subject_of(floor.version),
                                "it is the newest that was stored, and is not there", kFetchHead});
    for (const ReleaseRow& row : rows) {
      const StoredRelease& release = row.release;
      const Floor place{release.ref.epoch, release.ref.version, release.ref.release_hash};
      const bool newest = place.epoch == floor.epoch && place.version == floor.version;
      if (std::pair(place.epoch, place.version) > std::pair(floor.epoch, floor.version) ||
          (newest && place.release_hash != floor.release_hash))
        check.findings.push_back({"ledger", subject_of(release.ref.version),
                                  "it is not what the floor of its ledger says", kStartAnew});
      const Result<Tree> tree = Tree::make(read_files(ledger_id, row.install));
      if (!tree || tree->content_root() != release.ref.content_root)
        check.findings.push_back({"release", subject_of(release.ref.version),
                                  "its stored file list does not give its content root",
                                  kOldRelease});
    }
  });
}

void SqliteStore::check_content(StoreCheck& check) {
  look_at(check, "content", "all", kFetchHead, [&] {
    check.blobs = number(database().execAndGet("SELECT COUNT(*) FROM blobs"));
    for (const BlobRows::Damage& blob : contents().check_blobs())
      check.findings.push_back({"content", users_of(blob.id), blob.problem, kOldRelease});
  });
  look_at(check, "segment", "all", kFetchHead, [&] {
    check.segments = number(database().execAndGet("SELECT COUNT(*) FROM segments"));
    for (const BlobRows::Damage& segment : contents().check_segments())
      check.findings.push_back({"segment", fmt::format("{}", segment.id), segment.problem,
                                segment.miscounted ? kCountsItself : kOldRelease});
  });
}

// Where a kept release has it, for a person: the newest such place of each ledger.
std::string SqliteStore::users_of(int64_t blob) {
  SQLite::Statement query(database(),
                          "SELECT name, CAST(path AS TEXT), MAX(releases.version) FROM files "
                          "JOIN ledgers ON ledgers.id = files.ledger "
                          "JOIN releases ON releases.ledger = files.ledger "
                          "AND install BETWEEN first_install AND last_install "
                          "WHERE blob = ? GROUP BY name");
  query.bind(1, blob);
  std::string users;
  while (query.executeStep())
    users += fmt::format("{}{} v{} {}", users.empty() ? "" : ", ", query.getColumn(0).getString(),
                         query.getColumn(2).getInt64(), printable(query.getColumn(1).getString()));
  return users.empty() ? "no kept release" : users;
}

std::vector<std::pair<int64_t, std::string>> SqliteStore::ledger_names() {
  std::vector<std::pair<int64_t, std::string>> names;
  SQLite::Statement query(database(), "SELECT id, name FROM ledgers ORDER BY name");
  while (query.executeStep())
    names.emplace_back(query.getColumn(0).getInt64(), query.getColumn(1).getString());
  return names;
}

Result<StoreStats> SqliteStore::stats() {
  return attempt("cannot read the store", [&] {
    const auto count = [&](const char* sql) { return number(database().execAndGet(sql)); };
    StoreStats stats;
    for (const auto& [id, name] : ledger_names())
      if (const auto ledger = LedgerId::parse(name); ledger)
        stats.ledgers.push_back(ledger_stats(id, *ledger));
    const std::vector<StoredRoot> roots = read_roots();
    stats.roots = roots.size();
    stats.root_version = roots.empty() ? 0 : roots.back().version;
    stats.freshness_sequence = read_sequence();
    if (const auto statements = read_statements(); !statements.empty())
      stats.vouched_ms = statements.rbegin()->second.accepted_ms;
    stats.clock = read_clock();
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
    stats.log_bytes = log_bytes();
    return stats;
  });
}

LedgerStats SqliteStore::ledger_stats(int64_t ledger_id, const LedgerId& ledger) {
  LedgerStats stats;
  stats.ledger = ledger;
  stats.floor = read_floor(ledger_id);
  stats.listed = read_listed(ledger_id, ledger);
  struct Use {
    uint64_t bytes = 0;
    size_t releases = 0;
  };
  std::map<Hash, Use> uses;
  std::vector<std::map<Hash, uint64_t>> contents;
  for (ReleaseRow& row : read_releases(ledger_id, ledger)) {
    ReleaseStats release{.release = std::move(row.release)};
    std::map<Hash, uint64_t>& content = contents.emplace_back();
    for (const auto& [path, file] : read_files(ledger_id, row.install)) {
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

}  // namespace notp
