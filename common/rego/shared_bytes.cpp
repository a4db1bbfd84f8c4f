#include "common/rego/shared_bytes.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstring>

namespace notp::rego {
namespace {

std::unexpected<Error> refused(std::string_view step) {
  return fail(ErrorCode::kIo,
              fmt::format("cannot make a shared memory file: {}: {}", step, std::strerror(errno)));
}

bool write_all(int fd, ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

}  // namespace

Result<SharedBytesPtr> SharedBytes::create(const char* name, std::span<const ByteView> pieces) {
  Descriptor fd(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd.is_open()) return refused("memfd_create");
  size_t size = 0;
  for (const ByteView piece : pieces) {
    if (!write_all(fd.get(), piece)) return refused("write");
    size += piece.size();
  }
  if (::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0)
    return refused("F_ADD_SEALS");
  void* const mapped = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd.get(), 0);
  if (mapped == MAP_FAILED) return refused("mmap");
  ::madvise(mapped, size, MADV_DONTDUMP);
  return SharedBytesPtr(
      new SharedBytes(std::move(fd), ByteView(static_cast<const char*>(mapped), size)));
}

SharedBytes::~SharedBytes() { ::munmap(const_cast<char*>(view_.data()), view_.size()); }

}  // namespace notp::rego
