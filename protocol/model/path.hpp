// What a path inside a model may look like. Plain Git permits names that other file systems fold,
// hide or execute; a registry that accepts them hands the trouble to every node.
#pragma once

#include <string>
#include <string_view>

#include "common/result.hpp"

namespace notp {

// A canonical relative path: UTF-8 in NFC, '/' between segments, no empty, "." or ".." segment, no
// control character, backslash or colon, no leading or trailing space and no trailing dot in a
// segment, no spelling of ".git" that some file system folds onto it (case, "git~1", ignorable code
// points), lengths and depth within common/limits.hpp. kInvalidModel names the rule.
Result<void> check_path(std::string_view path);

// The form under which two paths are the same to a case-folding, normalising file system.
std::string fold_path(std::string_view path);

}  // namespace notp
