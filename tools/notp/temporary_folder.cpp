#include "tools/notp/temporary_folder.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace notp::cli {

namespace fs = std::filesystem;

Result<TemporaryFolder> TemporaryFolder::make(const std::string& purpose) {
  std::error_code error;
  std::string pattern =
      (fs::temp_directory_path(error) / fmt::format("notp-{}.XXXXXX", purpose)).string();
  if (error || ::mkdtemp(pattern.data()) == nullptr)
    return fail(ErrorCode::kIo, fmt::format("cannot make a temporary folder {}: {}", pattern,
                                            std::strerror(errno)));
  return TemporaryFolder(pattern);
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  if (!path_.empty()) fs::remove_all(path_, ignored);
}

}  // namespace notp::cli
