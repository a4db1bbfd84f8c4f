#include "common/storage/read_only_disk.hpp"

#include <sys/statvfs.h>

namespace notp {

bool is_on_read_only_disk(const std::filesystem::path& folder) {
  struct statvfs facts{};
  return ::statvfs(folder.c_str(), &facts) == 0 && (facts.f_flag & ST_RDONLY) != 0;
}

}  // namespace notp
