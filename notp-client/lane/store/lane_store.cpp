#include "notp-client/lane/store/lane_store.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "common/failpoint.hpp"
#include "common/storage/files.hpp"
#include "common/storage/private_files.hpp"
#include "common/storage/read_only_disk.hpp"
#include "common/storage/sqlite_attempt.hpp"
#include "notp-client/lane/store/lane_rows.hpp"

namespace notp::lane {
namespace {

constexpr std::string_view kAside = ".old-";
// SQLite finds a log by the name of its database: the database goes first.
constexpr const char* kFileParts[] = {"", "-wal", "-journal"};
constexpr ByteView kKeyCheck = "notp.lane.key.v1";

Result<void> rename_if_there(const std::filesystem::path& from, const std::filesystem::path& to) {
  std::error_code error;
  std::filesystem::rename(from, to, error);
  if (!error || error == std::errc::no_such_file_or_directory) return {};
  return fail(ErrorCode::kIo, fmt::format("cannot rename {} to {}: {}", from.string(), to.string(),
                                          error.message()));
}

// Best effort: a file that stays costs space alone.
void remove_oldest_aside(const std::filesystem::path& folder) {
  std::error_code ignored;
  std::vector<std::filesystem::path> kept;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string();
    const bool is_part = name.ends_with("-wal") || name.ends_with("-journal");
    if (name.starts_with(std::string(kLaneFile).append(kAside)) && !is_part)
      kept.push_back(entry.path());
  }
  std::ranges::sort(kept);
  for (size_t i = 0; i + limits::kLaneSetAsideMax < kept.size(); ++i)
    for (const char* part : kFileParts) std::filesystem::remove(kept[i].string() + part, ignored);
}

}  // namespace

LaneStore::LaneStore(LaneStoreOptions options) : options_(std::move(options)) {}

LaneStore::~LaneStore() = default;

Result<std::unique_ptr<LaneStore>> LaneStore::open(LaneStoreOptions options) {
  std::unique_ptr<LaneStore> store(new LaneStore(std::move(options)));
  auto opened = store->open_file();
  if (!opened && opened.error().code == ErrorCode::kCorrupt)
    opened = store->set_aside(opened.error());
  if (!opened) return std::unexpected(std::move(opened).error());
  return store;
}

Result<void> LaneStore::open_file() {
  NOTP_TRY(make_private_folder(options_.folder));
  is_volatile_ = is_on_read_only_disk(options_.folder);
  if (!is_volatile_) make_private_file(file());
  NOTP_ASSIGN(database_, open_database(file()));
  auto opened = attempt(fmt::format("cannot use {}", file().string()), [&] {
    make_lane_tables(*database_);
    SQLite::Transaction transaction(*database_);
    read_lane();
    transaction.commit();
  });
  if (!opened) database_.reset();
  return opened;
}

void LaneStore::read_lane() {
  const auto found = read_lane_row(*database_);
  const bool is_same =
      found && found->trust_domain == options_.trust_domain && found->lane == options_.lane;
  LaneRow row = is_same ? *found : LaneRow{};
  row.trust_domain = options_.trust_domain;
  row.lane = options_.lane;
  if (found && !is_same) {
    remove_revocations(*database_);
    remove_tokens(*database_);
    row.marks.trusted_ms = found->marks.trusted_ms;  // of the machine, not of a lane
  }
  if (!options_.seal) {
    if (!row.key_check.empty()) remove_tokens(*database_);
    row.key_check.clear();
  } else if (!row.key_check.empty()) {
    if (!options_.seal->open(row.key_check, kKeyCheck))
      refuse(ErrorCode::kConfig,
             "its tokens are sealed with another key than that of lane.key: give the agent the "
             "key that it had, or start it once with lane.persist: revocations, which removes "
             "them");
  } else {
    row.key_check = options_.seal->seal({}, kKeyCheck);
  }
  row.marks.has_tokens &= options_.seal.has_value() && is_same && !found->key_check.empty();
  marks_ = row.marks;
  generation_ = row.generation;
  key_check_ = row.key_check;
  put_lane(marks_);
}

void LaneStore::put_lane(const LaneMarks& marks) {
  put_lane_row(*database_, {options_.trust_domain, options_.lane, marks, generation_, key_check_});
}

