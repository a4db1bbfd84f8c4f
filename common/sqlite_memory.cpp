#include "common/sqlite_memory.hpp"

#include <fmt/format.h>
#include <sqlite3.h>

#include <array>
#include <cstring>

#include "common/files.hpp"

namespace notp {
namespace {

// sqlite.org/fileformat2.html, "The Write-Ahead Log".
constexpr size_t kLogHeaderBytes = 32;
constexpr size_t kFrameHeaderBytes = 24;
constexpr size_t kSummedHeaderBytes = 24;   // of the log's header
constexpr size_t kSummedFrameBytes = 8;     // of a frame's header
constexpr uint32_t kLogMagic = 0x377f0682;  // its last bit: the sums are over big-endian words
constexpr size_t kPageBytesMin = 512, kPageBytesMax = 65536;
constexpr size_t kDatabaseHeaderBytes = 100;
constexpr size_t kWriteVersionAt = 18, kReadVersionAt = 19, kPageBytesAt = 16;
constexpr char kWithoutLog = 1;

uint32_t big_endian(ByteView bytes, size_t at) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<uint8_t>(bytes[at + i]);
  return value;
}

uint32_t little_endian(ByteView bytes, size_t at) {
  uint32_t value = 0;
  for (size_t i = 4; i-- > 0;) value = value << 8 | static_cast<uint8_t>(bytes[at + i]);
  return value;
}

// The running checksum of a log: over pairs of words.
struct Sum {
  uint32_t first = 0, second = 0;

  void add(ByteView bytes, bool is_big_endian) {
    const auto word = is_big_endian ? big_endian : little_endian;
    for (size_t at = 0; at + 8 <= bytes.size(); at += 8) {
      first += word(bytes, at) + second;
      second += word(bytes, at + 4) + first;
    }
  }
  bool is_at(ByteView bytes, size_t at) const {
    return big_endian(bytes, at) == first && big_endian(bytes, at + 4) == second;
  }
};

size_t page_bytes_of(ByteView database) {
  const size_t bytes = static_cast<size_t>(static_cast<uint8_t>(database[kPageBytesAt])) << 8 |
                       static_cast<uint8_t>(database[kPageBytesAt + 1]);
  return bytes == 1 ? kPageBytesMax : bytes;
}

bool is_page_size(size_t bytes) {
  return bytes >= kPageBytesMin && bytes <= kPageBytesMax && (bytes & (bytes - 1)) == 0;
}

// A log that never got its first commit has nothing to say.
bool has_good_header(ByteView log) {
  if (log.size() < kLogHeaderBytes || (big_endian(log, 0) & ~1U) != kLogMagic) return false;
  Sum sum;
  sum.add(log.substr(0, kSummedHeaderBytes), (big_endian(log, 0) & 1U) != 0);
  return sum.is_at(log, kSummedHeaderBytes) && is_page_size(big_endian(log, 8));
}

// Frames of the log, in order, up to the last commit; empty when there is none.
struct Committed {
  std::vector<std::pair<uint32_t, size_t>> pages;  // number, and where its bytes begin in the log
  uint32_t page_count = 0;                         // of the database, after the last commit
};

Committed read_frames(ByteView log, size_t page_bytes) {
  const bool is_big = (big_endian(log, 0) & 1U) != 0;
  Sum sum;
  sum.add(log.substr(0, kSummedHeaderBytes), is_big);
  Committed out;
  size_t committed = 0;
  for (size_t at = kLogHeaderBytes; log.size() - at >= kFrameHeaderBytes + page_bytes;
       at += kFrameHeaderBytes + page_bytes) {
    const uint32_t page = big_endian(log, at);
    const bool same_salts = log.substr(at + 8, 8) == log.substr(16, 8);
    if (page == 0 || !same_salts) break;
    sum.add(log.substr(at, kSummedFrameBytes), is_big);
    sum.add(log.substr(at + kFrameHeaderBytes, page_bytes), is_big);
    if (!sum.is_at(log, at + 16)) break;
    out.pages.emplace_back(page, at + kFrameHeaderBytes);
    if (const uint32_t count = big_endian(log, at + 4); count != 0) {
      out.page_count = count;
      committed = out.pages.size();
    }
  }
  out.pages.resize(committed);
  return out;
}

Result<Bytes> read_if_there(const std::filesystem::path& file) {
  auto bytes = read_file(file, kMemoryDatabaseBytesMax);
  if (!bytes && bytes.error().code == ErrorCode::kNotFound) return Bytes();
  return bytes;
}

}  // namespace

Result<Bytes> recover_log(Bytes database, ByteView log) {
  if (has_good_header(log)) {
    const size_t page_bytes = big_endian(log, 8);
    if (database.size() >= kDatabaseHeaderBytes && page_bytes_of(database) != page_bytes)
      return fail(ErrorCode::kCorrupt,
                  "the log is of another database: its pages are of another "
                  "size");
    const Committed committed = read_frames(log, page_bytes);
    const uint64_t bytes = uint64_t{committed.page_count} * page_bytes;
    if (bytes > kMemoryDatabaseBytesMax)
      return fail(ErrorCode::kLimit, "the database is too large to be held in memory");
    if (committed.page_count != 0) database.resize(bytes);
    for (const auto& [page, at] : committed.pages)
      // A page that a later commit cut off is in no database.
      if (page <= committed.page_count)
        std::memcpy(database.data() + uint64_t{page - 1} * page_bytes, log.data() + at, page_bytes);
  }
  if (database.empty()) return database;
  if (database.size() < kDatabaseHeaderBytes)
    return fail(ErrorCode::kCorrupt, "the file is too short to be a database");
  database[kWriteVersionAt] = database[kReadVersionAt] = kWithoutLog;
  return database;
}

Result<std::unique_ptr<SQLite::Database>> read_into_memory(const std::filesystem::path& file) {
  const auto in = [&](Error error) {
    return std::unexpected(
        std::move(error).in(fmt::format("cannot read {} into memory", file.string())));
  };
  auto journal = read_if_there(file.string() + "-journal");
  if (!journal) return in(journal.error());
  if (!journal->empty())
    return in({ErrorCode::kCorrupt,
               "a journal is left that can only be undone on a disk that can be written",
               {}});
  auto main = read_if_there(file);
  if (!main) return in(main.error());
  auto log = read_if_there(file.string() + "-wal");
  if (!log) return in(log.error());
  auto bytes = recover_log(*std::move(main), *log);
  if (!bytes) return in(bytes.error());
  try {
    auto database = std::make_unique<SQLite::Database>(
        ":memory:", SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    if (bytes->empty()) return database;
    auto* copy = static_cast<unsigned char*>(sqlite3_malloc64(bytes->size()));
    if (copy == nullptr) return in({ErrorCode::kIo, "no memory is left", {}});
    std::memcpy(copy, bytes->data(), bytes->size());
    const auto size = static_cast<sqlite3_int64>(bytes->size());
    const int status =
        sqlite3_deserialize(database->getHandle(), "main", copy, size, size,
                            SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_RESIZEABLE);
    if (status != SQLITE_OK) throw SQLite::Exception(database->getHandle(), status);
    sqlite3_int64 limit = static_cast<sqlite3_int64>(kMemoryDatabaseBytesMax);
    sqlite3_file_control(database->getHandle(), "main", SQLITE_FCNTL_SIZE_LIMIT, &limit);
    return database;
  } catch (const SQLite::Exception& exception) {
    return in({ErrorCode::kIo, exception.what(), {}});
  }
}

}  // namespace notp
