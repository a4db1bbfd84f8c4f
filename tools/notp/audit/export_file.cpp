#include "tools/notp/audit/export_file.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>

#include "common/storage/files.hpp"
#include "common/zstd.hpp"

namespace notp::cli {
namespace {

namespace fs = std::filesystem;

// Each piece is a zstd frame of its own; a file of several frames is one to every reader.
constexpr size_t kPieceBytes = 4 << 20;
constexpr int kLevel = 3;

fs::path part_of(const fs::path& path) { return path.string() + ".part"; }

std::unexpected<Error> io_failed(const fs::path& path, int error) {
  return fail(ErrorCode::kIo,
              fmt::format("cannot write {}: {}", path.empty() ? "standard output" : path.string(),
                          std::strerror(error)));
}

}  // namespace

Result<ExportFile> ExportFile::open(const fs::path& path, bool compress) {
  ExportFile out(path, compress);
  out.file_.reset(path.empty() ? stdout : std::fopen(part_of(path).c_str(), "wb"));
  if (!out.file_) return io_failed(path, errno);
  return out;
}

Result<void> ExportFile::flush() {
  if (waiting_.empty()) return {};
  Bytes piece = std::exchange(waiting_, {});
  if (compress_) {
    ZstdOptions options;
    options.level = kLevel;
    NOTP_ASSIGN(piece, zstd_compress(piece, {}, options));
  }
  if (std::fwrite(piece.data(), 1, piece.size(), file_.get()) != piece.size())
    return io_failed(path_, errno);
  bytes_ += piece.size();
  return {};
}

Result<void> ExportFile::write(ByteView line) {
  waiting_ += line;
  waiting_ += '\n';
  return waiting_.size() < kPieceBytes ? Result<void>() : flush();
}

Result<void> ExportFile::finish() {
  NOTP_TRY(flush());
  if (std::fflush(file_.get()) != 0) return io_failed(path_, errno);
  file_.reset();
  if (path_.empty()) return {};
  NOTP_TRY(sync_file(part_of(path_)));
  std::error_code error;
  fs::rename(part_of(path_), path_, error);
  if (error) return io_failed(path_, error.value());
  const fs::path folder = path_.parent_path();
  return sync_folder(folder.empty() ? fs::path(".") : folder);
}

}  // namespace notp::cli
