// What a path inside a model may look like. Plain Git permits names that other file systems fold,
// hide or execute; a registry that accepts them hands the trouble to every node.
#pragma once

#include <string>
#include <string_view>

#include "common/result.hpp"

namespace notp {

// A canonical relative path: UTF-8 in NFC, '/' between segments, no empty, "." or ".." segment, no
// control, invisible (Unicode Cf, Default_Ignorable) or undefined code point, backslash or colon,
// no leading or trailing space and no trailing dot in a segment, no name that starts with ".git" in
// any spelling that some file system folds onto it (case, compatibility forms, "git~1"), lengths
// and depth within common/limits.hpp. kInvalidModel names the rule.
Result<void> check_path(std::string_view path);

// Unicode normalisation form C, which paths have; what is not UTF-8 stays as it is. File systems of
// macOS give names in form D.
std::string compose_path(std::string_view path);

// The form under which two paths are the same to a case-folding, normalising file system: Unicode's
// NFKC_Casefold, wider than any one file system folds. What is not UTF-8 stays as it is.
std::string fold_path(std::string_view path);

}  // namespace notp
