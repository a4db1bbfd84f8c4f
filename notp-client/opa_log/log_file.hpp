// Follows the file that OPA's file_logger writes, through its rotation.
//
// The writer (lumberjack) appends whole lines to `path`. Before a line that would make it too large
// it renames the file to "name-2006-01-02T15-04-05.000.ext" and begins a new one; it deletes the
// oldest of those names. So a file is known by its inode, and the names give the order.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/bytes.hpp"
#include "common/descriptor.hpp"
#include "common/result.hpp"

namespace notp::opa_log {

// Where to go on reading.
struct FilePosition {
  uint64_t inode = 0;   // 0: from the oldest file on
  uint64_t offset = 0;  // behind the last line that was taken
  // XXH3-64 of the first bytes: an inode number is used again after its file is deleted.
  uint64_t head = 0;
  uint32_t head_bytes = 0;
  bool operator==(const FilePosition&) const = default;
};

// Read at once, if lines are shorter.
inline constexpr size_t kPieceBytes = 1 << 20;
// Of a line that is longer than kEventBytesMax.
inline constexpr size_t kLongLineHeadBytes = 64 << 10;

struct FileLine {
  size_t offset = 0, bytes = 0;  // in the piece's text, without its end
  bool is_long = false;          // only its first kLongLineHeadBytes
};

struct FilePiece {
  Bytes text;  // of the lines
  std::vector<FileLine> lines;
  FilePosition end;
  bool at_end = false;  // there is nothing more at the moment
  std::string trouble;  // for a person: lines are lost; empty: none

  ByteView of(const FileLine& line) const { return ByteView(text).substr(line.offset, line.bytes); }
};

// One thread. Memory: one piece, or one line of kEventBytesMax.
class LogFile {
 public:
  // The file need not exist.
  LogFile(std::filesystem::path path, FilePosition from);

  // Returns the lines from the last position on. A line without its end is left for later, unless
  // its file was renamed: then nothing more comes, and it is taken as it is. A file that became
  // shorter is read from its start. kIo: it cannot be read now; call again later.
  Result<FilePiece> read();

  // The next read() begins there: after a piece that could not be recorded.
  void go_back(const FilePosition& to);

 private:
  struct Candidate {
    std::filesystem::path file;
    uint64_t inode = 0;
  };

  // All files, the oldest first.
  Result<std::vector<Candidate>> candidates() const;
  Result<bool> open_first(std::string& trouble);
  Result<bool> open_next();
  Result<void> open(const Candidate& candidate, uint64_t offset);
  Result<bool> is_renamed() const;
  Result<bool> has_head(const Candidate& candidate) const;
  Result<size_t> append(Bytes& text, uint64_t offset, size_t bytes) const;
  Result<uint64_t> size() const;
  Result<void> take_lines(FilePiece& piece, bool is_last);
  Result<bool> take_long_line(FilePiece& piece, bool is_last);
  Result<FilePosition> position() const;

  const std::filesystem::path path_;
  FilePosition from_;  // until a file is open
  Descriptor file_;
  uint64_t inode_ = 0, offset_ = 0;
};

}  // namespace notp::opa_log
