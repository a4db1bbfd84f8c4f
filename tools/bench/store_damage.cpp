#include "tools/bench/store_damage.hpp"

#include <fmt/format.h>

#include <fstream>

#include "common/limits.hpp"
#include "common/storage/files.hpp"

namespace notp::bench {

Result<void> damage(const std::filesystem::path& store, ByteView content) {
  const auto path = store / "agent.db";
  NOTP_ASSIGN(const Bytes bytes, read_file(path, 2 * limits::kModelBytesMax));
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  size_t found = 0;
  for (size_t at = bytes.find(content); at != bytes.npos; at = bytes.find(content, at + 1)) {
    const size_t last = at + content.size() - 1;
    file.seekp(static_cast<std::streamoff>(last));
    file.put(static_cast<char>(bytes[last] ^ 1));
    ++found;
  }
  file.close();
  if (!file) return fail(ErrorCode::kIo, fmt::format("cannot write {}", path.string()));
  if (found == 0) return fail(ErrorCode::kNotFound, "the agent's store holds no such content");
  return {};
}

}  // namespace notp::bench
