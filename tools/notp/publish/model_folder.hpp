// A model as a folder on disk. Outside the protocol's rooms: those open no file.
#pragma once

#include <string>
#include <vector>

#include "tools/notp/publish/model_scan.hpp"

namespace notp {

struct FolderContent {
  ModelContent content;
  std::vector<ModelFinding> findings;  // of paths and kinds; the tree holds the acceptable files
  std::vector<ModelFinding> warnings;  // what is left out and may have been meant
  std::vector<LeftOut> left_out;       // what is no part of a model, at most kLeftOutListedMax
  uint64_t left_out_count = 0;
};

// Reads a folder into memory, or a bundle archive (tools/notp/publish/model_archive.hpp). What is
// no part of a model is left out (tools/notp/publish/model_scan.hpp); ".git" and ".notp" at the top
// lie beside it. Modes do not count. Empty folders are no part of a model. kNotFound and kIo when
// it cannot be read, kInvalidModel over a limit.
Result<FolderContent> read_model_folder(const std::string& folder);

// The name of a model that does not say its own: of its folder, or of its archive without the end.
std::string model_name_of(const std::string& folder);

}  // namespace notp
