// Computes the program that turns one tree into another. It finds renames and copies by hash, so
// that content of the base never travels.
#pragma once

#include <vector>

#include "protocol/delta/program.hpp"

namespace notp::delta {

struct TreeDiff {
  Program program;
  std::vector<Hash> contents;  // hash of each new content, in the order of the program
};

// Deterministic. `base` indexes `base_tree`, which may be null.
TreeDiff diff_trees(const model::Tree* base_tree, const BaseIndex& base, const model::Tree& target);

}  // namespace notp::delta
