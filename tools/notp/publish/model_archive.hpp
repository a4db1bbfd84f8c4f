// A bundle archive (tar, gzip or not) as a model's files, in memory alone.
#pragma once

#include <memory>
#include <string>

#include "tools/notp/publish/model_scan.hpp"

namespace notp {

inline constexpr uint64_t kArchiveFileBytesMax = 256ULL << 20;  // of the archive itself
inline constexpr size_t kArchiveEntriesMax = 200'000;           // and so many folders
inline constexpr size_t kArchiveNameBytesMax = 1'024;
// Unpacked bytes for each byte of the archive, from so many unpacked ones on.
inline constexpr uint64_t kArchiveRatioMax = 200;
inline constexpr uint64_t kArchiveRatioFromBytes = 64ULL << 20;

// Reads the whole archive. Of each entry the name must lie inside: ".." and what is neither a file
// nor a folder (links, devices) is refused by its name, and a name from the root ("/data.json")
// when not all names are, as `opa build` writes them. kInvalidModel, also over a limit; kIo.
Result<std::unique_ptr<ModelSource>> open_model_archive(const std::string& path);

}  // namespace notp
