// Selects the files of a folder, a Git commit or an archive that are the model. All three use the
// same rules, because a publish compares the files on disk with those in Git's history.
//
// A publisher's repository has more files than the model, and a registry accepts nothing else. So
// other files are left out here, and those that look like a mistake are reported.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/model/validate.hpp"

namespace notp::cli {

inline constexpr std::string_view kBundleManifestPath = ".manifest";
// Limit of entries that are looked at, including those left out.
inline constexpr size_t kScanEntriesMax = 1'000'000;
// All their paths together: links and Git trees can repeat long ones at no cost to their author.
inline constexpr size_t kScanPathBytesMax = 512 << 20;
inline constexpr size_t kScanDepthMax = 128;  // folders
inline constexpr size_t kLinkHopsMax = 40;    // links followed to reach a file, as in Linux
inline constexpr size_t kLeftOutListedMax = 10'000;

// A source of files. Paths are relative to its top, spelled as in the source; "" is the top.
class ModelSource {
 public:
  enum class Kind : uint8_t { kFile, kFolder, kLink, kOther };
  struct Entry {
    std::string name;
    Kind kind = Kind::kFile;
  };
  struct File {
    model::FileEntry entry;
    model::Content content;  // null when the source need not read it again
  };

  virtual ~ModelSource() = default;
  // In any order. Called for a folder's parents before the folder.
  virtual Result<std::vector<Entry>> list(const std::string& folder) = 0;
  virtual Result<std::string> link_target(const std::string& path) = 0;
  // Reads a file. kLimit when it has more than `bytes_max`.
  virtual Result<File> read(const std::string& path, uint64_t bytes_max) = 0;
  // Reads the content, even if it was read before. kLimit.
  virtual Result<model::Content> text(const std::string& path, uint64_t bytes_max) = 0;
  // A link out of the source points to a folder with policies or data.
  virtual bool leads_to_policies(const std::string& /*link*/) { return false; }
};

struct ScanOptions {
  std::string name;         // of the model, when a bundle's manifest has none
  bool is_bundle = false;   // without a manifest.json: a bundle, with or without a .manifest
  bool needs_blobs = true;  // return content, not only hashes
  bool needs_notes = true;  // return warnings, and what is left out
};

struct LeftOut {
  std::string path;  // trailing '/': a folder with everything in it
  std::string reason;
};

struct ModelScan {
  model::Files files;  // acceptable ones
  model::BlobMap blobs;
  std::vector<model::ModelFinding>
      findings;  // paths, links and sizes: errors that make the model invalid
  std::vector<model::ModelFinding> warnings;  // left out, perhaps by mistake
  std::vector<LeftOut> left_out;              // sorted; at most kLeftOutListedMax
  uint64_t left_out_count = 0;
};

// kInvalidModel over kModelFilesMax, kModelBytesMax, kScanEntriesMax or kScanPathBytesMax, or with
// a .notpignore or .manifest that cannot be read; otherwise the source's errors.
Result<ModelScan> scan_model(ModelSource& source, const ScanOptions& options);

}  // namespace notp::cli
