#include "notp-client/opa_log/log_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "notp-client/opa_log/opa_event.hpp"

namespace notp::opa_log {
namespace {

constexpr size_t kHeadBytesMax = 64;  // holds the time of the first line
constexpr std::string_view kBackupTime = "0000-00-00T00-00-00.000";

std::unexpected<Error> io_error(std::string_view what, const std::filesystem::path& file) {
  return fail(ErrorCode::kIo,
              fmt::format("cannot {} OPA's log {}: {}", what, file.string(), std::strerror(errno)));
}

bool is_backup_time(std::string_view text) {
  if (text.size() != kBackupTime.size()) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool is_digit = text[i] >= '0' && text[i] <= '9';
    if (kBackupTime[i] == '0' ? !is_digit : text[i] != kBackupTime[i]) return false;
  }
  return true;
}

// nullopt: there is no such regular file.
std::optional<uint64_t> inode_of(const std::filesystem::path& file) {
  struct stat info{};
  if (::stat(file.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return std::nullopt;
  return info.st_ino;
}

Result<size_t> read_at(int file, char* into, size_t bytes, uint64_t offset,
                       const std::filesystem::path& path) {
  size_t got = 0;
  while (got < bytes) {
    const ssize_t more = ::pread(file, into + got, bytes - got, static_cast<off_t>(offset + got));
    if (more < 0 && errno == EINTR) continue;
    if (more < 0) return io_error("read", path);
    if (more == 0) break;
    got += static_cast<size_t>(more);
  }
  return got;
}

Result<uint64_t> head_hash(int file, size_t bytes, const std::filesystem::path& path) {
  std::array<char, kHeadBytesMax> head{};
  NOTP_ASSIGN(const size_t got, read_at(file, head.data(), std::min(bytes, head.size()), 0, path));
  return XXH3_64bits(head.data(), got);
}

}  // namespace

LogFile::LogFile(std::filesystem::path path, FilePosition from)
    : path_(std::move(path)), from_(from) {}

Result<std::vector<LogFile::Candidate>> LogFile::candidates() const {
  const std::string stem = path_.stem().string() + "-", extension = path_.extension().string();
  std::vector<Candidate> found;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(path_.parent_path(), error), end;
       !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (!name.starts_with(stem) || !name.ends_with(extension) ||
        !is_backup_time(std::string_view(name).substr(
            stem.size(), name.size() - std::min(name.size(), stem.size() + extension.size()))))
      continue;
    if (const auto inode = inode_of(entry->path())) found.push_back({entry->path(), *inode});
  }
  if (error && error != std::errc::no_such_file_or_directory)
    return fail(ErrorCode::kIo, fmt::format("cannot list the folder of OPA's log {}: {}",
                                            path_.string(), error.message()));
  // The time in the names orders them.
  std::ranges::sort(found, {}, [](const Candidate& one) { return one.file.filename().string(); });
  if (const auto inode = inode_of(path_)) found.push_back({path_, *inode});
  return found;
}

Result<bool> LogFile::has_head(const Candidate& candidate) const {
  const Descriptor file(::open(candidate.file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.is_open()) return io_error("open", candidate.file);
  NOTP_ASSIGN(const uint64_t hash, head_hash(file.get(), from_.head_bytes, candidate.file));
  return from_.head_bytes == 0 || hash == from_.head;
}

Result<void> LogFile::open(const Candidate& candidate, uint64_t offset) {
  Descriptor file(::open(candidate.file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.is_open()) return io_error("open", candidate.file);
  struct stat info{};
  if (::fstat(file.get(), &info) != 0) return io_error("read", candidate.file);
  // Renamed between the listing and this call: the next call finds both.
  if (info.st_ino != candidate.inode)
    return fail(ErrorCode::kIo, "OPA's log was rotated while it was opened");
  file_ = std::move(file);
  inode_ = candidate.inode;
  offset_ = offset;
  return {};
}

Result<bool> LogFile::open_first(std::string& trouble) {
  NOTP_ASSIGN(const auto files, candidates());
  for (const Candidate& candidate : files) {
    if (from_.inode == 0 || candidate.inode != from_.inode) continue;
    NOTP_ASSIGN(const bool is_same, has_head(candidate));
    if (!is_same) continue;
    NOTP_TRY(open(candidate, from_.offset));
    return true;
  }
  if (files.empty()) return false;
  if (from_.inode != 0)
    trouble =
        fmt::format("the file of OPA's log that was being read is gone; reading goes on with {}",
                    files.front().file.string());
  NOTP_TRY(open(files.front(), 0));
  return true;
}

Result<bool> LogFile::open_next() {
  NOTP_ASSIGN(const auto files, candidates());
  const auto ours = std::ranges::find(files, inode_, &Candidate::inode);
  // The oldest is deleted first: if ours is, all others are newer.
  const auto next = ours == files.end() ? files.begin() : std::next(ours);
  if (next == files.end()) return false;
  NOTP_TRY(open(*next, 0));
  return true;
}

Result<bool> LogFile::is_renamed() const { return inode_of(path_) != inode_; }

Result<uint64_t> LogFile::size() const {
  struct stat info{};
  if (::fstat(file_.get(), &info) != 0) return io_error("read", path_);
  return static_cast<uint64_t>(info.st_size);
}

Result<size_t> LogFile::append(Bytes& text, uint64_t offset, size_t bytes) const {
  const size_t before = text.size();
  text.resize(before + bytes);
  auto got = read_at(file_.get(), text.data() + before, bytes, offset, path_);
  text.resize(before + got.value_or(0));
  return got;
}

Result<FilePosition> LogFile::position() const {
  FilePosition at{.inode = inode_, .offset = offset_};
  at.head_bytes = static_cast<uint32_t>(std::min<uint64_t>(offset_, kHeadBytesMax));
  NOTP_ASSIGN(at.head, head_hash(file_.get(), at.head_bytes, path_));
  return at;
}

void LogFile::go_back(const FilePosition& to) {
  from_ = to;
  file_.close();
  inode_ = offset_ = 0;
}

// Reads to the end of a line that is too long, and keeps its first bytes. False: its end is not
// there yet.
Result<bool> LogFile::take_long_line(FilePiece& piece, bool is_last) {
  Bytes part;
  uint64_t at = offset_ + piece.text.size();
  for (size_t end = Bytes::npos; end == Bytes::npos;) {
    part.clear();
    NOTP_ASSIGN(const size_t got, append(part, at, kPieceBytes));
    end = part.find('\n');
    if (end == Bytes::npos && got == 0 && !is_last) return false;
    if (end == Bytes::npos && got == 0) break;
    at += end == Bytes::npos ? got : end + 1;
  }
  piece.text.resize(kLongLineHeadBytes);
  piece.lines.push_back({0, kLongLineHeadBytes, true});
  offset_ = at;
  return true;
}

Result<void> LogFile::take_lines(FilePiece& piece, bool is_last) {
  size_t end = Bytes::npos;
  for (size_t want = kPieceBytes;; want = kEventBytesMax + 1 - piece.text.size()) {
    NOTP_ASSIGN(const size_t got, append(piece.text, offset_ + piece.text.size(), want));
    end = piece.text.rfind('\n');
    if (end != Bytes::npos || got < want) break;
    if (piece.text.size() > kEventBytesMax) {
      NOTP_ASSIGN(const bool is_taken, take_long_line(piece, is_last));
      if (!is_taken) piece.text.clear();
      return {};
    }
  }
  // What stands behind the last end of a line in a file that gets no more.
  if (end == Bytes::npos && is_last && !piece.text.empty()) end = piece.text.size();
  if (end == Bytes::npos) {
    piece.text.clear();
    return {};
  }
  piece.text.resize(end);
  offset_ += end + 1;
  for (size_t at = 0; at <= piece.text.size();) {
    const size_t stop = std::min(piece.text.find('\n', at), piece.text.size());
    if (stop > at) piece.lines.push_back({at, stop - at, false});
    at = stop + 1;
  }
  return {};
}

Result<FilePiece> LogFile::read() {
  FilePiece piece;
  if (!file_.is_open()) {
    NOTP_ASSIGN(const bool is_there, open_first(piece.trouble));
    if (!is_there) {
      piece.at_end = true;
      piece.end = from_;
      return piece;
    }
  }
  // Asked before reading: what is read afterwards is all that the file will ever have.
  NOTP_ASSIGN(const bool is_last, is_renamed());
  NOTP_ASSIGN(const uint64_t bytes, size());
  if (bytes < offset_ && !is_last) {
    piece.trouble =
        fmt::format("OPA's log {} became shorter; it is read from its start", path_.string());
    offset_ = 0;
  }
  NOTP_TRY(take_lines(piece, is_last));
  if (piece.lines.empty()) {
    piece.at_end = true;
    if (is_last) {
      NOTP_ASSIGN(const bool goes_on, open_next());
      piece.at_end = !goes_on;
    }
  }
  NOTP_ASSIGN(piece.end, position());
  return piece;
}

}  // namespace notp::opa_log
