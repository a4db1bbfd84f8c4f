#include "notp-server/backup/file_copy.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "common/descriptor.hpp"
#include "common/storage/files.hpp"

namespace notp::backup {
namespace {

namespace fs = std::filesystem;

constexpr size_t kStepBytes = 1 << 20;

std::unexpected<Error> io_error(std::string_view doing, const fs::path& path) {
  const int error = errno;
  return fail(error == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo,
              fmt::format("cannot {} {}: {}", doing, path.string(), std::strerror(error)));
}

Result<Descriptor> open_regular(const fs::path& path) {
  Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (file.get() < 0) return io_error("open", path);
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) return io_error("inspect", path);
  if (!S_ISREG(status.st_mode))
    return fail(ErrorCode::kIo, fmt::format("{} is not a regular file", path.string()));
  return file;
}

// Hands the content to `take` step by step.
template <typename Take>
Result<FileFacts> read_all(int file, const fs::path& path, Take&& take) {
  std::vector<char> buffer(kStepBytes);
  FileFacts facts;
  Sha256 hash;
  while (true) {
    const ssize_t got = ::read(file, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return io_error("read", path);
    if (got == 0) break;
    const ByteView step(buffer.data(), static_cast<size_t>(got));
    hash.update(step);
    facts.bytes += step.size();
    NOTP_TRY(take(step));
  }
  facts.sha256 = hash.finish();
  return facts;
}

Result<void> write_all(int file, ByteView content, const fs::path& path) {
  while (!content.empty()) {
    const ssize_t written = ::write(file, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return io_error("write", path);
    content.remove_prefix(static_cast<size_t>(written));
  }
  return {};
}

}  // namespace

Result<FileFacts> hash_file(const fs::path& path) {
  NOTP_ASSIGN(const Descriptor file, open_regular(path));
  return read_all(file.get(), path, [](ByteView) { return Result<void>(); });
}

Result<FileFacts> copy_hashed(const fs::path& from, const fs::path& to) {
  NOTP_ASSIGN(const Descriptor source, open_regular(from));
  const Descriptor target(::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (target.get() < 0) return io_error("create", to);
  NOTP_ASSIGN(const FileFacts facts, read_all(source.get(), from, [&](ByteView step) {
                return write_all(target.get(), step, to);
              }));
  if (::fsync(target.get()) != 0) return io_error("flush", to);
  return facts;
}

Result<FileFacts> link_hashed(const fs::path& from, const fs::path& to) {
  // Another file system, or one without links.
  if (::linkat(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), 0) != 0) return copy_hashed(from, to);
  return hash_file(to);
}

Result<void> sync_folders(const fs::path& folder) {
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error))
    if (it->is_directory(error) && !error) NOTP_TRY(sync_folder(it->path()));
  if (error)
    return fail(ErrorCode::kIo,
                fmt::format("cannot flush {}: {}", folder.string(), error.message()));
  return sync_folder(folder);
}

Result<std::vector<std::string>> files_below(const fs::path& folder) {
  std::vector<std::string> paths;
  std::error_code error;
  if (!fs::exists(folder, error) && !error) return paths;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    const fs::file_type type = it->symlink_status(error).type();
    // It was removed meanwhile.
    if (error == std::errc::no_such_file_or_directory || type == fs::file_type::not_found) {
      error.clear();
      continue;
    }
    if (error || type == fs::file_type::directory) continue;
    if (type != fs::file_type::regular)
      return fail(ErrorCode::kCorrupt,
                  fmt::format("{} is neither file nor folder: remove it", it->path().string()));
    paths.push_back(it->path().lexically_relative(folder).generic_string());
  }
  if (error)
    return fail(ErrorCode::kIo,
                fmt::format("cannot list {}: {}", folder.string(), error.message()));
  std::ranges::sort(paths);
  return paths;
}

Result<void> check_owner(const fs::path& folder, std::string_view command) {
  struct stat status{};
  if (::stat(folder.c_str(), &status) != 0) {
    if (errno == ENOENT) return {};
    return io_error("inspect", folder);
  }
  if (status.st_uid == ::geteuid()) return {};
  return fail(
      ErrorCode::kUsage,
      fmt::format("{} belongs to the user {}, and this process runs as {}: run 'notp-server "
                  "{}' as the registry's user",
                  folder.string(), status.st_uid, ::geteuid(), command));
}

}  // namespace notp::backup
