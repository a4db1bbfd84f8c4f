// A model in a folder and in memory, changed one file at a time, so that a publisher and a bundle
// server use the same content.
#pragma once

#include <filesystem>
#include <string>

#include "protocol/model/tree.hpp"

namespace notp::bench {

// One thread.
class EditableModel {
 public:
  // `folder` receives the files; content() is empty until load().
  explicit EditableModel(std::filesystem::path folder) : folder_(std::move(folder)) {}

  // Writes one file into the folder, and creates its parents. kIo.
  Result<void> write(const std::string& path, const std::string& text) const;
  // Reads the whole folder into content(). kInvalidModel, kIo.
  Result<void> load();
  // Replaces a loaded file, in the folder and in content(). kIo.
  Result<void> replace(const std::string& path, Bytes text);

  const model::ModelContent& content() const { return content_; }
  const std::filesystem::path& folder() const { return folder_; }

 private:
  const std::filesystem::path folder_;
  model::ModelContent content_;
};

}  // namespace notp::bench
