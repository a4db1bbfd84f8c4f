// The names of the files of the registry's tree, in the folder of the audit store.
#pragma once

#include <string_view>

namespace notp::audit {

inline constexpr const char* kTreeFile = "tree.db";
inline constexpr const char* kTreeKeyFile = "tree.key";  // PKCS #8 PEM, mode 0600

// A tree that was set aside is "tree-<log id>.db.old", its key "tree-<log id>.key".
inline constexpr std::string_view kTreeSetAside = "tree-", kTreeSetAsideEnd = ".db.old";
// Whether a file is of a database that was set aside.
inline bool is_tree_set_aside(std::string_view name) {
  return name.starts_with(kTreeSetAside) && name.contains(kTreeSetAsideEnd);
}

}  // namespace notp::audit
