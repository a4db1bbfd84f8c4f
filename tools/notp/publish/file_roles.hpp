// Classifies the files of a policy repository by name.
#pragma once

#include <string>
#include <string_view>

namespace notp::cli {

enum class FileRole : uint8_t {
  kModel,     // a policy, a data document or the manifest
  kNearMiss,  // looks like a misnamed one
  kDocument,  // other JSON or YAML, which OPA loads outside of bundle mode
  kOther,
};

struct FileVerdict {
  FileRole role = FileRole::kOther;
  std::string reason;  // why it is left out (near miss: and what to do); empty for the model's
};

// `path` is relative to the model's top, and not hidden.
FileVerdict file_verdict(std::string_view path);

// Advises how to turn a document into data of the model.
std::string document_advice(std::string_view path);

}  // namespace notp::cli
