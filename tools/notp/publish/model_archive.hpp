// Reads a bundle archive (tar, gzipped or not) as a model's files, in memory only.
#pragma once

#include <memory>
#include <string>

#include "tools/notp/publish/model_scan.hpp"

namespace notp::cli {

inline constexpr uint64_t kArchiveFileBytesMax = 256ULL << 20;  // of the archive itself
inline constexpr size_t kArchiveEntriesMax = 200'000;  // limit for entries, and for folders
inline constexpr size_t kArchiveNameBytesMax = 1'024;
// Unpacked bytes for each byte of the archive, checked above a minimum of unpacked bytes.
inline constexpr uint64_t kArchiveRatioMax = 200;
inline constexpr uint64_t kArchiveRatioFromBytes = 64ULL << 20;

// Reads the whole archive. Every entry's name must lie inside: an entry with "..", or one that is
// neither a file nor a folder (links, devices), is refused by name, and so is an absolute name
// ("/data.json") unless all names are absolute, as `opa build` writes them. kInvalidModel, also
// over a limit; kIo.
Result<std::unique_ptr<ModelSource>> open_model_archive(const std::string& path);

}  // namespace notp::cli
