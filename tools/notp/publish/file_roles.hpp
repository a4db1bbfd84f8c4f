// What a file in a repository of policies is, by its name.
#pragma once

#include <string>
#include <string_view>

namespace notp {

enum class FileRole : uint8_t {
  kModel,     // a policy, a data document or the manifest
  kNearMiss,  // looks as if it was meant to be one
  kDocument,  // other JSON or YAML, which OPA loads outside of bundle mode
  kOther,
};

struct FileVerdict {
  FileRole role = FileRole::kOther;
  std::string reason;  // why it is left out; of a near miss with what to do; empty for the model's
};

// `path` is relative to the model's top, and not hidden.
FileVerdict file_verdict(std::string_view path);

// What to do with a document to make it data of the model.
std::string document_advice(std::string_view path);

}  // namespace notp
