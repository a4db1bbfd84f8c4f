#include "notp-server/registry/restored_mark.hpp"

#include <fmt/format.h>

#include "common/json/json.hpp"
#include "common/storage/files.hpp"

namespace notp::registry {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMarkBytesMax = 4 << 10;

// Members of other programs are ignored: the mark only makes a registry more careful.
std::optional<int64_t> number_in(const json::value& document, const char* name) {
  const json::object* const object = document.if_object();
  const json::value* const found = object ? object->if_contains(name) : nullptr;
  if (found == nullptr || !found->is_int64() || found->get_int64() < 0) return std::nullopt;
  return found->get_int64();
}

}  // namespace

Result<std::optional<RestoredMark>> read_restored_mark(const fs::path& data_dir) {
  const fs::path file = data_dir / kRestoredMark;
  const auto text = read_file(file, kMarkBytesMax);
  if (!text && text.error().code == ErrorCode::kNotFound) return std::nullopt;
  if (!text) return std::unexpected(text.error());
  const auto document = parse_json(*text);
  const auto backup = document ? number_in(*document, "backup_made_ms") : std::nullopt;
  const auto restored = document ? number_in(*document, "restored_ms") : std::nullopt;
  const auto root = document ? number_in(*document, "root_version") : std::nullopt;
  if (!backup || !restored || !root)
    return fail(ErrorCode::kCorrupt,
                fmt::format("{} is not what a restore writes. It says that nodes may have releases "
                            "that this registry lacks: restore the backup again, or write {}",
                            file.string(),
                            R"({"backup_made_ms": 0, "restored_ms": 1, "root_version": 0} there)"));
  return RestoredMark{*backup, *restored, static_cast<uint64_t>(*root)};
}

Result<void> write_restored_mark(const fs::path& data_dir, const RestoredMark& mark) {
  const json::object document{{"backup_made_ms", mark.backup_made_ms},
                              {"restored_ms", mark.restored_ms},
                              {"root_version", mark.root_version}};
  return write_file(data_dir / kRestoredMark, json::serialize(document) + "\n", 0600);
}

Result<void> remove_restored_mark(const fs::path& data_dir) {
  std::error_code error;
  fs::remove(data_dir / kRestoredMark, error);
  if (error)
    return fail(ErrorCode::kIo, fmt::format("cannot remove {}: {}",
                                            (data_dir / kRestoredMark).string(), error.message()));
  return sync_folder(data_dir);
}

}  // namespace notp::registry
