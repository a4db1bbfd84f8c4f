// Which files of a folder, of a Git commit or of an archive are the model. One set of rules for all
// of them: what a publish finds on the disk and what it finds in Git's history must be equal.
//
// A publisher's repository has more in it than a model, and a registry accepts nothing else. So
// what is no part of a model is left out here, and what looks as if it was meant to be one is
// named.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/model/validate.hpp"

namespace notp {

inline constexpr std::string_view kBundleManifestPath = ".manifest";
// Entries that are looked at, those that are left out included.
inline constexpr size_t kScanEntriesMax = 1'000'000;
inline constexpr size_t kScanDepthMax = 128;  // folders
inline constexpr size_t kLinkHopsMax = 40;  // links on the way from one to a file, as Linux has it
inline constexpr size_t kLeftOutListedMax = 10'000;

// Where files lie. Paths are relative to its top, as the source itself spells them; "" is the top.
class ModelSource {
 public:
  enum class Kind : uint8_t { kFile, kFolder, kLink, kOther };
  struct Entry {
    std::string name;
    Kind kind = Kind::kFile;
  };
  struct File {
    FileEntry entry;
    Content content;  // null where the source need not read it again
  };

  virtual ~ModelSource() = default;
  // In any order. Asked of the folders above before of one itself.
  virtual Result<std::vector<Entry>> list(const std::string& folder) = 0;
  virtual Result<std::string> link_target(const std::string& path) = 0;
  // kLimit when it has more than `bytes_max`.
  virtual Result<File> read(const std::string& path, uint64_t bytes_max) = 0;
  // The content, whatever was read before. kLimit.
  virtual Result<Content> text(const std::string& path, uint64_t bytes_max) = 0;
  // A link that leads out of the source leads to a folder with policies or data.
  virtual bool leads_to_policies(const std::string& /*link*/) { return false; }
};

struct ScanOptions {
  std::string name;         // of the model, where a bundle's manifest has none
  bool is_bundle = false;   // without a manifest.json it is a bundle, with or without a .manifest
  bool needs_blobs = true;  // content beside the hashes
  bool needs_notes = true;  // warnings, and what is left out
};

struct LeftOut {
  std::string path;  // with '/' at its end: a folder with all that is in it
  std::string reason;
};

struct ModelScan {
  Files files;  // acceptable ones
  BlobMap blobs;
  std::vector<ModelFinding>
      findings;  // of paths, links and sizes: what keeps this from being a model
  std::vector<ModelFinding> warnings;  // what is left out and may have been meant
  std::vector<LeftOut> left_out;       // sorted; at most kLeftOutListedMax
  uint64_t left_out_count = 0;
};

// kInvalidModel over kModelFilesMax, kModelBytesMax or kScanEntriesMax, or with a .notpignore or
// .manifest that cannot be read; otherwise the source's errors.
Result<ModelScan> scan_model(ModelSource& source, const ScanOptions& options);

}  // namespace notp
