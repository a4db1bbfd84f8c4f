// A model as a folder on disk. Outside the protocol's rooms: those open no file.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "protocol/model/validate.hpp"

namespace notp {

// ".git" and ".notp" at the top of a folder lie beside the model.
bool is_beside_model(std::string_view path);

// Reads a folder into memory: regular files only; refuses symlinks, executable bits and special
// files as findings rather than following them. Skips ".git" at the top and the workspace state
// ".notp". Empty folders are no part of a model. kNotFound and kIo when the folder cannot be read,
// kInvalidModel over kModelFilesMax or kModelBytesMax.
struct FolderContent {
  ModelContent content;
  std::vector<ModelFinding> findings;  // of paths and kinds; the tree holds the acceptable files
};
Result<FolderContent> read_model_folder(const std::string& folder);

}  // namespace notp
