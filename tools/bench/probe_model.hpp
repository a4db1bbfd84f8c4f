// A model whose decisions reveal the change they were made with: one rule and one record of a large
// document hold the number of the change.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "tools/bench/editable_model.hpp"
#include "tools/bench/history.hpp"

namespace notp::bench {

struct ProbeModelOptions {
  uint64_t seed = 1;             // of the large document
  double document_bytes = 20e6;  // approximate, of the large document
  // Optional: the model also has the files of its first tag.
  std::filesystem::path corpus;
};

class ProbeModel {
 public:
  enum class Change : uint8_t { kRule, kRecord };

  // Writes the model into `folder`, which is new. Both numbers are 0.
  static Result<std::unique_ptr<ProbeModel>> make(const std::filesystem::path& folder,
                                                  const ProbeModelOptions& options);

  // Sets the number, in the folder and in content().
  Result<void> set(Change change, int64_t number);
  // The path of the number below /v1/data.
  static std::string path_of(Change change);
  // The path of the large document in the folder.
  static const std::string& document_path();

  const model::ModelContent& content() const { return files_.content(); }
  const std::vector<std::string>& roots() const { return roots_; }
  const std::filesystem::path& folder() const { return files_.folder(); }
  size_t document_bytes() const { return document_.size(); }

 private:
  explicit ProbeModel(std::filesystem::path folder) : files_(std::move(folder)) {}
  Result<void> write_manifest();
  void make_document(const ProbeModelOptions& options);

  EditableModel files_;
  Bytes document_;
  size_t record_ = 0;     // number of the record in the document
  size_t number_at_ = 0;  // of its number, with kDigits digits, in the text
  std::vector<std::string> roots_;
};

}  // namespace notp::bench
