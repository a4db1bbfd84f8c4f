// The files of the registry's tree: its database and its key, and what begins a new tree.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "common/clock.hpp"
#include "notp-server/audit_tree/tree_database.hpp"
#include "notp-server/audit_tree/tree_file_names.hpp"
#include "notp-server/audit_tree/tree_log.hpp"
#include "protocol/record/announcement.hpp"

namespace notp::audit {

// Whose tree it is.
struct TreeOwner {
  std::string trust_domain;
  std::string registry;  // SPIFFE id, as in its TLS certificate
  // Signs with the key of that certificate; called only when a tree begins.
  std::function<Result<record::AnnouncementSigner>()> signer;
};

struct OpenedTree {
  std::unique_ptr<TreeDatabase> database;
  std::unique_ptr<TreeLog> tree;
  Bytes announcement;
};

// Opens the tree of a folder, or begins one. A key never goes on with another tree than its own:
// when either the key or the database is lost or damaged, or the registry has another name, what is
// left is set aside, a new tree begins whose announcement names the one before and why, and the log
// says so. The new tree begins with what the one before said of deletions, holds and faults, and of
// who read; checkpoints of nodes are made again from what is stored. kIo; kConfig: the database has
// another format, or the certificate cannot sign.
Result<OpenedTree> open_tree(const std::filesystem::path& folder, const TreeOwner& owner,
                             TimeMs now_ms);

}  // namespace notp::audit
