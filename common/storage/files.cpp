#include "common/storage/files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "common/descriptor.hpp"

namespace notp {
namespace {

std::unexpected<Error> io_error(std::string_view doing, const std::filesystem::path& path) {
  const int error = errno;
  return fail(error == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo,
              fmt::format("cannot {} {}: {}", doing, path.string(), std::strerror(error)));
}

Result<void> write_all(int fd, ByteView content, const std::filesystem::path& path) {
  while (!content.empty()) {
    const ssize_t written = ::write(fd, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return io_error("write", path);
    content.remove_prefix(static_cast<size_t>(written));
  }
  return {};
}

// Creates a new file with an unpredictable name, which cannot be occupied by a file or link in
// advance.
int create_beside(const std::filesystem::path& path, unsigned mode, std::string& name) {
  constexpr int kTries = 8;
  for (int i = 0; i < kTries; ++i) {
    uint64_t salt = 0;
    if (::getrandom(&salt, sizeof salt, 0) != static_cast<ssize_t>(sizeof salt)) return -1;
    name = fmt::format("{}.new.{:016x}", path.string(), salt);
    const int fd = ::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd >= 0 || errno != EEXIST) return fd;
  }
  return -1;
}

Result<void> sync(const std::filesystem::path& path, int flags) {
  const Descriptor open_one(::open(path.c_str(), O_RDONLY | O_CLOEXEC | flags));
  if (open_one.get() < 0) return io_error("open", path);
  if (::fsync(open_one.get()) != 0) return io_error("flush", path);
  return {};
}

}  // namespace

Result<Bytes> read_file(const std::filesystem::path& path, size_t bytes_max) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return io_error("open", path);
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) return io_error("inspect", path);
  if (!S_ISREG(status.st_mode))
    return fail(ErrorCode::kIo, fmt::format("{} is not a regular file", path.string()));
  const auto too_large = [&] {
    return fail(ErrorCode::kLimit,
                fmt::format("{} is larger than the {} bytes allowed", path.string(), bytes_max));
  };
  if (static_cast<uint64_t>(status.st_size) > bytes_max) return too_large();
  Bytes content(static_cast<size_t>(status.st_size), '\0');
  size_t size = 0;
  while (true) {
    if (size == content.size()) content.resize(size + 4096);
    const ssize_t got = ::read(file.get(), content.data() + size, content.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return io_error("read", path);
    if (got == 0) break;
    size += static_cast<size_t>(got);
    if (size > bytes_max) return too_large();
  }
  content.resize(size);
  return content;
}

Result<void> write_file(const std::filesystem::path& path, ByteView content, unsigned mode) {
  std::string temporary;
  {
    const Descriptor file(create_beside(path, mode, temporary));
    if (file.get() < 0) return io_error("create", temporary);
    Result<void> written;
    // A private file is private whatever the umask of this process.
    if ((mode & 077) == 0 && ::fchmod(file.get(), mode) != 0)
      written = io_error("set the mode of", temporary);
    if (written) written = write_all(file.get(), content, temporary);
    if (written && ::fsync(file.get()) != 0) written = io_error("flush", temporary);
    if (!written) {
      ::unlink(temporary.c_str());
      return written;
    }
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    auto error = io_error("replace", path);
    ::unlink(temporary.c_str());
    return error;
  }
  return sync_folder(path.has_parent_path() ? path.parent_path() : ".");
}

Result<void> sync_folder(const std::filesystem::path& folder) { return sync(folder, O_DIRECTORY); }

Result<void> sync_file(const std::filesystem::path& file) { return sync(file, 0); }

Result<void> make_folders(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error)
    return fail(ErrorCode::kIo,
                fmt::format("cannot create folder {}: {}", folder.string(), error.message()));
  return {};
}

}  // namespace notp