Result<void> LaneStore::set_aside(const Error& damage) {
  database_.reset();
  const std::filesystem::path file = this->file();
  std::string aside;
  std::error_code ignored;
  for (TimeMs at_ms = options_.now_ms; aside.empty() || std::filesystem::exists(aside, ignored);
       ++at_ms)
    aside = fmt::format("{}{}{:014}", file.string(), kAside, at_ms);
  for (const char* part : kFileParts) NOTP_TRY(rename_if_there(file.string() + part, aside + part));
  NOTP_TRY(sync_folder(options_.folder));
  remove_oldest_aside(options_.folder);
  NOTP_TRY(open_file());
  damage_ = Error(damage).in(
      fmt::format("{} was damaged; it is kept as {}, and what is revoked is fetched again: until "
                  "then this node takes every token for revoked",
                  file.string(), std::filesystem::path(aside).filename().string()));
  return {};
}

Result<void> LaneStore::open_if_closed() { return database_ ? Result<void>() : open_file(); }

Result<void> LaneStore::load(const std::function<void(std::span<const feed::Event>)>& visit) {
  return attempt(fmt::format("cannot read {}", file().string()),
                 [&] { load_rows(*database_, options_.seal ? &*options_.seal : nullptr, visit); });
}

Result<void> LaneStore::write(std::span<const effect::Take> changes) {
  if (changes.empty()) return {};
  LaneMarks marks = changes.back().marks;
  // What is missing after a failure is missing behind it too.
  if (changes.back().losses != losses_) {
    marks.position.reset();
    marks.has_tokens = false;
  }
  auto written = open_if_closed();
  const int64_t generation = generation_;
  if (written) written = write_open(changes, marks);
  failpoint("lane.after_commit");
  if (written) {
    marks_ = std::move(marks);
    return {};
  }
  generation_ = generation;
  ++losses_;
  lists_ = {};  // another snapshot follows
  return written;
}

Result<void> LaneStore::write_open(std::span<const effect::Take> changes, const LaneMarks& marks) {
  return attempt(fmt::format("cannot write {}", file().string()), [&] {
    SQLite::Transaction transaction(*database_);
    const RecordSeal* const seal = options_.seal ? &*options_.seal : nullptr;
    std::optional<RowWriter> rows(std::in_place, *database_, seal, generation_, lists_);
    for (const effect::Take& take : changes) {
      if (const auto* events = std::get_if<change::Events>(&take.change)) {
        for (const feed::Event& event : events->events) rows->put(event);
      } else if (const auto* part = std::get_if<change::Rows>(&take.change)) {
        rows->put_part(part->snapshot);
      } else if (const auto* begins = std::get_if<change::SnapshotBegins>(&take.change)) {
        lists_.begin(begins->as_of);
        rows.emplace(*database_, seal, ++generation_, lists_);
      } else if (std::holds_alternative<change::SnapshotEnds>(take.change)) {
        remove_tokens_before(*database_, generation_);
        lists_ = {};
      }
    }
    put_lane(marks);
    failpoint("lane.before_commit");
    transaction.commit();
  });
}

Result<void> LaneStore::write_marks(const LaneMarks& marks) {
  NOTP_TRY(open_if_closed());
  NOTP_TRY(attempt(fmt::format("cannot write {}", file().string()), [&] { put_lane(marks); }));
  marks_ = marks;
  return {};
}

Result<bool> LaneStore::expire(int64_t now_s) {
  NOTP_TRY(open_if_closed());
  return attempt(fmt::format("cannot write {}", file().string()), [&] {
    SQLite::Transaction transaction(*database_);
    const bool more = remove_ended(*database_, now_s, limits::kLaneRowsExpired);
    // What ended by this time must not live again by an earlier one, after a restart.
    LaneMarks marks = marks_;
    marks.trusted_ms = std::max(marks.trusted_ms, now_s * 1'000);
    put_lane(marks);
    transaction.commit();
    marks_ = std::move(marks);
    return more;
  });
}

Result<void> reset_lane_clock(const std::filesystem::path& folder, TimeMs wall_ms) {
  const std::filesystem::path file = folder / kLaneFile;
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored)) return {};
  NOTP_ASSIGN(const auto database, open_database(file));
  return attempt(fmt::format("cannot use {}", file.string()), [&] {
    make_lane_tables(*database);
    auto row = read_lane_row(*database);
    if (!row) return;
    LaneMarks& marks = row->marks;
    marks.position.reset();
    marks.has_tokens = false;
    marks.trusted_ms = wall_ms;
    marks.signed_ms = std::min(marks.signed_ms, wall_ms);
    marks.heard_ms = std::min(marks.heard_ms, wall_ms);
    put_lane_row(*database, *row);
  });
}

}  // namespace notp::lane
