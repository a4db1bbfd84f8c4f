#include "common/storage/private_files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/storage/files.hpp"

namespace notp {
namespace {

void take_from_others(const std::filesystem::path& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) == 0 && (status.st_mode & 077) != 0)
    static_cast<void>(::chmod(path.c_str(), status.st_mode & 0700));
}

}  // namespace

Result<void> make_private_folder(const std::filesystem::path& folder) {
  NOTP_TRY(make_folders(folder));
  take_from_others(folder);
  return {};
}

void make_private_file(const std::filesystem::path& file) {
  if (const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
      fd >= 0)
    ::close(fd);
  else
    take_from_others(file);
}

}  // namespace notp
