#include "notp-server/registry/registry_lock.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>

#include <cerrno>
#include <charconv>
#include <cstring>

#include "common/storage/files.hpp"
#include "common/storage/read_only_disk.hpp"

namespace notp::registry {

Result<RegistryLock> try_registry_lock(const std::filesystem::path& data_dir) {
  constexpr size_t kTextBytesMax = 64;
  RegistryLock out;
  if (is_on_read_only_disk(data_dir)) return out;
  const std::filesystem::path path = data_dir / kLockFile;
  out.file = Descriptor(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (out.file.get() < 0) {
    const int error = errno;
    return fail(error == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo,
                fmt::format("cannot open {}: {}", path.string(), std::strerror(error)));
  }
  if (::flock(out.file.get(), LOCK_EX | LOCK_NB) == 0) return out;
  out.is_running = true;
  NOTP_ASSIGN(const Bytes text, read_file(path, kTextBytesMax));
  std::from_chars(text.data(), text.data() + text.size(), out.registry);
  return out;
}

}  // namespace notp::registry
