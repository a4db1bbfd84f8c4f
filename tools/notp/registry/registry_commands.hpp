// Declarations shared by the files of `notp registry`.
#pragma once

#include "tools/notp/command.hpp"

namespace notp::cli {

void add_registry_tree(Commands& commands, CLI::App& registry);  // tree

}  // namespace notp::cli
