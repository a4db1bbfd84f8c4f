// The check that a release's content stays within the data roots that its statement signs.
#pragma once

#include <string>
#include <vector>

#include "protocol/model/tree.hpp"
#include "protocol/trust/statements.hpp"

namespace notp::trust {

// A release whose content has passed check_roots() under these roots; null: none is known.
struct ConfinedContent {
  const model::Tree* tree = nullptr;
  const std::vector<std::string>* data_roots = nullptr;
};

// Checks what a node loads of a verified release: the package of each module that is no test, and
// each document that is no data of tests, lie within the statement's data roots: the check
// "release.roots". Data roots that are the agent's, or none at all, are refused, too. No engine is
// asked: see model::package_of(), and an unreadable document or clause is refused. `tree` is the
// release's.
//
// Calls `load` for the modules, and for documents in folders above a root; the paths of others
// decide. What `before` has at the same path is not read when each of its roots is owned still.
//
// kWrongTarget names the file and its place; the errors of `load`.
Result<void> check_roots(const Release& release, const model::Tree& tree,
                         const model::BlobLoader& load, const ConfinedContent& before = {});

}  // namespace notp::trust
