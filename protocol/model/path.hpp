// Rules for paths inside a model. Plain Git permits names that other file systems fold, hide or
// execute; a registry that accepts them passes the trouble on to every node.
#pragma once

#include <string>
#include <string_view>

#include "common/result.hpp"

namespace notp::model {

// A canonical relative path: UTF-8 in NFC, '/' between segments, no empty, "." or ".." segment, no
// control, invisible (Unicode Cf, Default_Ignorable) or undefined code point, backslash or colon,
// no leading or trailing space and no trailing dot in a segment, no name that starts with ".git" in
// any spelling that some file system folds onto it (case, compatibility forms, "git~1"), lengths
// and depth within common/limits.hpp. kInvalidModel names the rule.
Result<void> check_path(std::string_view path);

// Returns the path in Unicode normalisation form C, the form of model paths; text that is not UTF-8
// stays unchanged. File systems of macOS give names in form D.
std::string compose_path(std::string_view path);

// Returns the form under which two paths are the same to a case-folding, normalising file system:
// Unicode's NFKC_Casefold, wider than any one file system folds. Text that is not UTF-8 stays
// unchanged.
std::string fold_path(std::string_view path);

}  // namespace notp::model
