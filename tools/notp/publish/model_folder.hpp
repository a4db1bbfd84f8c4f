// Reads a model from a folder on disk. Not part of protocol/, which opens no files.
#pragma once

#include <string>
#include <vector>

#include "tools/notp/publish/model_scan.hpp"

namespace notp::cli {

struct FolderContent {
  model::ModelContent content;
  std::vector<model::ModelFinding>
      findings;  // of paths and kinds; the tree holds the acceptable files
  std::vector<model::ModelFinding> warnings;  // left out, perhaps by mistake
  std::vector<LeftOut> left_out;              // not part of a model, at most kLeftOutListedMax
  uint64_t left_out_count = 0;
};

// Reads a folder, or a bundle archive (tools/notp/publish/model_archive.hpp), into memory. Leaves
// out what is not part of a model (tools/notp/publish/model_scan.hpp), and ".git" and ".notp" at
// the top. Ignores file modes and empty folders. kNotFound and kIo when it cannot be read,
// kInvalidModel over a limit.
Result<FolderContent> read_model_folder(const std::string& folder);

// The same of any source, which `shown` names in errors. The source's errors.
Result<FolderContent> read_model_source(ModelSource& source, const ScanOptions& options,
                                        const std::string& shown);

// Returns the default name of a model: that of its folder, or of its archive without the extension.
std::string model_name_of(const std::string& folder);

}  // namespace notp::cli
